/// Operators on [rows, channels, …], such as pictures: convolution, pooling, normalisation over
/// channels, resizing. All keep dimension 0 unchanged.
/// @source onnx/docs/Operators.md, onnxruntime/docs/ContribOperators.md

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "model/row_values.h"

namespace podsense::model::rows {
namespace {

/// Normalises over all dimensions after the first two, or per group of channels.
bool per_sample(Operator& op) {
  const Value* x = op.input(0);
  const bool batch_first = x != nullptr && x->dims && x->rank() >= 2 && x->axis.value_or(0) == 0;
  if (!batch_first || op.number("training_mode", 0) != 0 || !op.rest_constant(1)) {
    return false;
  }
  op.give(x->alike());
  return true;
}

/// The output length of one dimension of a window. @source the formulas of ONNX's Conv and MaxPool
Extent windowed(const Operator& op, std::size_t i, Extent in, std::int64_t kernel) {
  const auto at = [&](std::string_view name, std::size_t place, std::int64_t otherwise) {
    const GraphAttribute* found = op.attribute(name);
    return found != nullptr && place < found->numbers.size() ? found->numbers[place] : otherwise;
  };
  const std::int64_t stride = at("strides", i, 1);
  if (in.kind != Extent::Kind::kFixed || stride < 1 || kernel < 1) {
    return Extent::open();
  }
  const GraphAttribute* padding = op.attribute("auto_pad");
  if (padding != nullptr && padding->text.starts_with("SAME")) {
    return Extent::fixed((in.n + stride - 1) / stride);
  }
  if (op.number("ceil_mode", 0) != 0) {
    return Extent::open();
  }
  const GraphAttribute* pads = op.attribute("pads");
  const std::size_t spatial = pads == nullptr ? 0 : pads->numbers.size() / 2;
  const std::int64_t padded = in.n + at("pads", i, 0) + at("pads", i + spatial, 0);
  const std::int64_t span = at("dilations", i, 1) * (kernel - 1) + 1;
  return padded < span ? Extent::open() : Extent::fixed((padded - span) / stride + 1);
}

/// Windows over all dimensions of input 0 after the first two. `weights`: the input with weights,
/// if any.
bool convolve(Operator& op, std::size_t weights, bool transposed) {
  const Value* x = op.input(0);
  const Value* w = op.input(weights);
  if (x == nullptr || x->axis != 0 || x->rank() < 3 || !op.rest_constant(1)) {
    return false;
  }
  const bool sized = w != nullptr && w->dims && w->rank() == x->rank() && !transposed;
  Value out{.axis = 0, .dims = Extents{x->dims->front()}, .numbers = std::nullopt};
  out.dims->push_back(sized ? w->dims->front() : Extent::open());
  for (std::size_t i = 2; i < x->rank(); ++i) {
    const Extent kernel = sized ? (*w->dims)[i] : Extent::open();
    out.dims->push_back(kernel.kind == Extent::Kind::kFixed
                            ? windowed(op, i - 2, (*x->dims)[i], kernel.n)
                            : Extent::open());
  }
  op.give(std::move(out));
  return true;
}
bool conv(Operator& op) {
  return convolve(op, 1, false);
}
bool conv_transpose(Operator& op) {
  return convolve(op, 1, true);
}
bool quantized_conv(Operator& op) {
  return convolve(op, 3, false);
}

bool pool(Operator& op) {
  const Value* x = op.input(0);
  const GraphAttribute* kernel = op.attribute("kernel_shape");
  if (x == nullptr || x->axis != 0 || x->rank() < 3 || !op.rest_constant(1)) {
    return false;
  }
  Value out{.axis = 0, .dims = x->dims, .numbers = std::nullopt};
  for (std::size_t i = 2; i < x->rank(); ++i) {
    (*out.dims)[i] = kernel != nullptr && i - 2 < kernel->numbers.size()
                         ? windowed(op, i - 2, (*x->dims)[i], kernel->numbers[i - 2])
                         : Extent::open();
  }
  op.give(out);
  if (op.node.op == "MaxPool" && op.node.outputs.size() > 1) {
    return false;  // its indices count across rows
  }
  return true;
}

bool global_pool(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || x->axis != 0 || x->rank() < 3 || !op.rest_constant(1) ||
      op.number("channels_last", 0) != 0) {
    return false;
  }
  Value out{.axis = 0, .dims = x->dims, .numbers = std::nullopt};
  std::fill(out.dims->begin() + 2, out.dims->end(), Extent::fixed(1));
  op.give(std::move(out));
  return true;
}

/// Resize and Upsample: the rows must have scale 1, or their original length.
bool resize(Operator& op) {
  const Value* x = op.input(0);
  const bool upsample = op.node.op == "Upsample" || op.opset < 11;
  if (x == nullptr || x->axis != 0 || op.attribute("axes") != nullptr) {
    return false;
  }
  const Value* scales = op.input(upsample ? 1 : 2);
  const Value* sizes = upsample ? nullptr : op.input(3);
  const auto first = [](const Value* list) {
    return list != nullptr && list->numbers && !list->numbers->empty()
               ? std::optional(list->numbers->front())
               : std::nullopt;
  };
  const auto scale = first(scales);
  const auto length = first(sizes);
  const bool keeps = length ? *length == x->row_extent() : scale && scale->is_fixed(1);
  if (!keeps || (sizes != nullptr && !length)) {
    return false;
  }
  Value out{.axis = 0, .dims = x->dims, .numbers = std::nullopt};
  std::fill(out.dims->begin() + 1, out.dims->end(), Extent::open());
  (*out.dims)[1] = (*x->dims)[1];
  op.give(std::move(out));
  return true;
}

/// Moves blocks of the last two dimensions to channels and back.
bool depth_space(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || x->axis != 0 || x->rank() != 4) {
    return false;
  }
  op.give(Value::of(0, {x->row_extent(), Extent::open(), Extent::open(), Extent::open()}));
  return true;
}

}  // namespace

KnownRule window_rule(std::string_view domain, std::string_view op) {
  static const std::map<std::string_view, KnownRule, std::less<>> kRules{
      {"BatchNormalization", {per_sample}},
      {"InstanceNormalization", {per_sample}},
      {"GroupNormalization", {per_sample}},
      {"LRN", {per_sample}},
      {"Conv", {conv}},
      {"ConvInteger", {conv}},
      {"QLinearConv", {quantized_conv}},
      {"ConvTranspose", {conv_transpose}},
      {"MaxPool", {pool}},
      {"AveragePool", {pool}},
      {"LpPool", {pool}},
      {"GlobalAveragePool", {global_pool}},
      {"GlobalMaxPool", {global_pool}},
      {"GlobalLpPool", {global_pool}},
      {"Resize", {resize, true}},
      {"Upsample", {resize, true}},
      {"DepthToSpace", {depth_space}},
      {"SpaceToDepth", {depth_space}},
  };
  if (domain == "com.microsoft") {
    return op == "QLinearGlobalAveragePool" ? KnownRule{.rule = global_pool} : KnownRule{};
  }
  const auto at = kRules.find(op);
  return domain.empty() && at != kRules.end() ? at->second : KnownRule{};
}

}  // namespace podsense::model::rows
