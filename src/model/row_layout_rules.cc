/// Operators that move values without computing: reshapes, slices, joins.
/// @source onnx/docs/Operators.md

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <numeric>

#include "model/row_values.h"

namespace podsense::model::rows {
namespace {

using Kind = Extent::Kind;
using Numbers = std::vector<std::int64_t>;
constexpr std::size_t kMaxShape = 64;  // maximum tracked numbers of a shape

/// The target lengths of a Reshape, with zeros replaced by the input's lengths.
std::optional<Extents> wanted_lengths(const Operator& op, const Value& x) {
  const Value* given = op.input(1);
  const GraphAttribute* old = op.attribute("shape");
  Extents lengths;
  if (given != nullptr && given->numbers) {
    lengths = *given->numbers;
  } else if (given == nullptr && old != nullptr) {
    std::ranges::transform(old->numbers, std::back_inserter(lengths), Extent::fixed);
  } else {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i].is_fixed(0)) {
      if (op.number("allowzero", 0) != 0 || i >= x.rank()) {
        return std::nullopt;
      }
      lengths[i] = (*x.dims)[i];
    }
  }
  return lengths;
}

/// Rows are consecutive in memory, so they stay intact if the new first dimension is the number of
/// rows, or that times a factor that divides a row evenly. Sets that dimension.
bool reshape_first(const Value& x, Extents& lengths) {
  if (lengths.empty()) {
    return false;
  }
  if (lengths[0].is_rows()) {
    return true;
  }
  if (!lengths[0].is_fixed(-1)) {
    return false;
  }
  const auto rest = product(std::span(lengths).subspan(1));
  if (!rest || *rest < 1) {
    return false;
  }
  std::int64_t tail = 1;  // product of x's last dimensions
  for (std::size_t i = x.rank(); i-- > 1;) {
    const Extent extent = (*x.dims)[i];
    if (extent.kind != Kind::kFixed || extent.n < 1) {
      break;
    }
    tail *= extent.n;
    if (tail % *rest == 0) {
      const auto row = product(std::span(*x.dims).subspan(1));
      const bool known = row && *row > 0 && x.row_extent().n > 0;
      lengths[0] = Extent::rows(known ? x.row_extent().n * (*row / *rest) : 0);
      return true;
    }
  }
  return false;
}

/// The dimension of the rows and all before it must stay unchanged.
bool reshape_behind(const Value& x, const Extents& lengths) {
  if (lengths.size() <= *x.axis) {
    return false;
  }
  for (std::size_t i = 0; i <= *x.axis; ++i) {
    const Extent& before = (*x.dims)[i];
    if (!(before == lengths[i]) || before.kind == Kind::kOpen || before.kind == Kind::kVarying ||
        (before.is_rows() && before.n == 0)) {
      return false;
    }
  }
  return true;
}

bool reshape(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims) {
    return false;
  }
  auto lengths = wanted_lengths(op, *x);
  if (!lengths) {
    return false;
  }
  Value out{.axis = x->axis, .dims = std::nullopt, .numbers = x->numbers};
  if (x->has_rows() &&
      !(*x->axis == 0 ? reshape_first(*x, *lengths) : reshape_behind(*x, *lengths))) {
    return false;
  }
  for (std::size_t i = 0; i < lengths->size(); ++i) {
    if (x->axis != i && (*lengths)[i].varies()) {
      return false;
    }
  }
  for (Extent& length : *lengths) {
    if (length.is_fixed(-1)) {
      length = Extent::open();
    }
  }
  if (lengths->size() > 1) {
    out.numbers.reset();
  }
  if (x->tells_rows() && !out.numbers) {
    return false;
  }
  out.dims = std::move(*lengths);
  op.give(std::move(out));
  return true;
}

bool flatten(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims) {
    return false;
  }
  const auto rank = static_cast<std::int64_t>(x->rank());
  const std::int64_t given = op.number("axis", 1);
  const std::int64_t axis = given < 0 ? given + rank : given;
  if (axis < 0 || axis > rank || (x->has_rows() && (*x->axis != 0 || axis == 0))) {
    return false;
  }
  const auto joined = [](std::span<const Extent> extents) {
    const auto count = product(extents);
    return count ? Extent::fixed(*count) : Extent::open();
  };
  const std::span<const Extent> all(*x->dims);
  const auto before = all.first(static_cast<std::size_t>(axis));
  Value out{.axis = x->axis,
            .dims = Extents{Extent::open(), joined(all.subspan(static_cast<std::size_t>(axis)))},
            .numbers = std::nullopt};
  if (x->has_rows()) {
    const auto more = product(before.subspan(1));
    out.dims->front() = Extent::rows(more ? x->row_extent().n * *more : 0);
  } else {
    out.dims->front() = joined(before);
  }
  op.give(std::move(out));
  return true;
}

