#include "inference/row_check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace podsense::inference {
namespace {

using Bytes = std::vector<std::byte>;

/// Lengths tried for dynamic dimensions other than the rows, until the model accepts one: first for
/// texts and sequences, then for pictures.
constexpr std::array<std::int64_t, 5> kLengths{5, 16, 64, 224, 1};
/// The numbers of rows in the compared random inputs.
constexpr std::array<std::size_t, 3> kRows{2, 3, 4};
/// The maximum elements of one row's random input.
constexpr std::uint64_t kMostElements = 64U << 20U;

/// Bit patterns of the 16-bit float formats.
std::uint16_t half_of(float value) {
  // Random values are moderate, so rounding and the limits of the format do not matter.
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16U & 0x8000U;
  const std::int32_t exponent = static_cast<std::int32_t>(bits >> 23U & 0xFFU) - 127 + 15;
  if (exponent <= 0) {
    return static_cast<std::uint16_t>(sign);
  }
  return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(exponent) << 10U |
                                    (bits >> 13U & 0x3FFU));
}
float half_value(std::uint16_t bits) {
  const int exponent = bits >> 10U & 0x1F;
  const auto fraction = static_cast<float>(bits & 0x3FFU);
  const float magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                          : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                           : std::ldexp(fraction + 1024, exponent - 25);
  return (bits & 0x8000U) != 0 ? -magnitude : magnitude;
}
std::uint16_t bfloat_of(float value) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16U);
}
float bfloat_value(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}

/// Random values for a type. `wide`: also integers other than 0 and 1, which not every model
/// accepts.
class Draw {
 public:
  Draw(std::uint64_t seed, bool wide) : random_(seed), wide_(wide) {}

  void append(DataType type, Bytes& out) {
    switch (type) {
      case DataType::kFp32:
        return put(out, real());
      case DataType::kFp64:
        return put(out, static_cast<double>(real()));
      case DataType::kFp16:
        return put(out, half_of(real()));
      case DataType::kBf16:
        return put(out, bfloat_of(real()));
      case DataType::kBool:
        return put(out, static_cast<std::uint8_t>(below(2)));
      case DataType::kBytes:
        return text(out);
      default:
        return whole(element_size(type), out);
    }
  }

 private:
  template <class T>
  static void put(Bytes& out, T value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  /// Mostly near 0, sometimes large, so that a maximum over rows depends on a single row.
  float real() {
    const float size = below(8) == 0 ? 20.0F : 1.5F;
    const auto unit = static_cast<float>(below(1U << 24U)) / static_cast<float>(1U << 23U) - 1.0F;
    return unit * size;
  }
  void whole(std::size_t size, Bytes& out) {
    const std::uint64_t value = below(wide_ ? 100 : 2);
    for (std::size_t i = 0; i < size; ++i) {
      out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFFU));
    }
  }
  void text(Bytes& out) {
    static constexpr std::array<std::string_view, 6> kTexts{"a", "the cat", "0", "3.5", "", "zzz"};
    const std::string_view chosen = kTexts[below(kTexts.size())];
    put(out, static_cast<std::uint32_t>(chosen.size()));
    const auto bytes = std::as_bytes(std::span(chosen));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }

  std::mt19937_64 random_;
  bool wide_;
};

/// Some rows of every input, with separate bytes for each row.
struct Rows {
  std::vector<std::vector<std::int64_t>> shapes;  ///< of each input, for one row
  std::vector<std::vector<Bytes>> data;           ///< [input][row]

  [[nodiscard]] std::size_t count() const { return data.front().size(); }
};

/// The answer of a run, copied from the engine's memory.
struct Answer {
  DataType type = DataType::kFp32;
  std::vector<std::int64_t> shape;
  Bytes data;
};

std::optional<Rows> draw_rows(const model::Signature& signature, std::size_t rows,
                              std::int64_t length, Draw& draw) {
  Rows out;
  for (const model::TensorInfo& input : signature.inputs) {
    auto& shape = out.shapes.emplace_back(input.shape);
    shape.front() = 1;
    std::uint64_t elements = 1;
    for (std::int64_t& dimension : shape) {
      dimension = dimension < 0 ? length : dimension;
      elements *= static_cast<std::uint64_t>(dimension);
      if (elements == 0 || elements > kMostElements) {
        return std::nullopt;
      }
    }
    auto& each = out.data.emplace_back(rows);
    for (Bytes& row : each) {
      for (std::uint64_t i = 0; i < elements; ++i) {
        draw.append(input.type, row);
      }
    }
  }
  return out;
}

