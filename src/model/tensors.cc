#include <algorithm>
#include <functional>
#include <optional>

#include "model/model.h"

namespace podsense::model {
namespace {

/// The maximum elements of a tensor: keeps all products within 64 bits.
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 40U;

Error misfit(const TensorInfo& info, std::string what) {
  return {ErrorCode::kInvalidArgument, "input '" + info.name + "' " + std::move(what), {}};
}

/// The number of elements of `shape`; nothing: it does not fit `info`.
std::optional<std::uint64_t> count_elements(const TensorInfo& info,
                                            std::span<const std::int64_t> shape) {
  if (shape.size() != info.shape.size() && !info.any_rank) {
    return std::nullopt;
  }
  std::uint64_t count = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t wanted = info.any_rank ? -1 : info.shape[i];
    if (shape[i] < 0 || (wanted >= 0 && shape[i] != wanted) ||
        static_cast<std::uint64_t>(shape[i]) > kMaxElements / std::max<std::uint64_t>(count, 1)) {
      return std::nullopt;
    }
    count *= static_cast<std::uint64_t>(shape[i]);
  }
  return count;
}

/// Checks that the data contains exactly `count` complete texts.
Result<void> check_texts(const TensorInfo& info, const TensorView& view, std::uint64_t count) {
  std::uint64_t seen = 0;
  const bool whole = for_each_text(view.data, [&](std::string_view) { ++seen; });
  if (!whole || seen != count) {
    return fail(misfit(info, "of shape " + shape_text(view.shape) + " takes " +
                                 std::to_string(count) + " texts, each after its length; got " +
                                 std::to_string(seen) + (whole ? "" : " and a part of one")));
  }
  return {};
}

/// Whether the two share at least one byte.
bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) {
  const std::less<const std::byte*> before;  // also defined for pointers into different objects
  return !a.empty() && !b.empty() && before(a.data(), b.data() + b.size()) &&
         before(b.data(), a.data() + a.size());
}

}  // namespace

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += i == 0 ? "" : ", ";
    out += shape[i] < 0 ? "N" : std::to_string(shape[i]);
  }
  return out + "]";
}

Result<void> Model::run(std::span<const TensorView> inputs, Outputs& outputs,
                        const std::stop_token& stop) const {
  auto done = stop.stop_requested() ? Result<void>(fail(ErrorCode::kCancelled, ""))
                                    : run_until(inputs, outputs, stop);
  if (!done && stop.stop_requested()) {  // replaces the engine's own error
    outputs.clear();
    return fail(ErrorCode::kCancelled, "the run was cancelled, as nobody waits for it any more");
  }
  return done;
}

Result<void> check_shape(const TensorInfo& info, DataType type,
                         std::span<const std::int64_t> shape) {
  if (type != info.type) {
    return fail(misfit(info, "must be " + std::string(data_type_name(info.type)) + ", not " +
                                 std::string(data_type_name(type))));
  }
  if (!count_elements(info, shape)) {
    return fail(misfit(info, "must have shape " + shape_text(info.shape) +
                                 " (N: any length), not " + shape_text(shape)));
  }
  return {};
}

Result<void> check_input(const TensorInfo& info, const TensorView& view) {
  if (auto fine = check_shape(info, view.type, view.shape); !fine) {
    return fine;
  }
  const std::uint64_t count = *count_elements(info, view.shape);
  if (info.type == DataType::kBytes) {
    return check_texts(info, view, count);
  }
  const std::uint64_t bytes = count * element_size(info.type);
  if (view.data.size() != bytes) {
    return fail(misfit(info, "of shape " + shape_text(view.shape) + " takes " +
                                 std::to_string(bytes) + " bytes, not " +
                                 std::to_string(view.data.size())));
  }
  // Kernels read these as C++ bool, for which other byte values are undefined.
  if (info.type == DataType::kBool &&
      std::ranges::any_of(view.data, [](std::byte b) { return b > std::byte{1}; })) {
    return fail(misfit(info, "must hold only 0 and 1"));
  }
  return {};
}

bool is_aligned(const TensorView& view) {
  return reinterpret_cast<std::uintptr_t>(view.data.data()) % element_size(view.type) == 0;
}

Result<void> check_inputs(std::span<const TensorInfo> infos, std::span<const TensorView> inputs) {
  if (inputs.size() != infos.size()) {
    return fail(ErrorCode::kInvalidArgument, "the model takes " + std::to_string(infos.size()) +
                                                 " inputs, not " + std::to_string(inputs.size()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (auto fine = check_input(infos[i], inputs[i]); !fine) {
      return fine;
    }
  }
  return {};
}

Result<void> Outputs::read_texts() {
  return owned_ ? owner_->read_texts(tensors()) : Result<void>();
}

std::span<Outputs::Tensor> Outputs::resize(std::size_t size) {
  if (tensors_.size() < size) {
    tensors_.resize(size);
  }
  size_ = size;
  return tensors();
}

void Outputs::clear() {
  size_ = 0;
  owned_ = false;
  if (owner_ != nullptr) {
    owner_->clear();
  }
}

bool Outputs::copy_shared(std::span<const std::span<const std::byte>> inputs) {
  bool shared = false;
  for (Tensor& tensor : tensors()) {
    const bool borrows = std::ranges::any_of(
        inputs, [&](std::span<const std::byte> memory) { return overlap(memory, tensor.data); });
    if (borrows) {
      tensor.copied.assign(tensor.data.begin(), tensor.data.end());
      tensor.data = tensor.copied;
      shared = true;
    }
  }
  return shared;
}

}  // namespace podsense::model
