/// Operators that compute shapes, and the arithmetic that exporters insert between a value's shape
/// and the operator that uses it.
/// @source onnx/docs/Operators.md

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "model/row_values.h"

namespace podsense::model::rows {
namespace {

using Kind = Extent::Kind;
constexpr std::size_t kMaxShape = 64;  // maximum tracked numbers of a shape

bool identity(Operator& op) {
  if (op.input(0) == nullptr) {
    return false;
  }
  op.give(*op.input(0));
  return true;
}

/// The number at `i`, or the only number of a single-number value.
Extent number_at(const Value& value, std::size_t i) {
  return value.numbers->size() == 1 ? value.numbers->front() : (*value.numbers)[i];
}

Extent combine(const std::string& op, Extent a, Extent b) {
  const bool fixed = a.kind == Kind::kFixed && b.kind == Kind::kFixed;
  const bool varies = a.varies() || b.varies();
  const Extent unknown{varies ? Kind::kVarying : Kind::kOpen, 0};
  // Floats that are not integral are read as larger numbers.
  constexpr std::int64_t kMost = 1'000'000'000;
  if (fixed && (std::abs(a.n) > kMost || std::abs(b.n) > kMost)) {
    return unknown;
  }
  if (op == "Add") {
    return fixed ? Extent::fixed(a.n + b.n) : unknown;
  }
  if (op == "Sub") {
    return fixed ? Extent::fixed(a.n - b.n) : unknown;
  }
  if (op == "Mul") {
    if (a.is_rows() && b.kind == Kind::kFixed && b.n > 0) {
      return Extent::rows(a.n * b.n);
    }
    if (b.is_rows() && a.kind == Kind::kFixed && a.n > 0) {
      return Extent::rows(b.n * a.n);
    }
    return fixed ? Extent::fixed(a.n * b.n) : unknown;
  }
  if (op == "Div") {
    if (a.is_rows() && b.kind == Kind::kFixed && b.n > 0 && a.n > 0 && a.n % b.n == 0) {
      return Extent::rows(a.n / b.n);
    }
    return fixed && b.n != 0 ? Extent::fixed(a.n / b.n) : unknown;
  }
  // For Equal: a length is never negative.
  const auto negative = [](Extent e) { return e.kind == Kind::kFixed && e.n < 0; };
  if (fixed || negative(a) != negative(b)) {
    return Extent::fixed(fixed && a.n == b.n ? 1 : 0);
  }
  return unknown;
}

/// Add, Sub, Mul, Div, Equal: tracks the numbers of shapes; other values are only element-wise.
bool arithmetic(Operator& op) {
  const Value* a = op.input(0);
  const Value* b = op.input(1);
  constexpr std::array<std::size_t, 2> kBoth{0, 1};
  if (a == nullptr || b == nullptr) {
    return false;
  }
  auto out = broadcast(op, kBoth);
  const bool numbers = a->numbers && b->numbers && !a->numbers->empty() && !b->numbers->empty() &&
                       (a->numbers->size() == b->numbers->size() || a->numbers->size() == 1 ||
                        b->numbers->size() == 1);
  if (!out || (!numbers && (a->tells_rows() || b->tells_rows()))) {
    return false;
  }
  if (numbers) {
    out->numbers.emplace();
    for (std::size_t i = 0; i < std::max(a->numbers->size(), b->numbers->size()); ++i) {
      out->numbers->push_back(combine(op.node.op, number_at(*a, i), number_at(*b, i)));
    }
  }
  op.give(std::move(*out));
  return true;
}

bool where(Operator& op) {
  constexpr std::array<std::size_t, 3> kAll{0, 1, 2};
  auto out = broadcast(op, kAll);
  if (!out) {
    return false;
  }
  const Value& chosen = *op.in[0];
  const Value& yes = *op.in[1];
  const Value& no = *op.in[2];
  const auto length = [](const Value& v) { return v.numbers ? v.numbers->size() : 0; };
  const std::size_t count = std::max({length(chosen), length(yes), length(no)});
  const auto fits = [&](const Value& v) { return length(v) == count || length(v) == 1; };
  if (chosen.tells_rows()) {
    return false;
  }
  if (count > 0 && fits(chosen) && fits(yes) && fits(no)) {
    out->numbers.emplace();
    for (std::size_t i = 0; i < count; ++i) {
      const Extent which = number_at(chosen, i);
      const Extent a = number_at(yes, i);
      const Extent b = number_at(no, i);
      const bool varies = a.varies() || b.varies();
      out->numbers->push_back(which.kind == Kind::kFixed
                                  ? (which.n != 0 ? a : b)
                                  : Extent{varies ? Kind::kVarying : Kind::kOpen, 0});
    }
  } else if (yes.tells_rows() || no.tells_rows()) {
    return false;
  }
  op.give(std::move(*out));
  return true;
}

bool shape(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims) {
    return false;
  }
  const auto rank = static_cast<std::int64_t>(x->rank());
  const auto place = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t begin = place(op.number("start", 0));
  const std::int64_t end = std::max(begin, place(op.number("end", rank)));
  Value out{.axis = std::nullopt, .dims = Extents{Extent::fixed(end - begin)}, .numbers = {}};
  out.numbers = Extents(x->dims->begin() + begin, x->dims->begin() + end);
  op.give(std::move(out));
  return true;
}

bool size(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims || x->has_rows()) {
    return false;
  }
  const auto count = product(*x->dims);
  op.give({.axis = std::nullopt,
           .dims = Extents{},
           .numbers = Extents{count ? Extent::fixed(*count) : Extent::open()}});
  return true;
}

