#pragma once

/// What every engine serves: models with typed inputs and outputs. No engine is known here; each is
/// a Backend (model/backend.h).
///
///   Outputs outputs;
///   auto done = model->run(inputs, outputs);  // blocks for the whole run

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/data_type.h"
#include "base/error.h"
#include "model/repository.h"

namespace podsense::model {

struct TensorInfo {
  std::string name;
  DataType type = DataType::kFp32;
  std::vector<std::int64_t> shape;       ///< -1: dynamic
  std::vector<std::string> dim_names{};  ///< of `shape`, as the file has them; empty: none
  bool any_rank = false;                 ///< the file gives no shape; `shape` is then empty
};

/// `[3, N]`, where N is a dynamic dimension.
std::string shape_text(std::span<const std::int64_t> shape);

/// Borrowed memory, row-major, packed. Must outlive the run. Best aligned to its element's size:
/// what is not gets copied.
struct TensorView {
  DataType type = DataType::kFp32;
  std::span<const std::int64_t> shape;
  std::span<const std::byte> data;
};

/// What a run made: views, and what keeps their memory alive. An output never shares memory with an
/// input of its run. Its data is aligned for its element type. Reusable: a backend may use the
/// memory of its last run again. @threads confined
class Outputs {
 public:
  struct Tensor {
    DataType type = DataType::kFp32;
    std::vector<std::int64_t> shape;  ///< keeps its memory from run to run
    std::span<const std::byte> data;
    std::vector<std::byte> copied;  ///< what `data` views where the memory is not the owner's
  };

  /// A backend's own memory behind the views, of a type that it alone knows.
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    /// Lets go of the last run's memory.
    virtual void clear() = 0;
    /// Fills in the data of tensors of texts. @errors kInternal
    virtual Result<void> read_texts(std::span<Tensor> /*tensors*/) { return {}; }
  };

  [[nodiscard]] std::size_t size() const { return size_; }
  /// @shape as the run gave it; valid until the next run or destruction
  [[nodiscard]] TensorView operator[](std::size_t index) const {
    return {tensors_[index].type, tensors_[index].shape, tensors_[index].data};
  }
  /// Until it is called, outputs of texts (kBytes) have a shape but no data: few want them.
  Result<void> read_texts();

  // --- For backends
  [[nodiscard]] std::span<Tensor> tensors() { return std::span(tensors_).first(size_); }
  /// Makes room for `size` tensors, whose fields are those of an earlier run.
  std::span<Tensor> resize(std::size_t size);
  /// No tensors, and nothing kept alive.
  void clear();
  /// The owner of type `T`, made where there is none yet. Every run asks for it; what an earlier
  /// run's owner has is else no part of the outputs.
  template <class T>
  T& owner() {
    auto* mine = dynamic_cast<T*>(owner_.get());
    if (mine == nullptr) {
      clear();
      auto made = std::make_unique<T>();
      mine = made.get();
      owner_ = std::move(made);
    }
    owned_ = true;
    return *mine;
  }
  /// Copies into the tensor's own memory what it shares with one of `inputs`, which may end before
  /// the outputs do. True where that was so.
  bool copy_shared(std::span<const std::span<const std::byte>> inputs);

 private:
  std::vector<Tensor> tensors_;  // never shrinks
  std::size_t size_ = 0;
  std::unique_ptr<Owner> owner_;
  bool owned_ = false;  // the tensors are of owner_
};

/// @errors kInvalidArgument: another type, or a shape that `info` has no room for
Result<void> check_shape(const TensorInfo& info, DataType type,
                         std::span<const std::int64_t> shape);

/// What every backend holds an input against before it runs: as check_shape, and data as long as
/// type and shape ask for (whole texts, booleans of 0 and 1).
/// @errors kInvalidArgument: one sentence that names the input
Result<void> check_input(const TensorInfo& info, const TensorView& view);
/// Each of the inputs, and their number.
Result<void> check_inputs(std::span<const TensorInfo> infos, std::span<const TensorView> inputs);

/// Whether the data begins where an element of its type may. Backends copy what does not.
[[nodiscard]] bool is_aligned(const TensorView& view);

/// What a model takes and gives, as its file says. What it is used for is no matter of this module.
struct Signature {
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<std::string> file_labels;  ///< of the file's metadata, or empty
  PreprocessSpec preprocess;             ///< the file's metadata, with the manifest's keys over it
  bool preprocess_given = false;         ///< by either
  /// The first dimension of every input and output is dynamic, and those that are named have one
  /// name: the model takes any number of rows.
  bool batchable = false;
  /// Why the graph does not show that each row's answer depends on that row alone; empty: it does.
  /// Of a batchable model only.
  std::string rows_unproven;
  bool loops = false;  ///< the time of a run depends on values, not on sizes alone
  std::vector<std::string> warnings = {};  ///< of whoever opened it; one sentence each
};

/// What runs a model, as the Open Inference Protocol names it.
struct Engine {
  std::string_view backend;   ///< "onnxruntime"
  std::string_view platform;  ///< "onnxruntime_onnx"
  std::string_view file;      ///< the model's name in its folder; empty: it has none
};

/// @threads immutable after load; `run` may be called concurrently
class Model {
 public:
  virtual ~Model() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual std::uint64_t version() const = 0;
  [[nodiscard]] virtual const Manifest& manifest() const = 0;
  [[nodiscard]] virtual const Signature& signature() const = 0;

  /// @threads any; the result lives as long as the model
  [[nodiscard]] virtual const Engine& engine() const = 0;

  /// Inputs in the order of the signature. A run whose `stop` is requested ends as soon as the
  /// engine can end it; what one call of a kernel does may be too much for that.
  /// @errors kInvalidArgument: count, type or shape differ from the signature, or the model itself
  ///         refused the values; kUnavailable: there was not enough memory; kCancelled: `stop` was
  ///         requested; kInternal. There are no outputs then.
  /// @threads any; blocks for the whole run
  Result<void> run(std::span<const TensorView> inputs, Outputs& outputs,
                   const std::stop_token& stop = {}) const;

  /// Bytes the file has on disk; 0 without a file.
  [[nodiscard]] virtual std::uint64_t file_bytes() const = 0;
  /// Of one run.
  [[nodiscard]] virtual unsigned threads() const { return 1; }
  /// How long a run of one row takes, where the backend knows it; else it is measured.
  [[nodiscard]] virtual std::optional<Duration> known_run_time() const { return std::nullopt; }

 private:
  /// As `run`, which has seen that `stop` was not requested yet. Of a `stop` that nobody can
  /// request it costs nothing to take care.
  virtual Result<void> run_until(std::span<const TensorView> inputs, Outputs& outputs,
                                 const std::stop_token& stop) const = 0;
};

}  // namespace podsense::model
