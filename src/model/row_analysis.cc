#include "model/row_analysis.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "model/row_values.h"

namespace podsense::model {
namespace rows {

bool Value::tells_rows() const {
  return numbers && std::ranges::any_of(*numbers, &Extent::varies);
}

const GraphAttribute* Operator::attribute(std::string_view name) const {
  const auto at = node.attributes.find(name);
  return at == node.attributes.end() ? nullptr : &at->second;
}

std::int64_t Operator::number(std::string_view name, std::int64_t otherwise) const {
  const GraphAttribute* found = attribute(name);
  return found != nullptr ? found->number.value_or(otherwise) : otherwise;
}

std::optional<std::vector<std::int64_t>> Operator::list(std::string_view name, std::size_t i,
                                                        bool& known) const {
  known = true;
  if (const GraphAttribute* found = attribute(name)) {
    return found->numbers;
  }
  const Value* value = input(i);
  if (value == nullptr) {
    return std::nullopt;
  }
  auto numbers = fixed_numbers(value->numbers);
  known = numbers.has_value();
  return numbers;
}

bool Operator::rest_constant(std::size_t first) const {
  return std::ranges::none_of(in.begin() + static_cast<std::ptrdiff_t>(std::min(first, in.size())),
                              in.end(), [](const Value* value) {
                                return value != nullptr &&
                                       (value->has_rows() || value->tells_rows());
                              });
}

std::optional<std::size_t> axis_of(std::int64_t axis, std::size_t rank) {
  const auto count = static_cast<std::int64_t>(rank);
  if (axis < -count || axis >= count) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(axis < 0 ? axis + count : axis);
}

std::optional<std::vector<std::int64_t>> fixed_numbers(const std::optional<Extents>& extents) {
  if (!extents) {
    return std::nullopt;
  }
  std::vector<std::int64_t> out;
  for (const Extent& extent : *extents) {
    if (extent.kind != Extent::Kind::kFixed) {
      return std::nullopt;
    }
    out.push_back(extent.n);
  }
  return out;
}

std::optional<std::int64_t> product(std::span<const Extent> extents) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40U;
  std::int64_t out = 1;
  for (const Extent& extent : extents) {
    if (extent.kind != Extent::Kind::kFixed || extent.n < 0 || extent.n > kMost) {
      return std::nullopt;
    }
    out *= extent.n;
    if (out > kMost) {
      return std::nullopt;
    }
  }
  return out;
}

namespace {

/// The extent `from_right` positions before the last one; 1 if there is no such dimension.
Extent extent_from_right(const Value& value, std::size_t from_right) {
  return from_right < value.rank() ? (*value.dims)[value.rank() - 1 - from_right]
                                   : Extent::fixed(1);
}

std::size_t rows_from_right(const Value& value) {
  return value.rank() - 1 - *value.axis;
}

Extent merged(const Extent& a, const Extent& b) {
  if (a.is_fixed(1)) {
    return b;
  }
  return b.is_fixed(1) || a.kind != Extent::Kind::kOpen ? a : b;
}

}  // namespace

std::optional<Value> broadcast(const Operator& op, std::span<const std::size_t> which) {
  const Value* rows = nullptr;
  std::size_t rank = 0;
  for (const std::size_t i : which) {
    const Value* value = op.input(i);
    if (value == nullptr || !value->dims) {
      return std::nullopt;
    }
    rank = std::max(rank, value->rank());
    if (value->has_rows()) {
      rows = value;
    }
  }
  for (const std::size_t i : which) {
    const Value& value = *op.input(i);
    if (rows == nullptr) {
      break;
    }
    const std::size_t place = rows_from_right(*rows);
    // Unknown multiples must be equal, or the run fails: broadcasting needs equal lengths.
    const auto multiple = [](const Value& v) { return v.row_extent().n; };
    const bool agrees = value.has_rows() ? rows_from_right(value) == place &&
                                               (multiple(value) == multiple(*rows) ||
                                                multiple(value) == 0 || multiple(*rows) == 0)
                                         : extent_from_right(value, place).is_fixed(1);
    if (!agrees) {
      return std::nullopt;
    }
  }
  Value out{.axis = std::nullopt, .dims = Extents(rank, Extent::fixed(1)), .numbers = std::nullopt};
  for (const std::size_t i : which) {
    for (std::size_t r = 0; r < rank; ++r) {
      Extent& extent = (*out.dims)[rank - 1 - r];
      extent = merged(extent, extent_from_right(*op.input(i), r));
    }
  }
  if (rows != nullptr) {
    out.axis = rank - 1 - rows_from_right(*rows);
  }
  return out;
}

}  // namespace rows