bool transpose(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims) {
    return false;
  }
  Numbers order(x->rank());
  if (const GraphAttribute* perm = op.attribute("perm")) {
    order = perm->numbers;
  } else {
    std::iota(order.rbegin(), order.rend(), 0);
  }
  if (order.size() != x->rank()) {
    return false;
  }
  Value out = Value::of(std::nullopt, {});
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto from = axis_of(order[i], x->rank());
    if (!from) {
      return false;
    }
    out.dims->push_back((*x->dims)[*from]);
    if (x->axis == from) {
      out.axis = i;
    }
  }
  op.give(std::move(out));
  return true;
}

bool squeeze(Operator& op) {
  const Value* x = op.input(0);
  bool known = true;
  const auto axes = op.list("axes", 1, known);
  if (x == nullptr || !x->dims || !known || (!axes && x->has_rows())) {
    return false;  // without axes, a batch of one row would lose its dimension
  }
  std::vector<bool> gone(x->rank(), false);
  for (std::size_t i = 0; !axes && i < x->rank(); ++i) {
    gone[i] = (*x->dims)[i].is_fixed(1);
  }
  for (const std::int64_t each : axes.value_or(Numbers{})) {
    const auto axis = axis_of(each, x->rank());
    if (!axis || axis == x->axis) {
      return false;
    }
    gone[*axis] = true;
  }
  Value out{.axis = std::nullopt, .dims = Extents{}, .numbers = x->numbers};
  for (std::size_t i = 0; i < x->rank(); ++i) {
    if (x->axis == i) {
      out.axis = out.dims->size();
    }
    if (!gone[i]) {
      out.dims->push_back((*x->dims)[i]);
    }
  }
  op.give(std::move(out));
  return true;
}

bool unsqueeze(Operator& op) {
  const Value* x = op.input(0);
  bool known = true;
  const auto axes = op.list("axes", 1, known);
  if (x == nullptr || !x->dims || !known || !axes) {
    return false;
  }
  std::vector<bool> added(x->rank() + axes->size(), false);
  for (const std::int64_t each : *axes) {
    const auto axis = axis_of(each, added.size());
    if (!axis || added[*axis]) {
      return false;
    }
    added[*axis] = true;
  }
  Value out = Value::of(std::nullopt, {});
  std::size_t from = 0;
  for (const bool is_new : added) {
    if (!is_new && x->axis == from) {
      out.axis = out.dims->size();
    }
    out.dims->push_back(is_new ? Extent::fixed(1) : (*x->dims)[from]);
    from += is_new ? 0 : 1;
  }
  if (out.rank() <= 1) {
    out.numbers = x->numbers;
  } else if (x->tells_rows()) {
    return false;
  }
  op.give(std::move(out));
  return true;
}

/// Concatenates lists of numbers.
bool concat_numbers(Operator& op) {
  Value out{.axis = std::nullopt, .dims = std::nullopt, .numbers = Extents{}};
  for (const Value* value : op.in) {
    if (value == nullptr || !value->numbers || !value->dims || value->rank() != 1 ||
        out.numbers->size() + value->numbers->size() > kMaxShape) {
      return false;
    }
    out.numbers->insert(out.numbers->end(), value->numbers->begin(), value->numbers->end());
  }
  out.dims = Extents{Extent::fixed(static_cast<std::int64_t>(out.numbers->size()))};
  op.give(std::move(out));
  return true;
}

bool concat(Operator& op) {
  if (concat_numbers(op)) {
    return true;
  }
  op.out.clear();
  if (op.in.empty() || op.in[0] == nullptr || !op.in[0]->dims) {
    return false;
  }
  const Value& first = *op.in[0];
  const auto axis = axis_of(op.number("axis", 1), first.rank());
  if (!axis || axis == first.axis) {
    return false;
  }
  Value out{.axis = first.axis, .dims = first.dims, .numbers = std::nullopt};
  Extent& length = (*out.dims)[*axis];
  for (std::size_t i = 0; i < op.in.size(); ++i) {
    const Value* value = op.in[i];
    if (value == nullptr || !value->dims || value->rank() != first.rank() ||
        value->axis != first.axis || value->tells_rows()) {
      return false;
    }
    if (i > 0) {
      const Extent more = (*value->dims)[*axis];
      length = length.kind == Kind::kFixed && more.kind == Kind::kFixed
                   ? Extent::fixed(length.n + more.n)
                   : Extent::open();
    }
  }
  op.give(std::move(out));
  return true;
}

