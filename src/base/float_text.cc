#include "base/float_text.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace podsense {
namespace {

constexpr int kLeastPower = -31;
constexpr int kMostPower = 45;

/// floor(e * log2(10)), exact in this table's range.
constexpr int floor_log2_of_power10(int e) {
  return (e * 1741647) >> 19;
}

/// A number of 256 bits, low words first: enough for 10^45 and for 2^190 / 10^31.
using Big = std::array<std::uint64_t, 4>;

constexpr void multiply(Big& big, std::uint64_t by) {
  unsigned __int128 carry = 0;
  for (std::uint64_t& word : big) {
    carry += static_cast<unsigned __int128>(word) * by;
    word = static_cast<std::uint64_t>(carry);
    carry >>= 64U;
  }
}

constexpr void divide(Big& big, std::uint64_t by) {
  unsigned __int128 rest = 0;
  for (std::size_t i = big.size(); i-- > 0;) {
    rest = rest << 64U | big[i];
    big[i] = static_cast<std::uint64_t>(rest / by);
    rest %= by;
  }
}

constexpr int bit_length(const Big& big) {
  for (std::size_t i = big.size(); i-- > 0;) {
    if (big[i] != 0) {
      return static_cast<int>(i) * 64 + 64 - std::countl_zero(big[i]);
    }
  }
  return 0;
}

/// The highest 64 bits, starting at the first set bit; the rest is cut off.
constexpr std::uint64_t top_bits(const Big& big) {
  const int shift = bit_length(big) - 64;
  if (shift <= 0) {
    return big[0] << static_cast<unsigned>(-shift);
  }
  const auto word = static_cast<std::size_t>(shift / 64);
  const auto bits = static_cast<unsigned>(shift % 64);
  return bits == 0 ? big[word] : big[word] >> bits | big[word + 1] << (64U - bits);
}

/// 10^e, scaled into 2^63..2^64, rounded down, plus one.
constexpr auto make_powers() {
  std::array<std::uint64_t, kMostPower - kLeastPower + 1> powers{};
  for (int e = kLeastPower; e <= kMostPower; ++e) {
    Big big{};
    big[e < 0 ? 3 : 0] = 1;  // 2^192, so that a quotient keeps its bits
    for (int i = 0; i < (e < 0 ? -e : e); ++i) {
      if (e < 0) {
        divide(big, 10);
      } else {
        multiply(big, 10);
      }
    }
    powers[static_cast<std::size_t>(e - kLeastPower)] = top_bits(big) + 1;
  }
  return powers;
}
constexpr auto kPowers = make_powers();

struct Decimal {
  std::uint32_t digits = 0;
  int power = 0;
};

/// The integer part of g * c / 2^64 in units of 2^-32, its last bit set when anything was cut off.
std::uint32_t round_to_odd(std::uint64_t g, std::uint32_t c) {
  const auto product = static_cast<unsigned __int128>(g) * c;
  const auto whole = static_cast<std::uint32_t>(product >> 64U);
  const auto rest = static_cast<std::uint32_t>(product >> 32U);
  return whole | static_cast<std::uint32_t>(rest > 1);
}

/// `fraction` and `exponent` are the float's fields; not both 0.
Decimal shortest(std::uint32_t fraction, std::uint32_t exponent) {
  const std::uint32_t c = exponent != 0 ? fraction | 1U << 23U : fraction;
  const int q = exponent != 0 ? static_cast<int>(exponent) - 150 : -149;
  const bool even = c % 2 == 0;
  const bool closer = fraction == 0 && exponent > 1;  // the next float below is half as far
  const std::uint32_t low = 4 * c - 2 + (closer ? 1 : 0);
  const std::uint32_t high = 4 * c + 2;
  const int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
  const auto h = static_cast<unsigned>(q + floor_log2_of_power10(-k) + 1);
  const std::uint64_t g = kPowers[static_cast<std::size_t>(-k - kLeastPower)];
  const std::uint32_t value = round_to_odd(g, 4 * c << h);
  const std::uint32_t lower = round_to_odd(g, low << h) + (even ? 0 : 1);
  const std::uint32_t upper = round_to_odd(g, high << h) - (even ? 0 : 1);
  const std::uint32_t s = value / 4;
  if (s >= 10) {
    const std::uint32_t tens = s / 10;
    const bool down_inside = lower <= 40 * tens;
    const bool up_inside = 40 * tens + 40 <= upper;
    if (down_inside != up_inside) {
      return {tens + (up_inside ? 1 : 0), k + 1};
    }
  }
  const bool down_inside = lower <= 4 * s;
  const bool up_inside = 4 * s + 4 <= upper;
  if (down_inside != up_inside) {
    return {s + (up_inside ? 1 : 0), k};
  }
  const std::uint32_t middle = 4 * s + 2;
  const bool up = value > middle || (value == middle && s % 2 == 1);
  return {s + (up ? 1 : 0), k};
}

char* repeat_zero(char* at, int count) {
  for (; count > 0; --count) {
    *at++ = '0';
  }
  return at;
}

/// d.ddde±XX
char* write_scientific(char* at, const char* digits, int count, int power) {
  *at++ = digits[0];
  if (count > 1) {
    *at++ = '.';
    std::memcpy(at, digits + 1, static_cast<std::size_t>(count - 1));
    at += count - 1;
  }
  *at++ = 'e';
  *at++ = power < 0 ? '-' : '+';
  power = power < 0 ? -power : power;
  *at++ = static_cast<char>('0' + power / 10);
  *at++ = static_cast<char>('0' + power % 10);
  return at;
}

}  // namespace

char* write_shortest(char* at, float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits >> 31U) != 0) {
    *at++ = '-';
  }
  const std::uint32_t fraction = bits & 0x7FFFFFU;
  const std::uint32_t exponent = bits >> 23U & 0xFFU;
  if (fraction == 0 && exponent == 0) {
    *at++ = '0';
    return at;
  }
  Decimal decimal = shortest(fraction, exponent);
  while (decimal.digits % 10 == 0) {
    decimal.digits /= 10;
    ++decimal.power;
  }
  std::array<char, 10> digits;
  const char* const end =
      std::to_chars(digits.data(), digits.data() + digits.size(), decimal.digits).ptr;
  const auto count = static_cast<int>(end - digits.data());
  const int point = count + decimal.power;  // digits in front of the point
  if (point <= -4 || point > count + 4) {
    return write_scientific(at, digits.data(), count, point - 1);
  }
  if (point <= 0) {
    *at++ = '0';
    *at++ = '.';
    at = repeat_zero(at, -point);
    std::memcpy(at, digits.data(), static_cast<std::size_t>(count));
    return at + count;
  }
  if (point >= count) {
    std::memcpy(at, digits.data(), static_cast<std::size_t>(count));
    return repeat_zero(at + count, point - count);
  }
  std::memcpy(at, digits.data(), static_cast<std::size_t>(point));
  at[point] = '.';
  std::memcpy(at + point + 1, digits.data() + point, static_cast<std::size_t>(count - point));
  return at + count + 1;
}

}  // namespace podsense
