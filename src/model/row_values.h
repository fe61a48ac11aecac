#pragma once

/// The knowledge of row_analysis.h about a value of the graph, and about an operator with its
/// inputs. Private to this module.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "model/onnx_graph.h"

namespace podsense::model::rows {

/// The length of a dimension, or one integer of a tensor that is used as a shape.
struct Extent {
  enum class Kind {
    kFixed,    ///< `n`
    kRows,     ///< `n` times the number of rows; n = 0: an unknown multiple
    kOpen,     ///< unknown, but independent of the number of rows
    kVarying,  ///< depends on the number of rows in an unknown way
  };
  Kind kind = Kind::kOpen;
  std::int64_t n = 0;

  static Extent fixed(std::int64_t n) { return {Kind::kFixed, n}; }
  static Extent rows(std::int64_t multiple = 1) { return {Kind::kRows, multiple}; }
  static Extent open() { return {}; }
  [[nodiscard]] bool is_fixed(std::int64_t value) const {
    return kind == Kind::kFixed && n == value;
  }
  [[nodiscard]] bool is_rows() const { return kind == Kind::kRows; }
  /// Whether it depends on the number of rows.
  [[nodiscard]] bool varies() const { return kind == Kind::kRows || kind == Kind::kVarying; }
  bool operator==(const Extent&) const = default;
};
using Extents = std::vector<Extent>;

struct Value {
  std::optional<std::size_t> axis;  ///< the dimension of the rows; nothing: equal for all rows
  std::optional<Extents> dims;      ///< nothing: even the rank is unknown; always set if axis is
  std::optional<Extents> numbers;   ///< the integers of a small tensor of rank 0 or 1

  static Value of(std::optional<std::size_t> axis, Extents dims) {
    return {.axis = axis, .dims = std::move(dims), .numbers = std::nullopt};
  }
  /// A value with the same shape and rows, but unknown content.
  [[nodiscard]] Value alike() const {
    return {.axis = axis, .dims = dims, .numbers = std::nullopt};
  }
  [[nodiscard]] bool has_rows() const { return axis.has_value(); }
  [[nodiscard]] std::size_t rank() const { return dims->size(); }
  [[nodiscard]] const Extent& row_extent() const { return (*dims)[*axis]; }
  /// Whether its numbers depend on the number of rows.
  [[nodiscard]] bool tells_rows() const;
};

/// An operator and the knowledge about its inputs. Rules fill `out`, one value per output.
struct Operator {
  const GraphNode& node;
  std::vector<const Value*> in;  ///< null: omitted
  std::int64_t opset = 1;
  std::vector<Value> out = {};

  [[nodiscard]] const Value* input(std::size_t i) const { return i < in.size() ? in[i] : nullptr; }
  [[nodiscard]] const GraphAttribute* attribute(std::string_view name) const;
  [[nodiscard]] std::int64_t number(std::string_view name, std::int64_t otherwise) const;
  /// Integers that newer versions of an operator take as input `i` and older ones as an attribute.
  /// Sets `known` to false if they are present but not constant.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> list(std::string_view name, std::size_t i,
                                                              bool& known) const;
  void give(Value value) { out.push_back(std::move(value)); }
  /// Whether all inputs from `first` on are equal for all rows.
  [[nodiscard]] bool rest_constant(std::size_t first) const;
};

/// False: rows may mix, or too little is known.
using Rule = bool (*)(Operator& op);

/// Normalises an axis; negative ones count from the end. Nothing: out of range.
std::optional<std::size_t> axis_of(std::int64_t axis, std::size_t rank);

/// The numbers if all are fixed, else nothing.
std::optional<std::vector<std::int64_t>> fixed_numbers(const std::optional<Extents>& extents);

/// The product of the extents; nothing if one is not fixed.
std::optional<std::int64_t> product(std::span<const Extent> extents);

/// The shape and row dimension after an element-wise operation with ONNX's broadcasting. Nothing:
/// rows would mix. `which`: indices of the inputs.
std::optional<Value> broadcast(const Operator& op, std::span<const std::size_t> which);

/// The rule of an operator; empty: the operator is unknown.
struct KnownRule {
  Rule rule = nullptr;
  bool takes_sizes = false;  ///< may get inputs whose numbers depend on the number of rows
};
KnownRule shape_rule(std::string_view domain, std::string_view op);    // row_shape_rules.cc
KnownRule layout_rule(std::string_view domain, std::string_view op);   // row_layout_rules.cc
KnownRule window_rule(std::string_view domain, std::string_view op);   // row_window_rules.cc
KnownRule compute_rule(std::string_view domain, std::string_view op);  // row_rules.cc

}  // namespace podsense::model::rows