bool split(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims || !op.rest_constant(1)) {
    return false;
  }
  const auto axis = axis_of(op.number("axis", 0), x->rank());
  if (!axis || axis == x->axis || x->tells_rows()) {
    return false;
  }
  bool known = true;
  const auto lengths = op.list("split", 1, known);
  const Extent whole = (*x->dims)[*axis];
  const auto parts = static_cast<std::int64_t>(op.node.outputs.size());
  for (std::size_t i = 0; i < op.node.outputs.size(); ++i) {
    Value part = x->alike();
    const bool even = !lengths && known && whole.kind == Kind::kFixed && whole.n % parts == 0;
    (*part.dims)[*axis] = lengths && i < lengths->size() ? Extent::fixed((*lengths)[i])
                          : even                         ? Extent::fixed(whole.n / parts)
                                                         : Extent::open();
    op.give(std::move(part));
  }
  return true;
}

/// The parameters of Slice, from attributes or inputs.
struct Slices {
  std::optional<Numbers> axes, steps;
  std::optional<Extents> starts, ends;
};

std::optional<Slices> slices_of(const Operator& op) {
  Slices out;
  bool axes_known = true;
  bool steps_known = true;
  out.axes = op.list("axes", 3, axes_known);
  out.steps = op.list("steps", 4, steps_known);
  const auto bounds = [&](std::string_view name, std::size_t i) -> std::optional<Extents> {
    if (const GraphAttribute* given = op.attribute(name)) {
      Extents numbers;
      std::ranges::transform(given->numbers, std::back_inserter(numbers), Extent::fixed);
      return numbers;
    }
    return op.input(i) == nullptr ? std::nullopt : op.input(i)->numbers;
  };
  out.starts = bounds("starts", 1);
  out.ends = bounds("ends", 2);
  return axes_known && steps_known ? std::optional(std::move(out)) : std::nullopt;
}

/// The length after slicing, for a step of 1.
Extent sliced(Extent length, Extent start, Extent end) {
  if (length.kind != Kind::kFixed || start.kind != Kind::kFixed || end.kind != Kind::kFixed) {
    return Extent::open();
  }
  const auto place = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + length.n : at, 0, length.n);
  };
  return Extent::fixed(std::max<std::int64_t>(0, place(end.n) - place(start.n)));
}

bool slice_numbers(const Value& x, const Slices& s, Value& out) {
  const auto count = static_cast<std::int64_t>(x.numbers->size());
  const auto place = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + count : at, 0, count);
  };
  const bool simple = s.starts && s.ends && s.starts->size() == 1 && s.ends->size() == 1 &&
                      s.starts->front().kind == Kind::kFixed &&
                      s.ends->front().kind == Kind::kFixed && (!s.steps || *s.steps == Numbers{1});
  if (!simple) {
    return false;
  }
  const std::int64_t begin = place(s.starts->front().n);
  const std::int64_t end = std::max(begin, place(s.ends->front().n));
  out.numbers = Extents(x.numbers->begin() + begin, x.numbers->begin() + end);
  out.dims = Extents{Extent::fixed(end - begin)};
  return true;
}

bool slice(Operator& op) {
  const Value* x = op.input(0);
  const auto s = slices_of(op);
  if (x == nullptr || !x->dims || !s) {
    return false;
  }
  Value out = x->alike();
  if (x->numbers && x->rank() == 1) {
    if (slice_numbers(*x, *s, out)) {
      op.give(std::move(out));
      return true;
    }
    return false;
  }
  if (!s->starts || !s->ends || s->starts->size() != s->ends->size()) {
    return !x->has_rows() && (op.give(Value{}), true);
  }
  for (std::size_t i = 0; i < s->starts->size(); ++i) {
    const auto axis = axis_of(
        s->axes && i < s->axes->size() ? (*s->axes)[i] : static_cast<std::int64_t>(i), x->rank());
    const Extent start = (*s->starts)[i];
    const Extent end = (*s->ends)[i];
    const bool forward = !s->steps || (i < s->steps->size() && (*s->steps)[i] == 1);
    if (!axis || start.varies()) {
      return false;
    }
    if (axis == x->axis) {
      const bool all =
          end.kind == Kind::kFixed && end.n >= std::numeric_limits<std::int32_t>::max();
      if (!start.is_fixed(0) || !forward || !all) {
        return false;
      }
      continue;
    }
    if (end.varies()) {
      return false;
    }
    (*out.dims)[*axis] = forward ? sliced((*x->dims)[*axis], start, end) : Extent::open();
  }
  op.give(std::move(out));
  return true;
}

