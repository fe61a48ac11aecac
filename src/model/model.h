#pragma once

/// Models with typed inputs and outputs, independent of the engine. Each engine is a Backend
/// (model/backend.h).
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
  std::vector<std::string> dim_names{};  ///< of `shape`, from the file; empty: none
  bool any_rank = false;                 ///< the file has no shape; `shape` is then empty
};

/// `[3, N]`, where N is a dynamic dimension.
std::string shape_text(std::span<const std::int64_t> shape);

/// Borrowed memory, row-major, packed. It must outlive the run. Data that is not aligned to its
/// element size is copied.
struct TensorView {
  DataType type = DataType::kFp32;
  std::span<const std::int64_t> shape;
  std::span<const std::byte> data;
};

/// The outputs of a run: views, and the owner of their memory. An output never shares memory with
/// an input of its run. Its data is aligned for its element type. The object can be reused; a
/// backend may then reuse the memory of the last run. @threads confined
class Outputs {
 public:
  struct Tensor {
    DataType type = DataType::kFp32;
    std::vector<std::int64_t> shape;  ///< keeps its memory from run to run
    std::span<const std::byte> data;
    std::vector<std::byte> copied;  ///< the memory of `data`, if it is not the owner's
  };

  /// A backend's memory behind the views, of a backend-specific type.
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    /// Releases the last run's memory.
    virtual void clear() = 0;
    /// Fills the data of text tensors. @errors kInternal
    virtual Result<void> read_texts(std::span<Tensor> /*tensors*/) { return {}; }
  };

  [[nodiscard]] std::size_t size() const { return size_; }
  /// @shape as returned by the run; valid until the next run or destruction
  [[nodiscard]] TensorView operator[](std::size_t index) const {
    return {tensors_[index].type, tensors_[index].shape, tensors_[index].data};
  }
  /// Reads text outputs (kBytes). Before this call they have a shape but no data, because few
  /// callers need them.
  Result<void> read_texts();

  // --- For backends
  [[nodiscard]] std::span<Tensor> tensors() { return std::span(tensors_).first(size_); }
  /// Resizes to `size` tensors; their fields may contain values of an earlier run.
  std::span<Tensor> resize(std::size_t size);
  /// Removes all tensors and releases their memory.
  void clear();
  /// The owner of type `T`; creates it if necessary. A run must call this to make the owner's
  /// memory part of its outputs.
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
  /// Copies tensors that share memory with one of `inputs` into their own memory, because inputs
  /// may be destroyed before the outputs. True: something was copied.
  bool copy_shared(std::span<const std::span<const std::byte>> inputs);

 private:
  std::vector<Tensor> tensors_;  // never shrinks
  std::size_t size_ = 0;
  std::unique_ptr<Owner> owner_;
  bool owned_ = false;  // owner_ owns the tensors' memory
};

/// Checks a type and shape against `info`. @errors kInvalidArgument: wrong type, or a shape that
/// `info` does not allow
Result<void> check_shape(const TensorInfo& info, DataType type,
                         std::span<const std::int64_t> shape);

/// The check of an input before every run: as check_shape, and the data must have the size for type
/// and shape (complete texts, booleans only 0 or 1).
/// @errors kInvalidArgument: one sentence that names the input
Result<void> check_input(const TensorInfo& info, const TensorView& view);
/// Checks the number of inputs and each of them.
Result<void> check_inputs(std::span<const TensorInfo> infos, std::span<const TensorView> inputs);

/// Whether the data is aligned for its type. Backends copy data that is not.
[[nodiscard]] bool is_aligned(const TensorView& view);

/// A model's inputs and outputs, from its file. This module does not know what the model is used
/// for.
struct Signature {
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<std::string> file_labels;  ///< from the file's metadata; may be empty
  PreprocessSpec preprocess;             ///< the file's metadata, overridden by the manifest
  bool preprocess_given = false;         ///< file or manifest has preprocessing
  /// The model takes any number of rows: the first dimension of every input and output is dynamic,
  /// and all names of these dimensions are equal.
  bool batchable = false;
  /// Why there is no proof that each row's answer depends only on that row; empty: there is one.
  /// Only for batchable models.
  std::string rows_unproven;
  bool loops = false;  ///< the time of a run depends on values, not only on sizes
  std::vector<std::string> warnings = {};  ///< from the backend; one sentence each
};

/// The engine of a model, with the Open Inference Protocol's names.
struct Engine {
  std::string_view backend;   ///< "onnxruntime"
  std::string_view platform;  ///< "onnxruntime_onnx"
  std::string_view file;      ///< the file's name in the model's folder; empty: no file
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

  /// Runs the model. Inputs are in the order of the signature. After a request of `stop` the run
  /// ends as soon as the engine can; a single call of a kernel cannot be interrupted.
  /// @errors kInvalidArgument: count, type or shape differ from the signature, or the model
  /// rejected the values; kUnavailable: not enough memory; kCancelled: `stop` was requested;
  /// kInternal. On an error there are no outputs.
  /// @threads any; blocks for the whole run
  Result<void> run(std::span<const TensorView> inputs, Outputs& outputs,
                   const std::stop_token& stop = {}) const;

  /// The size of the file in bytes; 0 without a file.
  [[nodiscard]] virtual std::uint64_t file_bytes() const = 0;
  /// The threads of one run.
  [[nodiscard]] virtual unsigned threads() const { return 1; }
  /// The time of a run of one row, if the backend knows it; nothing: it is measured.
  [[nodiscard]] virtual std::optional<Duration> known_run_time() const { return std::nullopt; }

 private:
  /// Implements `run`, which has already checked that `stop` is not requested. A `stop` without an
  /// associated state must add no cost.
  virtual Result<void> run_until(std::span<const TensorView> inputs, Outputs& outputs,
                                 const std::stop_token& stop) const = 0;
};

}  // namespace podsense::model
