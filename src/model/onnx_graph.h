#pragma once

/// The structure of an ONNX file: its operators, their connections, and small integer constants
/// (axes, shapes). Weights are skipped, so reading needs little memory. Private to this module.
/// @source onnx/onnx.proto (field numbers)

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::model {

/// A constant tensor. `numbers` contains its values if they are few and all are integers or floats
/// with integral values.
struct GraphConstant {
  std::vector<std::int64_t> dims;
  std::optional<std::vector<std::int64_t>> numbers;
};

struct GraphAttribute {
  std::optional<std::int64_t> number;
  std::vector<std::int64_t> numbers;
  std::string text;
  std::optional<GraphConstant> tensor;
  bool graph = false;  ///< holds a subgraph (If, Loop, Scan)
};

struct GraphNode {
  std::string op;
  std::string domain;  ///< empty: ai.onnx
  std::string name;
  std::vector<std::string> inputs;   ///< an empty name: omitted
  std::vector<std::string> outputs;  ///< as inputs
  std::map<std::string, GraphAttribute, std::less<>> attributes;
};

/// An input or output of the graph, as declared in the file.
struct GraphValue {
  std::string name;
  bool tensor = false;                            ///< false: a sequence, a map, or no type
  std::int32_t type = 0;                          ///< TensorProto.DataType; 0: not declared
  std::optional<std::vector<std::int64_t>> dims;  ///< -1: dynamic; unset: no shape
  std::vector<std::string> dim_names;             ///< of `dims`; empty: none
};

struct Graph {
  std::vector<GraphNode> nodes;  ///< each after those it depends on
  std::map<std::string, GraphConstant, std::less<>> constants;
  std::int64_t opset = 1;                       ///< of ai.onnx
  std::set<std::string, std::less<>> unranked;  ///< inputs and outputs without a shape
  std::size_t functions = 0;                    ///< number of operators defined in the file itself
  bool loops = false;                           ///< a Loop or Scan, at any depth
  std::vector<GraphValue> inputs;               ///< without those that have constants
  std::vector<GraphValue> outputs;
  std::map<std::string, std::string, std::less<>> metadata;
};

/// @errors kInvalidArgument: the file cannot be read or is not an ONNX model (.ort files are not)
Result<Graph> read_graph(const std::filesystem::path& file);

}  // namespace podsense::model
