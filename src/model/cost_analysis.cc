#include "model/cost_analysis.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace podsense::model {
namespace {

using Names = std::set<std::string, std::less<>>;

/// An operator whose output size depends on the values of inputs `first` to `last`.
struct SizedByInput {
  std::string_view op;
  std::size_t first;
  std::size_t last;
};
constexpr std::array<SizedByInput, 18> kSizedByInput{{{"AffineGrid", 1, 1},
                                                      {"BlackmanWindow", 0, 0},
                                                      {"CenterCropPad", 1, 1},
                                                      {"Col2Im", 1, 1},
                                                      {"ConstantOfShape", 0, 0},
                                                      {"DFT", 1, 1},
                                                      {"Expand", 1, 1},
                                                      {"HammingWindow", 0, 0},
                                                      {"HannWindow", 0, 0},
                                                      {"ImageDecoder", 0, 0},
                                                      {"MaxUnpool", 2, 2},
                                                      {"MelWeightMatrix", 0, 2},
                                                      {"OneHot", 1, 1},
                                                      {"Pad", 1, 1},
                                                      {"Range", 0, 2},
                                                      {"Resize", 2, 3},
                                                      {"Tile", 1, 1},
                                                      {"Upsample", 1, 1}}};

/// ONNX Runtime's quantised and fused operators; its other operators search, sample or decode.
bool is_plain_microsoft(std::string_view op) {
  return op.starts_with("QLinear") || op.starts_with("Fused") || op.starts_with("Quantize") ||
         op.starts_with("Dequantize") || op.starts_with("DynamicQuantize") ||
         op.starts_with("MatMul") || op.ends_with("Gelu") || op.ends_with("LayerNormalization") ||
         op.ends_with("Attention");
}

bool is_known(const GraphNode& node) {
  return node.domain.empty() || node.domain == "ai.onnx.ml" ||
         (node.domain == "com.microsoft" && is_plain_microsoft(node.op));
}

bool sized_by_values(const GraphNode& node, const Names& settled) {
  const auto* const sized = std::ranges::find(kSizedByInput, node.op, &SizedByInput::op);
  if (sized == kSizedByInput.end()) {
    return false;
  }
  for (std::size_t i = sized->first; i <= sized->last && i < node.inputs.size(); ++i) {
    if (!node.inputs[i].empty() && !settled.contains(node.inputs[i])) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool cost_depends_on_values(const Graph& graph) {
  if (graph.loops || graph.functions > 0) {
    return true;
  }
  Names settled;  // values that depend only on the inputs' shapes
  for (const auto& [name, constant] : graph.constants) {
    settled.insert(name);
  }
  for (const GraphNode& node : graph.nodes) {
    const bool nested = std::ranges::any_of(
        node.attributes, [](const auto& attribute) { return attribute.second.graph; });
    if (nested || !is_known(node) || sized_by_values(node, settled)) {
      return true;
    }
    const bool shapes = node.op == "Shape" || node.op == "Size";
    if (shapes || std::ranges::all_of(node.inputs, [&](const std::string& input) {
          return input.empty() || settled.contains(input);
        })) {
      settled.insert(node.outputs.begin(), node.outputs.end());
    }
  }
  return false;
}

}  // namespace podsense::model
