#pragma once

/// What the shared library beside the binary (openvino_module.cc) has to offer: OpenVINO behind an
/// interface that names nothing of it. Both sides are built by one compiler from one tree. Private
/// to this module.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/data_type.h"
#include "base/error.h"
#include "model/model.h"

namespace podsense::openvino {

/// Raise it when anything here changes.
inline constexpr int kEngineInterface = 1;
/// The library's one function, of type EngineFunction.
inline constexpr const char* kEngineFunction = "podsense_openvino_engine";

/// An input or output of a network.
struct Port {
  std::vector<std::string> names;
  std::optional<DataType> type;     ///< unset: one that is not served
  std::vector<std::int64_t> shape;  ///< -1: open
  bool any_rank = false;            ///< `shape` is then empty
};

/// @threads confined; `cancel` may come from any thread
class Request {
 public:
  virtual ~Request() = default;
  /// Runs on the calling thread. Inputs in the network's order, checked and aligned; borrowed
  /// until it returns.
  /// @errors kInvalidArgument, kUnavailable (memory), kCancelled. After one, it is not used again.
  virtual Result<void> run(std::span<const model::TensorView> inputs) = 0;
  /// Ends the run under way between two nodes of the graph. Does nothing where there is none.
  /// @threads any
  virtual void cancel() noexcept = 0;
  /// Copies output `index` of the last run. @errors kInternal
  virtual Result<void> read(std::size_t index, model::Outputs::Tensor& into) = 0;
};

/// @threads thread-safe
class Network {
 public:
  virtual ~Network() = default;
  [[nodiscard]] virtual const std::vector<Port>& inputs() const = 0;
  [[nodiscard]] virtual const std::vector<Port>& outputs() const = 0;
  /// Costs memory for one more run at a time. @errors kUnavailable
  virtual Result<std::unique_ptr<Request>> make_request() = 0;
};

struct NetworkOptions {
  unsigned threads = 1;  ///< of one run
  unsigned runs = 1;     ///< at the same time; more wait for each other
};

/// @threads thread-safe
class Engine {
 public:
  virtual ~Engine() = default;
  /// Of the libraries that were loaded: "2026.4.1".
  [[nodiscard]] virtual const std::string& version() const = 0;
  /// @errors kInvalidArgument: one sentence; kUnavailable: there is not enough memory
  virtual Result<std::unique_ptr<Network>> open(const std::filesystem::path& file,
                                                const NetworkOptions& options) = 0;
};

/// Null where `interface` is another than the library's.
using EngineFunction = Engine*(int interface);

}  // namespace podsense::openvino
