#pragma once

/// A Kubernetes quantity ("250m", "1.5Gi", "12e6") with the arithmetic that the autoscaler's
/// controller applies to it.
/// @source k8s.io/apimachinery/pkg/api/resource: quantity.go, amount.go, scale_int.go

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::foresight {

__extension__ using Int128 = __int128;

class Quantity {
 public:
  constexpr Quantity() = default;

  /// @errors kInvalidArgument: not a quantity, or more digits than 128 bits hold (the Go type has
  /// no such bound; 28 digits are always accepted)
  static Result<Quantity> parse(std::string_view text);
  static constexpr Quantity of_milli(std::int64_t milli) { return {Form::kInt64, milli, -3}; }

  /// In thousandths, rounded up. Overflows exactly as the Go type does.
  [[nodiscard]] std::int64_t milli() const;
  /// mantissa × 10^exponent in doubles: "0.07" gives 7 × 0.01, "70m" gives 70 × 0.001.
  [[nodiscard]] double approximate() const;
  /// -1, 0 or 1
  [[nodiscard]] int sign() const { return unscaled_ > 0 ? 1 : (unscaled_ < 0 ? -1 : 0); }
  /// As the API server stores it and the controller reads it back: the exponent a multiple of
  /// three. Only `approximate` can differ from the original's.
  [[nodiscard]] Quantity canonical() const;
  /// The exact sum, but for what lies below a billionth, which is rounded up.
  [[nodiscard]] Quantity plus(const Quantity& other) const;
  [[nodiscard]] bool operator<(const Quantity& other) const { return nano() < other.nano(); }

 private:
  enum class Form : std::uint8_t { kInt64, kDecimal };

  constexpr Quantity(Form form, Int128 unscaled, std::int32_t exponent)
      : unscaled_(unscaled), exponent_(exponent), form_(form) {}

  struct Parts;
  static Result<Quantity> make_decimal(const Parts& parts);
  [[nodiscard]] Int128 nano() const;
  [[nodiscard]] std::int64_t int64_milli() const;
  [[nodiscard]] std::int64_t decimal_milli() const;

  Int128 unscaled_ = 0;
  std::int32_t exponent_ = 0;  ///< value = unscaled × 10^exponent
  Form form_ = Form::kInt64;
};

/// Thousandths as people read them: 1500 → "1.5", 250 → "0.25".
std::string milli_text(std::int64_t milli);

}  // namespace podsense::foresight