bool gather(Operator& op) {
  const Value* x = op.input(0);
  const Value* at = op.input(1);
  if (x == nullptr || at == nullptr || !x->dims || !at->dims || at->tells_rows()) {
    return false;
  }
  const auto axis = axis_of(op.number("axis", 0), x->rank());
  if (!axis || axis == x->axis || (x->has_rows() && at->has_rows())) {
    return false;
  }
  Value out = Value::of(std::nullopt, {});
  const auto cut = static_cast<std::ptrdiff_t>(*axis);
  out.dims->assign(x->dims->begin(), x->dims->begin() + cut);
  out.dims->insert(out.dims->end(), at->dims->begin(), at->dims->end());
  out.dims->insert(out.dims->end(), x->dims->begin() + cut + 1, x->dims->end());
  if (at->has_rows()) {
    out.axis = *axis + *at->axis;
  } else if (x->has_rows()) {
    out.axis = *x->axis < *axis ? *x->axis : *x->axis + at->rank() - 1;
  }
  if (x->numbers && x->rank() == 1 && at->numbers) {
    out.numbers.emplace();
    for (const Extent& index : *at->numbers) {
      const auto place =
          index.kind == Kind::kFixed ? axis_of(index.n, x->numbers->size()) : std::nullopt;
      if (!place) {
        out.numbers.reset();
        break;
      }
      out.numbers->push_back((*x->numbers)[*place]);
    }
  }
  if (x->tells_rows() && !out.numbers) {
    return false;
  }
  op.give(std::move(out));
  return true;
}

bool gather_elements(Operator& op) {
  const Value* x = op.input(0);
  const Value* at = op.input(1);
  if (x == nullptr || at == nullptr || !x->has_rows() || x->axis != at->axis ||
      axis_of(op.number("axis", 0), x->rank()) == x->axis) {
    return false;
  }
  op.give({.axis = at->axis, .dims = at->dims, .numbers = std::nullopt});
  return true;
}

bool pad(Operator& op) {
  const Value* x = op.input(0);
  bool known = true;
  bool axes_known = true;
  const auto pads = op.list("pads", 1, known);
  const auto axes = op.list("", 3, axes_known);
  if (x == nullptr || !x->dims || !known || !axes_known || !pads || !op.rest_constant(1)) {
    return false;
  }
  Numbers which(x->rank());
  std::iota(which.begin(), which.end(), 0);
  which = axes.value_or(which);
  if (pads->size() != 2 * which.size()) {
    return false;
  }
  Value out = x->alike();
  for (std::size_t i = 0; i < which.size(); ++i) {
    const auto axis = axis_of(which[i], x->rank());
    const std::int64_t added = (*pads)[i] + (*pads)[i + which.size()];
    if (!axis || (axis == x->axis && ((*pads)[i] != 0 || added != 0))) {
      return false;
    }
    Extent& extent = (*out.dims)[*axis];
    if (axis != x->axis) {
      extent = extent.kind == Kind::kFixed ? Extent::fixed(extent.n + added) : Extent::open();
    }
  }
  op.give(std::move(out));
  return true;
}

bool one_hot(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims || !op.rest_constant(1)) {
    return false;
  }
  const auto axis = axis_of(op.number("axis", -1), x->rank() + 1);
  if (!axis) {
    return false;
  }
  Value out = x->alike();
  out.dims->insert(out.dims->begin() + static_cast<std::ptrdiff_t>(*axis), Extent::open());
  if (out.axis && *axis <= *out.axis) {
    ++*out.axis;
  }
  op.give(std::move(out));
  return true;
}

bool one_hot_encoder(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims) {
    return false;
  }
  Value out = x->alike();
  out.dims->push_back(Extent::open());
  op.give(std::move(out));
  return true;
}

bool triangle(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims || (x->has_rows() && *x->axis + 2 >= x->rank()) ||
      !op.rest_constant(1)) {
    return false;
  }
  op.give(x->alike());
  return true;
}

}  // namespace

KnownRule layout_rule(std::string_view domain, std::string_view op) {
  static const std::map<std::string_view, KnownRule, std::less<>> kRules{
      {"Reshape", {reshape, true}},
      {"Flatten", {flatten}},
      {"Transpose", {transpose}},
      {"Squeeze", {squeeze, true}},
      {"Unsqueeze", {unsqueeze, true}},
      {"Concat", {concat, true}},
      {"Split", {split}},
      {"Slice", {slice, true}},
      {"Gather", {gather, true}},
      {"GatherElements", {gather_elements}},
      {"Pad", {pad}},
      {"OneHot", {one_hot}},
      {"Trilu", {triangle}},
  };
  if (domain == "ai.onnx.ml") {
    return op == "OneHotEncoder" ? KnownRule{.rule = one_hot_encoder} : KnownRule{};
  }
  const auto at = domain.empty() ? kRules.find(op) : kRules.end();
  return at == kRules.end() ? KnownRule{} : at->second;
}

}  // namespace podsense::model::rows