bool constant(Operator& op) {
  Value out;
  const GraphAttribute* tensor = op.attribute("value");
  if (tensor != nullptr && tensor->tensor) {
    out.dims.emplace();
    std::ranges::transform(tensor->tensor->dims, std::back_inserter(*out.dims), Extent::fixed);
    if (tensor->tensor->numbers && out.dims->size() <= 1) {
      out.numbers.emplace();
      std::ranges::transform(*tensor->tensor->numbers, std::back_inserter(*out.numbers),
                             Extent::fixed);
    }
  } else if (const GraphAttribute* one = op.attribute("value_int"); one != nullptr && one->number) {
    out.dims.emplace();
    out.numbers = Extents{Extent::fixed(*one->number)};
  } else if (const GraphAttribute* list = op.attribute("value_ints")) {
    out.numbers.emplace();
    std::ranges::transform(list->numbers, std::back_inserter(*out.numbers), Extent::fixed);
    out.dims = Extents{Extent::fixed(static_cast<std::int64_t>(list->numbers.size()))};
  } else if (op.attribute("value_float") != nullptr || op.attribute("value_string") != nullptr) {
    out.dims.emplace();
  }
  op.give(std::move(out));
  return true;
}

/// Finds the dimension of the rows in a computed shape: exactly one dimension may be the number of
/// rows, with factor 1.
bool place_rows(const Extents& lengths, std::optional<std::size_t>& axis) {
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i].kind == Kind::kVarying ||
        (lengths[i].is_rows() && (axis || lengths[i].n != 1))) {
      return false;
    }
    if (lengths[i].is_rows()) {
      axis = i;
    }
  }
  return true;
}

bool constant_of_shape(Operator& op) {
  const Value* lengths = op.input(0);
  if (lengths == nullptr || !lengths->numbers) {
    return false;
  }
  Value out{.axis = std::nullopt, .dims = lengths->numbers, .numbers = std::nullopt};
  if (!place_rows(*out.dims, out.axis)) {
    return false;
  }
  const GraphAttribute* value = op.attribute("value");
  const auto count = product(*out.dims);
  if (out.rank() <= 1 && count && static_cast<std::size_t>(*count) <= kMaxShape &&
      (value == nullptr ||
       (value->tensor && value->tensor->numbers && value->tensor->numbers->size() == 1))) {
    const std::int64_t filled = value == nullptr ? 0 : value->tensor->numbers->front();
    out.numbers = Extents(static_cast<std::size_t>(*count), Extent::fixed(filled));
  }
  op.give(std::move(out));
  return true;
}

bool expand(Operator& op) {
  const Value* x = op.input(0);
  const Value* lengths = op.input(1);
  if (x == nullptr || lengths == nullptr || !x->dims || !lengths->numbers || x->tells_rows()) {
    return false;
  }
  Value target{.axis = std::nullopt, .dims = lengths->numbers, .numbers = std::nullopt};
  if (!place_rows(*target.dims, target.axis)) {
    return false;
  }
  const Operator both{.node = op.node, .in = {x, &target}};
  constexpr std::array<std::size_t, 2> kBoth{0, 1};
  auto out = broadcast(both, kBoth);
  if (!out) {
    return false;
  }
  op.give(std::move(*out));
  return true;
}

bool tile(Operator& op) {
  const Value* x = op.input(0);
  bool known = true;
  const auto repeats = op.list("", 1, known);
  if (x == nullptr || !x->dims || !known || !repeats || repeats->size() != x->rank()) {
    return false;
  }
  Value out = x->alike();
  for (std::size_t i = 0; i < x->rank(); ++i) {
    Extent& extent = (*out.dims)[i];
    if ((*repeats)[i] == 1) {
      continue;
    }
    if (x->axis == i) {
      return false;
    }
    extent = extent.kind == Kind::kFixed ? Extent::fixed(extent.n * (*repeats)[i]) : Extent::open();
  }
  op.give(std::move(out));
  return true;
}

/// Its output length depends on its inputs' values, so these must not depend on the rows.
bool range(Operator& op) {
  if (!op.rest_constant(0)) {
    return false;
  }
  op.give(Value::of(std::nullopt, {Extent::open()}));
  return true;
}

}  // namespace

KnownRule shape_rule(std::string_view domain, std::string_view op) {
  static const std::map<std::string_view, KnownRule, std::less<>> kRules{
      {"Identity", {identity, true}},
      {"Cast", {identity, true}},
      {"Add", {arithmetic, true}},
      {"Sub", {arithmetic, true}},
      {"Mul", {arithmetic, true}},
      {"Div", {arithmetic, true}},
      {"Equal", {arithmetic, true}},
      {"Where", {where, true}},
      {"Shape", {shape, true}},
      {"Size", {size}},
      {"Constant", {constant}},
      {"ConstantOfShape", {constant_of_shape, true}},
      {"Expand", {expand, true}},
      {"Tile", {tile}},
      {"Range", {range}},
  };
  const auto at = kRules.find(op);
  return domain.empty() && at != kRules.end() ? at->second : KnownRule{};
}

}  // namespace podsense::model::rows