Result<std::vector<Answer>> ask(const model::Model& model, const Rows& rows, std::size_t first,
                                std::size_t count) {
  std::vector<Bytes> joined(rows.data.size());
  std::vector<std::vector<std::int64_t>> shapes = rows.shapes;
  std::vector<model::TensorView> views;
  for (std::size_t i = 0; i < rows.data.size(); ++i) {
    for (std::size_t row = first; row < first + count; ++row) {
      joined[i].insert(joined[i].end(), rows.data[i][row].begin(), rows.data[i][row].end());
    }
    shapes[i].front() = static_cast<std::int64_t>(count);
    views.push_back(
        {.type = model.signature().inputs[i].type, .shape = shapes[i], .data = joined[i]});
  }
  model::Outputs outputs;
  if (auto run = model.run(views, outputs); !run) {
    return fail(std::move(run.error()));
  }
  if (auto texts = outputs.read_texts(); !texts) {
    return fail(std::move(texts.error()));
  }
  std::vector<Answer> answers;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const model::TensorView view = outputs[i];
    answers.push_back(
        {view.type, {view.shape.begin(), view.shape.end()}, {view.data.begin(), view.data.end()}});
  }
  return answers;
}

double value_at(const Answer& answer, std::size_t byte) {
  const auto read = [&]<class T>(T value) {
    std::memcpy(&value, answer.data.data() + byte, sizeof(value));
    return value;
  };
  switch (answer.type) {
    case DataType::kFp32:
      return read(float{});
    case DataType::kFp64:
      return read(double{});
    case DataType::kFp16:
      return half_value(read(std::uint16_t{}));
    default:
      return bfloat_value(read(std::uint16_t{}));
  }
}

bool is_real(DataType type) {
  return type == DataType::kFp32 || type == DataType::kFp64 || type == DataType::kFp16 ||
         type == DataType::kBf16;
}

/// Compares floats of `together`, from index `at` on, with all of `alone`.
bool reals_agree(const Answer& together, std::size_t at, const Answer& alone) {
  const bool half = alone.type == DataType::kFp16 || alone.type == DataType::kBf16;
  const double absolute = half ? 1e-2 : 1e-5;
  const double relative = half ? 1e-2 : 1e-4;
  const std::size_t width = element_size(alone.type);
  std::size_t best_alone = 0;
  std::size_t best_together = 0;
  const auto allowed = [&](double value) { return absolute + relative * std::abs(value); };
  for (std::size_t byte = 0; byte < alone.data.size(); byte += width) {
    const double a = value_at(alone, byte);
    const double b = value_at(together, at + byte);
    const bool same = a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= allowed(a);
    if (!same) {
      return false;
    }
    best_alone = a > value_at(alone, best_alone) ? byte : best_alone;
    best_together = b > value_at(together, at + best_together) ? byte : best_together;
  }
  // The largest value may change its index only if the two values are nearly equal.
  return best_alone == best_together || alone.data.empty() ||
         std::abs(value_at(alone, best_alone) - value_at(alone, best_together)) <=
             allowed(value_at(alone, best_alone));
}

/// The byte range of row `row` in `together`; nothing: it cannot be split into rows.
std::optional<std::pair<std::size_t, std::size_t>> part_of(const Answer& together, std::size_t row,
                                                           std::size_t rows) {
  if (together.shape.empty() || together.shape.front() != static_cast<std::int64_t>(rows)) {
    return std::nullopt;
  }
  if (together.type != DataType::kBytes) {
    const std::size_t bytes = together.data.size() / rows;
    return std::pair(row * bytes, (row + 1) * bytes);
  }
  std::vector<std::size_t> ends{0};
  for_each_text(together.data,
                [&](std::string_view text) { ends.push_back(ends.back() + 4 + text.size()); });
  const std::size_t each = (ends.size() - 1) / rows;
  return std::pair(ends[row * each], ends[(row + 1) * each]);
}

