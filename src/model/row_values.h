#pragma once

/// What row_analysis.h knows of one value of a graph, and of one operator as it meets its inputs.
/// Private to this module.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "model/onnx_graph.h"

namespace podsense::model::rows {

/// The length of a dimension, or one whole number of a tensor that is used as a shape.
struct Extent {
  enum class Kind {
    kFixed,    ///< `n`
    kRows,     ///< `n` times the number of rows; n = 0: an unknown multiple
    kOpen,     ///< unknown, and the same whatever the number of rows
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
  /// Changes with the number of rows.
  [[nodiscard]] bool varies() const { return kind == Kind::kRows || kind == Kind::kVarying; }
  bool operator==(const Extent&) const = default;
};
using Extents = std::vector<Extent>;

struct Value {
  std::optional<std::size_t> axis;  ///< the dimension of the rows; nothing: the same for all rows
  std::optional<Extents> dims;      ///< nothing: not even the rank is known; known where axis is
  std::optional<Extents> numbers;   ///< the whole numbers of a small tensor of rank 0 or 1

  static Value of(std::optional<std::size_t> axis, Extents dims) {
    return {.axis = axis, .dims = std::move(dims), .numbers = std::nullopt};
  }
  /// Its shape and rows, with other content.
  [[nodiscard]] Value alike() const {
    return {.axis = axis, .dims = dims, .numbers = std::nullopt};
  }
  [[nodiscard]] bool has_rows() const { return axis.has_value(); }
  [[nodiscard]] std::size_t rank() const { return dims->size(); }
  [[nodiscard]] const Extent& row_extent() const { return (*dims)[*axis]; }
  /// Holds the number of rows, or something made of it.
  [[nodiscard]] bool tells_rows() const;
};

/// An operator and what is known of its inputs. Rules fill in `out`, one value an output.
struct Operator {
  const GraphNode& node;
  std::vector<const Value*> in;  ///< null: left out
  std::int64_t opset = 1;
  std::vector<Value> out = {};

  [[nodiscard]] const Value* input(std::size_t i) const { return i < in.size() ? in[i] : nullptr; }
  [[nodiscard]] const GraphAttribute* attribute(std::string_view name) const;
  [[nodiscard]] std::int64_t number(std::string_view name, std::int64_t otherwise) const;
  /// Whole numbers that newer versions of an operator take as input `i` and older ones as an
  /// attribute. False in `known`: given, but not a constant.
  [[nodiscard]] std::optional<std::vector<std::int64_t>> list(std::string_view name, std::size_t i,
                                                              bool& known) const;
  void give(Value value) { out.push_back(std::move(value)); }
  /// No input from `first` on differs from row to row.
  [[nodiscard]] bool rest_constant(std::size_t first) const;
};

/// False: the rows may meet, or too little is known.
using Rule = bool (*)(Operator& op);

/// A negative axis counted from the end. Nothing: out of range.
std::optional<std::size_t> axis_of(std::int64_t axis, std::size_t rank);

/// Fixed numbers only.
std::optional<std::vector<std::int64_t>> fixed_numbers(const std::optional<Extents>& extents);

/// The product of fixed extents; nothing where one is not.
std::optional<std::int64_t> product(std::span<const Extent> extents);

/// Shape and place of the rows where values are combined element by element, by ONNX's
/// broadcasting. Nothing where rows would meet. `which`: indices of the inputs combined.
std::optional<Value> broadcast(const Operator& op, std::span<const std::size_t> which);

/// The rules of all operators that are known: empty where there is none.
struct KnownRule {
  Rule rule = nullptr;
  bool takes_sizes = false;  ///< may be given values that tell the number of rows
};
KnownRule shape_rule(std::string_view domain, std::string_view op);    // row_shape_rules.cc
KnownRule layout_rule(std::string_view domain, std::string_view op);   // row_layout_rules.cc
KnownRule window_rule(std::string_view domain, std::string_view op);   // row_window_rules.cc
KnownRule compute_rule(std::string_view domain, std::string_view op);  // row_rules.cc

}  // namespace podsense::model::rows