namespace {

using rows::Extent;
using rows::Extents;
using rows::KnownRule;
using rows::Operator;
using rows::Value;

tl::unexpected<Error> unproven(std::string why) {
  return fail(ErrorCode::kUnimplemented, std::move(why));
}

std::string described(const GraphNode& node) {
  return "operator " + node.op + (node.name.empty() ? "" : " ('" + node.name + "')");
}

Value constant_value(const GraphConstant& constant) {
  Value out;
  out.dims.emplace();
  for (const std::int64_t dim : constant.dims) {
    out.dims->push_back(Extent::fixed(dim));
  }
  if (constant.numbers && constant.dims.size() <= 1) {
    out.numbers.emplace();
    std::ranges::transform(*constant.numbers, std::back_inserter(*out.numbers), Extent::fixed);
  }
  return out;
}

class Analysis {
 public:
  explicit Analysis(const Graph& graph) : graph_(graph) {}

  Result<void> run(std::span<const TensorInfo> inputs, std::span<const TensorInfo> outputs) {
    if (graph_.functions > 0) {
      return unproven("the model defines operators of its own, which are not examined");
    }
    for (const auto& [name, constant] : graph_.constants) {
      values_.emplace(name, constant_value(constant));
    }
    for (const TensorInfo& input : inputs) {
      values_.insert_or_assign(input.name, input_value(input));
    }
    for (const GraphNode& node : graph_.nodes) {
      if (auto done = apply(node); !done) {
        return done;
      }
    }
    for (const TensorInfo& output : outputs) {
      const auto at = values_.find(output.name);
      const bool fine =
          at != values_.end() && at->second.axis == 0 && at->second.row_extent() == Extent::rows();
      if (!fine) {
        return unproven("output '" + output.name + "' does not hold one entry for each row");
      }
    }
    return {};
  }

 private:
  static Value input_value(const TensorInfo& input) {
    Value out{.axis = 0, .dims = Extents{Extent::rows()}, .numbers = std::nullopt};
    for (std::size_t i = 1; i < input.shape.size(); ++i) {
      out.dims->push_back(input.shape[i] < 0 ? Extent::open() : Extent::fixed(input.shape[i]));
    }
    return out;
  }

  static KnownRule rule_of(const GraphNode& node) {
    for (const auto find :
         {rows::shape_rule, rows::layout_rule, rows::window_rule, rows::compute_rule}) {
      if (const KnownRule rule = find(node.domain, node.op); rule.rule != nullptr) {
        return rule;
      }
    }
    return {};
  }

  Result<void> apply(const GraphNode& node) {
    Operator op{.node = node, .in = {}, .opset = graph_.opset};
    bool any_rows = false;
    bool tells_rows = false;
    for (const std::string& name : node.inputs) {
      const auto at = values_.find(name);
      if (!name.empty() && at == values_.end()) {
        return unproven(described(node) + " takes '" + name + "', which nothing gives");
      }
      op.in.push_back(name.empty() ? nullptr : &at->second);
      any_rows = any_rows || (op.in.back() != nullptr && op.in.back()->has_rows());
      tells_rows = tells_rows || (op.in.back() != nullptr && op.in.back()->tells_rows());
    }
    const bool nested = std::ranges::any_of(
        node.attributes, [](const auto& attribute) { return attribute.second.graph; });
    const bool random = node.op.starts_with("Random") || node.op == "Multinomial" ||
                        node.op == "Bernoulli" || node.op == "Dropout";
    if (nested) {
      return unproven(described(node) + " holds a graph of its own, which is not examined");
    }
    const KnownRule known = rule_of(node);
    const bool applied =
        known.rule != nullptr && (!tells_rows || known.takes_sizes) && known.rule(op);
    if (!applied && (any_rows || tells_rows || random)) {
      return unproven(known.rule == nullptr
                          ? described(node) + " is not known to treat each row by itself"
                          : described(node) + " may let one row see another");
    }
    if (!applied) {  // all inputs are constant, so the output is, too
      op.out.assign(node.outputs.size(), Value{});
    }
    keep(node, std::move(op.out));
    return {};
  }

  void keep(const GraphNode& node, std::vector<Value> out) {
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.outputs[i].empty() && i < out.size()) {
        values_.insert_or_assign(node.outputs[i], std::move(out[i]));
      }
    }
  }

  const Graph& graph_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace

Result<void> prove_rows_apart(const Graph& graph, std::span<const TensorInfo> inputs,
                              std::span<const TensorInfo> outputs) {
  return Analysis(graph).run(inputs, outputs);
}

}  // namespace podsense::model