bool agrees(const Answer& together, const Answer& alone, std::size_t row, std::size_t rows) {
  const auto part = part_of(together, row, rows);
  const bool shaped = part && !alone.shape.empty() && alone.shape.front() == 1 &&
                      std::ranges::equal(together.shape.begin() + 1, together.shape.end(),
                                         alone.shape.begin() + 1, alone.shape.end()) &&
                      part->second - part->first == alone.data.size();
  if (!shaped) {
    return false;
  }
  if (is_real(alone.type)) {
    return reals_agree(together, part->first, alone);
  }
  return std::equal(alone.data.begin(), alone.data.end(),
                    together.data.begin() + static_cast<std::ptrdiff_t>(part->first));
}

enum class Outcome { kEqual, kRefused, kLate };

/// Compares one random input. @errors kInvalidArgument: answers differ
Result<Outcome> compare(const model::Model& model, const Rows& rows, const Clock& clock,
                        Deadline limit) {
  std::vector<std::vector<Answer>> alone;
  for (std::size_t row = 0; row < rows.count(); ++row) {
    auto one = ask(model, rows, row, 1);
    if (!one) {
      return Outcome::kRefused;
    }
    if (limit.passed(clock.now())) {
      return Outcome::kLate;
    }
    alone.push_back(std::move(*one));
  }
  const auto together = ask(model, rows, 0, rows.count());
  const std::string several = std::to_string(rows.count()) + " rows together";
  if (!together) {
    return fail(ErrorCode::kInvalidArgument,
                "the model takes single rows but not " + several + ": " + together.error().message);
  }
  for (std::size_t row = 0; row < rows.count(); ++row) {
    for (std::size_t i = 0; i < together->size(); ++i) {
      if (!agrees((*together)[i], alone[row][i], row, rows.count())) {
        return fail(ErrorCode::kInvalidArgument, "output '" + model.signature().outputs[i].name +
                                                     "' of " + several +
                                                     " differs from the answers to each alone");
      }
    }
  }
  return Outcome::kEqual;
}

}  // namespace

Result<void> check_rows(const model::Model& model, const Clock& clock, Deadline limit,
                        std::uint64_t seed) {
  const model::Signature& signature = model.signature();
  const bool open_inside = std::ranges::any_of(signature.inputs, [](const auto& input) {
    return std::ranges::any_of(input.shape.begin() + 1, input.shape.end(),
                               [](std::int64_t dimension) { return dimension < 0; });
  });
  const bool wholes = std::ranges::any_of(signature.inputs, [](const auto& input) {
    return !is_real(input.type) && input.type != DataType::kBool && input.type != DataType::kBytes;
  });
  std::size_t compared = 0;
  for (const std::int64_t length : kLengths) {
    for (const std::size_t rows : kRows) {
      for (const bool wide : {false, true}) {
        if (wide && !wholes) {
          continue;
        }
        Draw draw(seed * 1000 + rows * 2 + (wide ? 1 : 0), wide);
        const auto drawn = draw_rows(signature, rows, length, draw);
        if (!drawn) {
          continue;
        }
        const auto outcome = compare(model, *drawn, clock, limit);
        if (!outcome) {
          return fail(outcome.error());
        }
        if (*outcome == Outcome::kLate) {
          return fail(ErrorCode::kDeadlineExceeded,
                      "runs take too long for rows to be compared in the background");
        }
        compared += *outcome == Outcome::kEqual ? 1 : 0;
      }
    }
    if (compared >= kRows.size() || !open_inside) {
      break;
    }
  }
  if (compared < kRows.size()) {
    return fail(ErrorCode::kInvalidArgument,
                "the model refuses random rows, so that rows together could not be compared with "
                "rows alone");
  }
  return {};
}

std::optional<Result<void>> early_verdict(const model::Model& model) {
  const model::Signature& signature = model.signature();
  const auto no = [](std::string why) {
    return Result<void>(fail(ErrorCode::kInvalidArgument, std::move(why)));
  };
  if (!signature.batchable) {
    return no("the first dimension of inputs and outputs is not their rows");
  }
  if (const auto& wanted = model.manifest().share_runs) {
    return *wanted ? Result<void>() : no("batching.share_runs in model.yaml is false");
  }
  if (!signature.rows_unproven.empty()) {
    return no(signature.rows_unproven);
  }
  return std::nullopt;
}

Result<void> rows_verdict(const model::Model& model, const Clock& clock, Deadline limit) {
  const auto early = early_verdict(model);
  return early ? *early : check_rows(model, clock, limit);
}

}  // namespace podsense::inference
