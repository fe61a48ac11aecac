#pragma once

/// One loaded model version over ONNX Runtime, which nobody else includes.
///
///   auto runtime = Runtime::create(options);            // one per process; telemetry off
///   auto loaded = (*runtime)->load(candidate);          // checks, opens, warms nothing
///   Outputs outputs;
///   auto done = (*loaded)->run(inputs, outputs);        // blocks for the whole run
///
/// @source ONNX Runtime C++ API 21 over the library 1.31

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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

/// Borrowed memory, row-major, packed. Must outlive the run. Best aligned to its element's size:
/// what is not gets copied.
struct TensorView {
  DataType type = DataType::kFp32;
  std::span<const std::int64_t> shape;
  std::span<const std::byte> data;
};

/// What a run made; owns ONNX Runtime's values, and shares no memory with the run's inputs.
/// Reusable. @threads confined
class Outputs {
 public:
  Outputs();
  ~Outputs();
  Outputs(Outputs&&) noexcept;
  Outputs& operator=(Outputs&&) noexcept;
  [[nodiscard]] std::size_t size() const;
  /// @shape as the run gave it; valid until the next run or destruction
  [[nodiscard]] TensorView operator[](std::size_t index) const;
  /// Until it is called, outputs of texts (kBytes) have a shape but no data: few want them.
  Result<void> read_texts();
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// @errors kInvalidArgument: another type, or a shape that `info` has no room for
Result<void> check_shape(const TensorInfo& info, DataType type,
                         std::span<const std::int64_t> shape);

/// What kind of answers a model gives, told from manifest and file, checked at load.
struct Signature {
  Task task = Task::kTensor;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<std::string> labels;           ///< one per class, or empty
  std::optional<PreprocessSpec> preprocess;  ///< complete (width, height, layout set) for images
  std::size_t features = 0;                  ///< tabular: columns of the one input
  std::size_t classes = 0;                   ///< width of the probabilities, 0 when unknown
  std::size_t probabilities_output = 0;      ///< index into outputs
  std::optional<std::size_t> label_output;   ///< tabular: labels as INT64 or texts, where given
  std::vector<std::string> warnings;         ///< what was guessed or passed over; one sentence each
  /// The first dimension of every input and output is dynamic, and those that are named have one
  /// name: the model takes any number of rows.
  bool batchable = false;
  /// Why the graph does not show that each row's answer depends on that row alone; empty: it does.
  /// Of a batchable model only.
  std::string rows_unproven;
  bool loops = false;  ///< the time of a run depends on values, not on sizes alone
};

/// @threads immutable after load; `run` may be called concurrently
class Model {
 public:
  virtual ~Model() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual std::uint64_t version() const = 0;
  [[nodiscard]] virtual const Manifest& manifest() const = 0;
  [[nodiscard]] virtual const Signature& signature() const = 0;

  /// Inputs in the order of the signature.
  /// @errors kInvalidArgument: count, type or shape differ from the signature, or the model itself
  ///         refused the values; kUnimplemented: simulated models; kInternal
  /// @threads any; blocks for the whole run
  virtual Result<void> run(std::span<const TensorView> inputs, Outputs& outputs) const = 0;

  /// Bytes the file has on disk. 0 for simulated models.
  [[nodiscard]] virtual std::uint64_t file_bytes() const = 0;
  /// Of one run.
  [[nodiscard]] virtual unsigned threads() const { return 1; }
  /// A hash of the file's bytes, as hexadecimal digits; empty where copies are not kept
  /// (RuntimeOptions::cache_dir) and for simulated models. External data is no part of it.
  [[nodiscard]] virtual std::string_view content() const { return {}; }
};

struct RuntimeOptions {
  unsigned threads = 1;  ///< per run where the manifest says nothing
  bool spinning = false;
  bool memory_arena = true;
  /// Where optimised copies of models are kept for a faster start (keyed by content, library and
  /// CPU); empty: nowhere. Never inside the repository.
  std::filesystem::path cache_dir;
};

class Runtime {
 public:
  /// Sets ORT_DISABLE_TELEMETRY=1 before the first call into ONNX Runtime.
  /// @errors kInternal: ONNX Runtime cannot start
  static Result<std::unique_ptr<Runtime>> create(const RuntimeOptions& options);
  virtual ~Runtime() = default;

  /// Order of checks: size, sha256, external data inside the model's folder, then ONNX Runtime.
  /// @errors kInvalidArgument: any of these, or a file that does not fit its manifest; the reason
  ///         is one sentence fit for a person
  /// @threads thread-safe; takes 10 ms to seconds
  virtual Result<std::shared_ptr<const Model>> load(const Candidate& candidate) = 0;

  [[nodiscard]] virtual std::string_view version() const = 0;  ///< "1.31.1"
  /// A hash of this machine's CPU model and flags, as hexadecimal digits; empty without cache_dir.
  [[nodiscard]] virtual std::string_view cpu() const = 0;
};

/// Burns `amount` of this thread's CPU time (not wall time); the simulated model's work.
/// @source clock_gettime(CLOCK_THREAD_CPUTIME_ID)
Duration burn_cpu(Duration amount);

}  // namespace podsense::model
