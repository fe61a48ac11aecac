#include "foresight/quantity.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>

#include "base/text.h"
#include "foresight/go_numbers.h"

namespace podsense::foresight {
namespace {

constexpr std::int32_t kNano = -9;
constexpr std::int32_t kMilli = -3;
constexpr std::size_t kMaxInt64Digits = 18;  // Go: maxInt64Factors
constexpr std::size_t kMaxText = 256;
constexpr std::int64_t kMaxInt64 = std::numeric_limits<std::int64_t>::max();

enum class Format { kDecimal, kBinary };
struct Suffix {
  Format format = Format::kDecimal;
  std::int32_t exponent = 0;
};
struct NamedSuffix {
  std::string_view name;
  Suffix suffix;
};
constexpr std::array kSuffixes{
    NamedSuffix{"", {Format::kDecimal, 0}},   NamedSuffix{"n", {Format::kDecimal, -9}},
    NamedSuffix{"u", {Format::kDecimal, -6}}, NamedSuffix{"m", {Format::kDecimal, -3}},
    NamedSuffix{"k", {Format::kDecimal, 3}},  NamedSuffix{"M", {Format::kDecimal, 6}},
    NamedSuffix{"G", {Format::kDecimal, 9}},  NamedSuffix{"T", {Format::kDecimal, 12}},
    NamedSuffix{"P", {Format::kDecimal, 15}}, NamedSuffix{"E", {Format::kDecimal, 18}},
    NamedSuffix{"Ki", {Format::kBinary, 10}}, NamedSuffix{"Mi", {Format::kBinary, 20}},
    NamedSuffix{"Gi", {Format::kBinary, 30}}, NamedSuffix{"Ti", {Format::kBinary, 40}},
    NamedSuffix{"Pi", {Format::kBinary, 50}}, NamedSuffix{"Ei", {Format::kBinary, 60}},
};

std::optional<Suffix> interpret(std::string_view text) {
  const auto* const found =
      std::ranges::find(kSuffixes, text, [](const NamedSuffix& one) { return one.name; });
  if (found != kSuffixes.end()) {
    return found->suffix;
  }
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) {
    return std::nullopt;
  }
  std::string_view digits = text.substr(1);
  if (digits.starts_with('+')) {
    digits.remove_prefix(1);
    if (digits.starts_with('-')) {
      return std::nullopt;
    }
  }
  std::int64_t exponent = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  if (fault != std::errc{} || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return Suffix{Format::kDecimal, static_cast<std::int32_t>(exponent)};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t digits_end(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) {
    ++at;
  }
  return at;
}

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string quoted;
  append_json_string(quoted, text.substr(0, kShown));
  return quoted;
}

tl::unexpected<Error> not_a_quantity(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument,
              shown(text) +
                  " is not a quantity; accepted: a number with one of n, u, m, k, M, G, T, "
                  "P, E, Ki, Mi, Gi, Ti, Pi, Ei or an exponent, such as 250m, 0.5, 1.5Gi, "
                  "12e6");
}
tl::unexpected<Error> too_many_digits(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument,
              shown(text) + " has too many digits; accepted: up to 28 significant digits");
}

/// Divides, away from zero where something is left. `places` may be large.
Int128 shift_down_away(Int128 value, std::int64_t places) {
  bool left = false;
  for (; places > 0 && value != 0; --places) {
    left = left || value % 10 != 0;
    value /= 10;
    if (value == 0) {
      return left ? 1 : 0;
    }
  }
  return left ? value + 1 : value;
}

std::optional<Int128> shift_up(Int128 value, std::int64_t places) {
  for (; places > 0 && value != 0; --places) {
    if (__builtin_mul_overflow(value, Int128{10}, &value)) {
      return std::nullopt;
    }
  }
  return value;
}

