#pragma once

/// Parses JSON numbers in place, in one pass, without copies. Every function gets a pointer to the
/// first byte of a value and returns a pointer past it, or null if there is no such value. The text
/// must be followed by at least 16 readable bytes that end a number (Reader::load adds white
/// space).

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <system_error>

namespace podsense::protocol::numbers {

constexpr bool is_digit(char c) {
  return static_cast<unsigned char>(c - '0') < 10;
}

/// Reads eight digits at once into `value`. False: not all are digits.
/// @source the well-known SWAR reduction: pairs, then fours, then eight
inline bool eight_digits(const char* at, std::uint64_t& value) {
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, at, sizeof bytes);
  const std::uint64_t over = bytes + 0x4646464646464646ULL;
  const std::uint64_t under = bytes - 0x3030303030303030ULL;
  if (((over | under) & 0x8080808080808080ULL) != 0) {
    return false;
  }
  value = under * 10 + (under >> 8U);
  constexpr std::uint64_t kMask = 0x000000FF000000FFULL;
  value = (((value & kMask) * 0x000F424000000064ULL) +
           (((value >> 16U) & kMask) * 0x0000271000000001ULL)) >>
          32U;
  return true;
}

/// A number's parts: ±digits · 10^power.
struct Decimal {
  std::uint64_t digits = 0;
  std::int64_t power = 0;
  bool negative = false;
  bool exact = true;  ///< false: more digits than fit into `digits`
};

/// Beyond this power the value is infinity or zero, whatever the digits; it also prevents overflow
/// of sums.
inline constexpr std::int64_t kFarPower = 1'000'000;

/// Appends the digits at `at` to `value` and returns their end.
inline const char* take_digits(const char* at, std::uint64_t& value) {
  std::uint64_t eight = 0;
  while (eight_digits(at, eight)) {
    value = value * 100'000'000 + eight;
    at += 8;
  }
  while (is_digit(*at)) {
    value = value * 10 + static_cast<std::uint64_t>(*at - '0');
    ++at;
  }
  return at;
}

inline const char* take_exponent(const char* at, std::int64_t& power) {
  ++at;
  const bool minus = *at == '-';
  if (minus || *at == '+') {
    ++at;
  }
  if (!is_digit(*at)) {
    return nullptr;
  }
  std::int64_t value = 0;
  for (; is_digit(*at); ++at) {
    value = value < kFarPower ? value * 10 + (*at - '0') : kFarPower;
  }
  power += minus ? -value : value;
  return at;
}

/// Follows JSON's grammar strictly: no leading zeros, digits on both sides of the point.
inline const char* read_decimal(const char* at, Decimal& out) {
  out.negative = *at == '-';
  at += out.negative ? 1 : 0;
  const char* const first = at;
  out.digits = 0;
  out.power = 0;
  at = take_digits(at, out.digits);
  if (at == first || (*first == '0' && at != first + 1)) {
    return nullptr;
  }
  std::ptrdiff_t length = at - first;
  if (*at == '.') {
    const char* const fraction = ++at;
    at = take_digits(at, out.digits);
    if (at == fraction) {
      return nullptr;
    }
    out.power = fraction - at;
    length += at - fraction;
  }
  if (length > 19) {  // leading zeros do not count
    const char* zero = first;
    while (*zero == '0' || *zero == '.') {
      length -= *zero == '0' ? 1 : 0;
      ++zero;
    }
    out.exact = length <= 19;
  } else {
    out.exact = true;
  }
  if (*at == 'e' || *at == 'E') {
    at = take_exponent(at, out.power);
  }
  return at;
}

