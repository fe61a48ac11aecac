/// Operators that compute: element by element, over dimensions, and the forests and linear models
/// of ai.onnx.ml. The rules follow the operators' specifications. Operators and variants that are
/// not listed have no rule.
/// @source onnx/docs/Operators.md, Operators-ml.md; onnxruntime/docs/ContribOperators.md

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string>

#include "model/row_values.h"

namespace podsense::model::rows {
namespace {

using Numbers = std::vector<std::int64_t>;

/// All inputs are combined element by element.
bool elementwise(Operator& op) {
  std::vector<std::size_t> which;
  for (std::size_t i = 0; i < op.in.size(); ++i) {
    if (op.in[i] != nullptr) {
      which.push_back(i);
    }
  }
  auto out = broadcast(op, which);
  if (!out) {
    return false;
  }
  op.give(std::move(*out));
  return true;
}

/// Element-wise on the first input; all others are parameters.
bool unary(Operator& op) {
  if (op.input(0) == nullptr || !op.input(0)->dims || !op.rest_constant(1)) {
    return false;
  }
  op.give({.axis = op.input(0)->axis, .dims = op.input(0)->dims, .numbers = std::nullopt});
  return true;
}

/// Like unary, but for tables only: the operator would treat a 1-D input as a single row.
bool table_columns(Operator& op) {
  return op.input(0) != nullptr && op.input(0)->dims && op.input(0)->rank() >= 2 && unary(op);
}

bool dropout(Operator& op) {
  const Value* training = op.input(2);
  const bool off = training == nullptr || (training->numbers && training->numbers->size() == 1 &&
                                           training->numbers->front().is_fixed(0));
  if (!off || !unary(op)) {
    return false;
  }
  op.give(op.out.front());  // the mask
  return true;
}

/// Parameters per index of `axis` are not allowed if `axis` is the dimension of the rows.
bool quantize(Operator& op) {
  const Value* x = op.input(0);
  const Value* scale = op.input(1);
  if (x == nullptr || !x->dims || scale == nullptr || !op.rest_constant(1)) {
    return false;
  }
  const bool single = scale->dims && product(*scale->dims) == 1;
  if (x->has_rows() && !single && axis_of(op.number("axis", 1), x->rank()) == x->axis) {
    return false;
  }
  return unary(op);
}

/// ONNX Runtime's Q... operators: inputs at `places`, each followed by scale and zero point.
bool quantized_binary(Operator& op) {
  constexpr std::array<std::size_t, 2> kPlaces{0, 3};
  for (std::size_t i = 0; i < op.in.size(); ++i) {
    if (i != 0 && i != 3 && op.in[i] != nullptr && op.in[i]->has_rows()) {
      return false;
    }
  }
  auto out = broadcast(op, kPlaces);
  if (!out) {
    return false;
  }
  op.give(std::move(*out));
  return true;
}

/// Softmax and similar: over all dimensions from `axis` on, or only over `axis`.
bool over_axis(Operator& op, std::int64_t otherwise, bool to_the_end) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims || !op.rest_constant(1)) {
    return false;
  }
  const auto axis = axis_of(op.number("axis", otherwise), x->rank());
  if (!axis || (x->has_rows() && (to_the_end ? *axis <= *x->axis : *axis == *x->axis))) {
    return false;
  }
  return unary(op);
}
bool softmax(Operator& op) {
  return op.opset >= 13 ? over_axis(op, -1, false) : over_axis(op, 1, true);
}
bool layer_normalization(Operator& op) {
  return over_axis(op, -1, true);
}
bool lp_normalization(Operator& op) {
  return over_axis(op, -1, false);
}

bool mean_variance(Operator& op) {
  const Value* x = op.input(0);
  const GraphAttribute* axes = op.attribute("axes");
  if (x == nullptr || !x->dims || axes == nullptr) {
    return false;  // the default includes the rows
  }
  for (const std::int64_t each : axes->numbers) {
    const auto axis = axis_of(each, x->rank());
    if (!axis || axis == x->axis) {
      return false;
    }
  }
  return unary(op);
}

bool cumulative_sum(Operator& op) {
  const Value* x = op.input(0);
  bool known = true;
  const auto axis = op.list("", 1, known);
  if (x == nullptr || !x->dims || !known || !axis || axis->size() != 1) {
    return false;
  }
  const auto at = axis_of(axis->front(), x->rank());
  return at && at != x->axis && unary(op);
}