double power_of_ten(std::int32_t exponent) {
  // Go's table of decimal literals; the exponents of quantities beyond it are 0 or infinite anyway.
  static constexpr std::array<double, 32> kPowers{1e00, 1e01, 1e02, 1e03, 1e04, 1e05, 1e06, 1e07,
                                                  1e08, 1e09, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23,
                                                  1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31};
  static constexpr std::array<double, 10> kUp{1e00,  1e32,  1e64,  1e96,  1e128,
                                              1e160, 1e192, 1e224, 1e256, 1e288};
  static constexpr std::array<double, 11> kDown{1e-00,  1e-32,  1e-64,  1e-96,  1e-128, 1e-160,
                                                1e-192, 1e-224, 1e-256, 1e-288, 1e-320};
  if (exponent >= 0 && exponent <= 308) {
    const auto n = static_cast<std::size_t>(exponent);
    return kUp[n / 32] * kPowers[n % 32];
  }
  if (exponent >= -323 && exponent <= 0) {
    const auto n = static_cast<std::size_t>(-exponent);
    return kDown[n / 32] / kPowers[n % 32];
  }
  return exponent > 0 ? std::numeric_limits<double>::infinity() : 0.0;
}

}  // namespace

struct Quantity::Parts {
  std::string_view whole;  ///< the text, for messages
  bool positive = true;
  std::string_view numerator;  ///< without leading zeros; "" is 0
  std::string_view denominator;
  Suffix suffix;

  /// numerator and denominator as one number; nothing where 128 bits do not hold it
  [[nodiscard]] std::optional<Int128> digits() const {
    Int128 value = 0;
    for (const std::string_view part : {numerator, denominator}) {
      for (const char c : part) {
        if (__builtin_mul_overflow(value, Int128{10}, &value) ||
            __builtin_add_overflow(value, Int128{c - '0'}, &value)) {
          return std::nullopt;
        }
      }
    }
    return value;
  }
};

Result<Quantity> Quantity::parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxText) {
    return not_a_quantity(text);
  }
  Parts parts{.whole = text};
  std::size_t at = 0;
  if (text[0] == '-' || text[0] == '+') {
    parts.positive = text[0] == '+';
    at = 1;
  }
  at = std::min(text.find_first_not_of('0', at), text.size());
  std::size_t end = digits_end(text, at);
  parts.numerator = text.substr(at, end - at);
  at = end;
  if (at < text.size() && text[at] == '.') {
    end = digits_end(text, at + 1);
    parts.denominator = text.substr(at + 1, end - at - 1);
    at = end;
  }
  const auto suffix = interpret(text.substr(at));
  if (!suffix) {
    return not_a_quantity(text);
  }
  parts.suffix = *suffix;

  // Go's way for short numbers, which keeps value and scale as written; all others become decimals.
  const std::size_t count =
      std::max<std::size_t>(parts.numerator.size(), 1) + parts.denominator.size();
  std::int64_t exponent = parts.suffix.exponent;
  std::int64_t factor = 1;
  bool is_short = count <= kMaxInt64Digits;
  if (parts.suffix.format == Format::kBinary) {
    factor = std::int64_t{1} << exponent;
    is_short =
        parts.denominator.empty() && static_cast<std::int64_t>(count) + exponent * 3 / 10 + 1 <= 15;
    exponent = 0;
  }
  exponent -= static_cast<std::int64_t>(parts.denominator.size());
  const auto digits = parts.digits();
  std::int64_t value = 0;
  if (is_short && exponent >= kNano &&
      !__builtin_mul_overflow(static_cast<std::int64_t>(*digits), factor, &value)) {
    return Quantity(Form::kInt64, parts.positive ? value : -value,
                    static_cast<std::int32_t>(exponent));
  }
  return make_decimal(parts);
}

Result<Quantity> Quantity::make_decimal(const Parts& parts) {
  const bool is_binary = parts.suffix.format == Format::kBinary;
  const auto digits = parts.digits();
  Int128 value = digits.value_or(0);
  if (!digits ||
      (is_binary && __builtin_mul_overflow(value, Int128{1} << parts.suffix.exponent, &value))) {
    return too_many_digits(parts.whole);
  }
  const std::int64_t exponent =
      (is_binary ? std::int64_t{0} : std::int64_t{parts.suffix.exponent}) -
      static_cast<std::int64_t>(parts.denominator.size());
  if (value == 0) {
    return Quantity(Form::kDecimal, 0, 0);
  }
  std::int32_t kept = kNano;
  if (exponent < kNano) {
    value = shift_down_away(value, kNano - exponent);
  } else if (const auto shifted = shift_up(value, exponent - kNano)) {
    value = *shifted;
  } else {
    return too_many_digits(parts.whole);
  }
  constexpr Int128 kBillion = 1000000000;
  if (is_binary && value > Int128{kMaxInt64} * kBillion) {
    value = kMaxInt64;
    kept = 0;
  }
  return Quantity(Form::kDecimal, parts.positive ? value : -value, kept);
}