/// The powers of ten that a double represents exactly.
inline constexpr std::array<double, 23> kPowers{1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

inline double scaled(const Decimal& number) {
  const auto value = static_cast<double>(number.digits);
  return number.power < 0 ? value / kPowers[static_cast<std::size_t>(-number.power)]
                          : value * kPowers[static_cast<std::size_t>(number.power)];
}

/// The slow path, correct for any length. False: out of the type's range.
template <std::floating_point Float>
bool read_exactly(const char* first, const char* last, const Decimal& number, Float& out) {
  const auto error = std::from_chars(first, last, out).ec;
  if (error == std::errc()) {
    return std::isfinite(out);
  }
  // Out of range: too large, or so small that it is zero. The power of the first nonzero digit
  // decides which.
  std::int64_t leading = number.power;
  for (const char* at = first; at != last && *at != 'e' && *at != 'E'; ++at) {
    leading += is_digit(*at) ? 1 : 0;
  }
  const char* zero = first + (number.negative ? 1 : 0);
  for (; *zero == '0' || *zero == '.'; ++zero) {
    leading -= *zero == '0' ? 1 : 0;
  }
  if (leading > 0) {
    return false;
  }
  // The smallest floats are normal doubles.
  double wide = 0;
  if (std::from_chars(first, last, wide).ec != std::errc()) {
    wide = 0;
  }
  out = static_cast<Float>(number.negative ? -std::abs(wide) : wide);
  return true;
}

/// The result of parsing a number.
enum class Read { kOk, kOutOfRange };

/// Reads a missing value: `null`, or `NaN`, which Python and others write. Null: neither.
template <std::floating_point Float>
const char* read_missing(const char* at, Float& out) {
  out = std::numeric_limits<Float>::quiet_NaN();
  if (std::memcmp(at, "null", 4) == 0) {
    return at + 4;
  }
  return std::memcmp(at, "NaN", 3) == 0 ? at + 3 : nullptr;
}

inline const char* read(const char* at, double& out, Read& outcome) {
  Decimal number;
  const char* const end = read_decimal(at, number);
  if (end == nullptr) {
    return read_missing(at, out);
  }
  // Both factors are exact, so the result is rounded only once. @source Clinger 1990
  if (number.exact && number.digits <= (1ULL << 53U) && number.power >= -22 && number.power <= 22) {
    const double value = scaled(number);
    out = number.negative ? -value : value;
    return end;
  }
  if (!read_exactly(at, end, number, out)) {
    outcome = Read::kOutOfRange;
  }
  return end;
}

/// The float nearest to the decimal number itself, not to its nearest double.
inline const char* read(const char* at, float& out, Read& outcome) {
  Decimal number;
  const char* const end = read_decimal(at, number);
  if (end == nullptr) {
    return read_missing(at, out);
  }
  if (number.exact && number.power >= -22 && number.power <= 22) {
    // After two roundings the double's error is at most 2 units in the last place. That decides the
    // float, unless the double is that close to the middle between two floats.
    const double value = scaled(number);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    const auto from_middle =
        static_cast<std::int64_t>(bits & 0x1FFFFFFFULL) - std::int64_t{0x10000000};
    if ((from_middle > 2 || from_middle < -2) && value < 3.4e38) {
      out = static_cast<float>(number.negative ? -value : value);
      return end;
    }
  }
  if (!read_exactly(at, end, number, out)) {
    outcome = Read::kOutOfRange;
  }
  return end;
}

/// Only digits: 1.0 and 1e3 are not integers here.
template <std::integral Integer>
const char* read(const char* at, Integer& out, Read& outcome) {
  const bool negative = *at == '-';
  at += negative ? 1 : 0;
  const char* const first = at;
  std::uint64_t value = 0;
  at = take_digits(at, value);
  if (at == first || (*first == '0' && at != first + 1) || *at == '.' || *at == 'e' || *at == 'E') {
    return nullptr;
  }
  using Limits = std::numeric_limits<Integer>;
  const std::ptrdiff_t length = at - first;
  bool fits = length < 20;  // 19 digits are below 2^64
  if (length == 20) {
    fits = std::from_chars(first, at, value).ec == std::errc();
  }
  if (!negative) {
    fits = fits && value <= static_cast<std::uint64_t>(Limits::max());
    out = static_cast<Integer>(value);
  } else {
    const std::uint64_t least =
        std::signed_integral<Integer> ? static_cast<std::uint64_t>(Limits::max()) + 1 : 0;
    fits = fits && value <= least;
    out = static_cast<Integer>(0 - value);
  }
  if (!fits) {
    outcome = Read::kOutOfRange;
  }
  return at;
}

}  // namespace podsense::protocol::numbers