/// Removes the reduced dimensions, or sets them to 1.
Value reduced(const Value& x, const std::vector<bool>& gone, bool keep) {
  Value out = Value::of(std::nullopt, {});
  for (std::size_t i = 0; i < x.rank(); ++i) {
    if (x.axis == i) {
      out.axis = out.dims->size();
    }
    if (!gone[i]) {
      out.dims->push_back((*x.dims)[i]);
    } else if (keep) {
      out.dims->push_back(Extent::fixed(1));
    }
  }
  return out;
}

bool reduce(Operator& op) {
  const Value* x = op.input(0);
  bool known = true;
  const auto axes = op.list("axes", 1, known);
  if (x == nullptr || !x->dims || !known) {
    return false;
  }
  if (!axes || axes->empty()) {
    if (op.number("noop_with_empty_axes", 0) != 0) {
      op.give(x->alike());
      return true;
    }
    return false;  // reduces everything
  }
  std::vector<bool> gone(x->rank(), false);
  for (const std::int64_t each : *axes) {
    const auto axis = axis_of(each, x->rank());
    if (!axis || axis == x->axis) {
      return false;
    }
    gone[*axis] = true;
  }
  op.give(reduced(*x, gone, op.number("keepdims", 1) != 0));
  return true;
}

bool arg_extreme(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims) {
    return false;
  }
  const auto axis = axis_of(op.number("axis", 0), x->rank());
  if (!axis || axis == x->axis) {
    return false;
  }
  std::vector<bool> gone(x->rank(), false);
  gone[*axis] = true;
  op.give(reduced(*x, gone, op.number("keepdims", 1) != 0));
  return true;
}

bool top_k(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || !x->dims || !op.rest_constant(1)) {
    return false;
  }
  const auto axis = axis_of(op.number("axis", -1), x->rank());
  if (!axis || axis == x->axis) {
    return false;
  }
  bool known = true;
  const auto k = op.list("", 1, known);
  Value out = x->alike();
  (*out.dims)[*axis] = k && k->size() == 1 ? Extent::fixed(k->front()) : Extent::open();
  op.give(out);
  op.give(std::move(out));
  return true;
}

/// The rows must not be a dimension that is summed over.
bool mat_mul_of(Operator& op, std::size_t left, std::size_t right) {
  const Value* a = op.input(left);
  const Value* b = op.input(right);
  if (a == nullptr || b == nullptr || !a->dims || !b->dims || a->rank() < 2 || b->rank() < 2) {
    return false;
  }
  // The last two dimensions are matrices; all dimensions before are broadcast.
  const auto stack = [](const Value& v) {
    Value out{.axis = v.axis, .dims = Extents(v.dims->begin(), v.dims->end() - 2), .numbers = {}};
    if (out.axis && *out.axis + 2 >= v.rank()) {
      out.axis.reset();
    }
    return out;
  };
  const Value a_stack = stack(*a);
  const Value b_stack = stack(*b);
  const bool rows_of_a = a->has_rows() && *a->axis + 2 == a->rank();
  const bool summed = a->has_rows() && *a->axis + 1 == a->rank();
  const bool inside_b = b->has_rows() && !b_stack.has_rows();
  if (summed || inside_b || (rows_of_a && b->has_rows())) {
    return false;
  }
  const GraphNode none;
  const Operator stacks{.node = none, .in = {&a_stack, &b_stack}};
  constexpr std::array<std::size_t, 2> kBoth{0, 1};
  auto out = broadcast(stacks, kBoth);
  if (!out) {
    return false;
  }
  if (rows_of_a) {
    out->axis = out->rank();
  }
  out->dims->push_back((*a->dims)[a->rank() - 2]);
  out->dims->push_back(b->dims->back());
  op.give(std::move(*out));
  return true;
}
bool mat_mul(Operator& op) {
  return op.rest_constant(2) && mat_mul_of(op, 0, 1);
}
bool quantized_mat_mul(Operator& op) {
  for (const std::size_t i : {1U, 2U, 4U, 5U, 6U, 7U}) {
    if (op.input(i) != nullptr && op.input(i)->has_rows()) {
      return false;
    }
  }
  return mat_mul_of(op, 0, 3);
}