std::int64_t Quantity::milli() const {
  return form_ == Form::kInt64 ? int64_milli() : decimal_milli();
}

std::int64_t Quantity::int64_milli() const {
  const auto value = static_cast<std::int64_t>(unscaled_);
  if (exponent_ < kMilli) {
    const bool negative = value < 0;
    const Int128 size =
        shift_down_away(negative ? -unscaled_ : unscaled_, std::int64_t{kMilli} - exponent_);
    return static_cast<std::int64_t>(negative ? -size : size);
  }
  const std::int64_t places = std::int64_t{exponent_} - kMilli;
  if (value == 0 || places == 0) {
    return value;
  }
  // Go multiplies by these at once and keeps what overflowed; elsewhere it goes step by step and
  // gives 0.
  if (places == 1 || places == 2 || places == 3 || places == 6 || places == 9) {
    std::int64_t factor = 1;
    for (std::int64_t i = 0; i < places; ++i) {
      factor *= 10;
    }
    return wrap_multiply(value, factor);
  }
  const auto scaled = shift_up(unscaled_, places);
  const bool fits = scaled && *scaled <= kMaxInt64 && *scaled >= -Int128{kMaxInt64};
  return fits ? static_cast<std::int64_t>(*scaled) : 0;
}

std::int64_t Quantity::decimal_milli() const {
  const auto low = static_cast<std::int64_t>(unscaled_);
  if (exponent_ >= kMilli) {
    std::int64_t factor = 1;
    for (std::int32_t i = exponent_; i > kMilli; --i) {
      factor = wrap_multiply(factor, 10);
    }
    return wrap_multiply(low, factor);
  }
  std::int64_t divisor = 1;
  for (std::int32_t i = exponent_; i < kMilli; ++i) {
    divisor *= 10;
  }
  if (unscaled_ < Int128{kMaxInt64}) {
    return low / divisor + (low % divisor != 0 ? 1 : 0);
  }
  const auto result = static_cast<std::int64_t>(unscaled_ / divisor);
  return unscaled_ % divisor != 0 ? wrap_add(result, std::int64_t{1}) : result;
}

double Quantity::approximate() const {
  const auto base = static_cast<double>(unscaled_);
  return exponent_ == 0 ? base : base * power_of_ten(exponent_);
}

Quantity Quantity::canonical() const {
  Quantity out = *this;
  while (out.unscaled_ != 0 && out.unscaled_ % 10 == 0) {
    out.unscaled_ /= 10;
    ++out.exponent_;
  }
  const std::int32_t beyond = ((out.exponent_ % 3) + 3) % 3;
  if (const auto shifted = shift_up(out.unscaled_, beyond)) {
    out.unscaled_ = *shifted;
    out.exponent_ -= beyond;
  }
  return out.unscaled_ == 0 ? Quantity() : out;
}

Int128 Quantity::nano() const {
  const auto scaled = shift_up(unscaled_, std::int64_t{exponent_} - kNano);
  constexpr Int128 kMost = (Int128{1} << 126) - 1;
  const Int128 most = unscaled_ < 0 ? -kMost : kMost;
  return scaled ? std::clamp(*scaled, -kMost, kMost) : most;
}

Quantity Quantity::plus(const Quantity& other) const {
  if (unscaled_ == 0 || other.unscaled_ == 0) {
    return unscaled_ == 0 ? other : *this;
  }
  return {Form::kDecimal, nano() + other.nano(), kNano};
}

std::string milli_text(std::int64_t milli) {
  constexpr std::uint64_t kThousand = 1000;
  const bool negative = milli < 0;
  const std::uint64_t size = negative ? std::uint64_t{0} - static_cast<std::uint64_t>(milli)
                                      : static_cast<std::uint64_t>(milli);
  std::string out = (negative ? "-" : "") + std::to_string(size / kThousand);
  if (size % kThousand != 0) {
    std::string rest = std::to_string(kThousand + size % kThousand).substr(1);
    rest.erase(rest.find_last_not_of('0') + 1);
    out += "." + rest;
  }
  return out;
}

}  // namespace podsense::foresight