bool gemm(Operator& op) {
  const Value* a = op.input(0);
  const Value* b = op.input(1);
  const Value* c = op.input(2);
  if (a == nullptr || b == nullptr || a->axis != 0 || a->rank() != 2 || !op.rest_constant(1) ||
      !b->dims || b->rank() != 2 || op.number("transA", 0) != 0) {
    return false;
  }
  const bool added_alike =
      c == nullptr || (c->dims && (c->rank() < 2 || c->dims->front().is_fixed(1)));
  if (!added_alike) {
    return false;
  }
  const std::size_t columns = op.number("transB", 0) != 0 ? 0 : 1;
  op.give(
      {.axis = 0, .dims = Extents{a->dims->front(), (*b->dims)[columns]}, .numbers = std::nullopt});
  return true;
}

/// LSTM, GRU, RNN: [time, rows, …], or [rows, time, …] with layout 1.
bool recurrent(Operator& op) {
  const Value* x = op.input(0);
  const bool rows_first = op.number("layout", 0) != 0;
  if (x == nullptr || !x->dims || x->rank() != 3 || x->axis != (rows_first ? 0U : 1U)) {
    return false;
  }
  for (std::size_t i = 1; i < op.in.size(); ++i) {
    const Value* more = op.in[i];
    if (more == nullptr) {
      continue;
    }
    const bool weights = i <= 3 || i == 7;
    const std::size_t place = i == 4 || rows_first ? 0 : 1;  // sequence_lens; initial states
    if (weights ? more->has_rows() : more->axis != place) {
      return false;
    }
  }
  const Extent rows = x->row_extent();
  const Extent time = (*x->dims)[rows_first ? 1 : 0];
  const Extent any = Extent::open();
  const Value all =
      rows_first ? Value::of(0, {rows, time, any, any}) : Value::of(2, {time, any, rows, any});
  const Value last = rows_first ? Value::of(0, {rows, any, any}) : Value::of(1, {any, rows, any});
  op.give(all);
  op.give(last);
  op.give(last);
  return true;
}

bool einsum(Operator& op) {
  const GraphAttribute* equation = op.attribute("equation");
  std::string text = equation == nullptr ? "" : equation->text;
  std::erase(text, ' ');
  const auto arrow = text.find("->");
  if (arrow == std::string::npos || text.contains('.')) {
    return false;
  }
  const std::string result = text.substr(arrow + 2);
  char label = 0;
  std::vector<std::string> terms(1);
  for (const char c : text.substr(0, arrow)) {
    c == ',' ? static_cast<void>(terms.emplace_back()) : terms.back().push_back(c);
  }
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const Value* value = op.input(i);
    if (value == nullptr || !value->dims || value->rank() != terms[i].size()) {
      return false;
    }
    if (value->has_rows()) {
      const char mine = terms[i][*value->axis];
      if ((label != 0 && mine != label) || std::ranges::count(terms[i], mine) != 1) {
        return false;
      }
      label = mine;
    }
  }
  const auto at = result.find(label);
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (label == 0 || at == std::string::npos ||
        (!op.in[i]->has_rows() && terms[i].contains(label))) {
      return false;
    }
  }
  Value out{.axis = at, .dims = Extents(result.size()), .numbers = std::nullopt};
  const auto rows = std::ranges::find_if(op.in, [](const Value* v) { return v->has_rows(); });
  (*out.dims)[at] = (*rows)->row_extent();
  op.give(std::move(out));
  return true;
}

/// Forests, linear models, SVMs: the input is a table; the output has one entry or one row of
/// scores per row.
bool table_regressor(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || x->axis != 0 || x->rank() != 2 || !op.rest_constant(1)) {
    return false;
  }
  op.give(Value::of(0, {x->row_extent(), Extent::open()}));
  return true;
}
bool table_classifier(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || x->axis != 0 || x->rank() != 2 || !op.rest_constant(1)) {
    return false;
  }
  op.give(Value::of(0, {x->row_extent()}));
  op.give(Value::of(0, {x->row_extent(), Extent::open()}));
  return true;
}

bool feature_vectorizer(Operator& op) {
  for (const Value* value : op.in) {
    if (value == nullptr || value->axis != 0 || value->rank() != 2) {
      return false;
    }
  }
  op.give(Value::of(0, {op.in[0]->row_extent(), Extent::open()}));
  return !op.in.empty();
}

bool array_feature_extractor(Operator& op) {
  const Value* x = op.input(0);
  if (x == nullptr || x->axis != 0 || x->rank() != 2 || !op.rest_constant(1)) {
    return false;
  }
  op.give(Value::of(0, {x->row_extent(), Extent::open()}));
  return true;
}

using Table = std::map<std::string_view, Rule, std::less<>>;

/// Element-wise operators with one input.
constexpr std::array<const char*, 43> kUnary{"Abs",
                                             "Acos",
                                             "Acosh",
                                             "Asin",
                                             "Asinh",
                                             "Atan",
                                             "Atanh",
                                             "Ceil",
                                             "Celu",
                                             "Clip",
                                             "Cos",
                                             "Cosh",
                                             "Elu",
                                             "Erf",
                                             "Exp",
                                             "Floor",
                                             "Gelu",
                                             "HardSigmoid",
                                             "HardSwish",
                                             "IsInf",
                                             "IsNaN",
                                             "LeakyRelu",
                                             "Log",
                                             "Mish",
                                             "Neg",
                                             "Not",
                                             "Reciprocal",
                                             "Relu",
                                             "Round",
                                             "Selu",
                                             "Shrink",
                                             "Sigmoid",
                                             "Sign",
                                             "Sin",
                                             "Sinh",
                                             "Softplus",
                                             "Softsign",
                                             "Sqrt",
                                             "Tan",
                                             "Tanh",
                                             "ThresholdedRelu",
                                             "BitwiseNot",
                                             "Swish"};

const Table& standard_rules() {
  static const Table table = [] {
    Table out{{"MeanVarianceNormalization", mean_variance},
              {"LayerNormalization", layer_normalization},
              {"RMSNormalization", layer_normalization},
              {"LpNormalization", lp_normalization},
              {"Softmax", softmax},
              {"LogSoftmax", softmax},
              {"Hardmax", softmax},
              {"CumSum", cumulative_sum},
              {"ArgMax", arg_extreme},
              {"ArgMin", arg_extreme},
              {"TopK", top_k},
              {"MatMul", mat_mul},
              {"MatMulInteger", mat_mul},
              {"QLinearMatMul", quantized_mat_mul},
              {"Gemm", gemm},
              {"LSTM", recurrent},
              {"GRU", recurrent},
              {"RNN", recurrent},
              {"Einsum", einsum},
              {"Dropout", dropout},
              {"TfIdfVectorizer", table_regressor},
              {"QuantizeLinear", quantize},
              {"DequantizeLinear", quantize}};
    for (const char* op : kUnary) {
      out.emplace(op, unary);
    }
    for (const char* op :
         {"And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Greater", "GreaterOrEqual",
          "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Or", "Pow", "PRelu", "Sum", "Xor"}) {
      out.emplace(op, elementwise);
    }
    for (const char* op :
         {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
          "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}) {
      out.emplace(op, reduce);
    }
    return out;
  }();
  return table;
}

const Table& ml_rules() {
  static const Table table{{"ArrayFeatureExtractor", array_feature_extractor},
                           {"Binarizer", table_columns},
                           {"CategoryMapper", unary},
                           {"FeatureVectorizer", feature_vectorizer},
                           {"Imputer", table_columns},
                           {"LabelEncoder", unary},
                           {"LinearClassifier", table_classifier},
                           {"LinearRegressor", table_regressor},
                           {"Normalizer", table_columns},
                           {"SVMClassifier", table_classifier},
                           {"SVMRegressor", table_regressor},
                           {"Scaler", table_columns},
                           {"TreeEnsemble", table_regressor},
                           {"TreeEnsembleClassifier", table_classifier},
                           {"TreeEnsembleRegressor", table_regressor}};
  return table;
}

const Table& contributed_rules() {
  static const Table table{{"BiasGelu", elementwise},
                           {"FastGelu", elementwise},
                           {"Gelu", unary},
                           {"QLinearAdd", quantized_binary},
                           {"QLinearMul", quantized_binary},
                           {"QLinearLeakyRelu", unary},
                           {"QLinearSigmoid", unary},
                           {"QuantizeLinear", quantize},
                           {"DequantizeLinear", quantize},
                           {"QuickGelu", unary}};
  return table;
}

}  // namespace

KnownRule compute_rule(std::string_view domain, std::string_view op) {
  const Table* table = domain.empty()              ? &standard_rules()
                       : domain == "ai.onnx.ml"    ? &ml_rules()
                       : domain == "com.microsoft" ? &contributed_rules()
                                                   : nullptr;
  if (table == nullptr) {
    return {};
  }
  const auto at = table->find(op);
  return at == table->end() ? KnownRule{} : KnownRule{.rule = at->second};
}

}  // namespace podsense::model::rows
