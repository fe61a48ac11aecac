#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace podsense::image {
namespace {

// 8 bits for the result and 2 for headroom: kernels with negative lobes overshoot by less than a
// factor of two.
constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr std::int32_t kOne = 1 << kPrecisionBits;

double box_filter(double x) {
  return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

double bilinear_filter(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/// Keys' cubic convolution with a = −0.5, in Pillow's order of operations.
double bicubic_filter(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1.0) {
    return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1;
  }
  return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * kA : 0.0;
}

double sinc(double x) {
  if (x == 0.0) {
    return 1.0;
  }
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos_filter(double x) {
  return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

struct Kernel {
  double (*weight)(double);
  double support;
};

Kernel kernel_of(Filter filter) {
  switch (filter) {
    case Filter::kBilinear:
      return {bilinear_filter, 1.0};
    case Filter::kLanczos:
      return {lanczos_filter, 3.0};
    case Filter::kBox:
    case Filter::kNearest:
      return {box_filter, 0.5};
    case Filter::kBicubic:
      break;
  }
  return {bicubic_filter, 2.0};
}

std::int32_t to_fixed(double weight) {
  return static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * kOne);
}

constexpr std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

}  // namespace

void Axis::release() {
  bounds_.release();
  coefficients_.release();
  weights_.release();
}

void Axis::reserve(std::uint32_t count, std::size_t stride) {
  count_ = count;
  stride_ = stride;
  bounds_.reserve(std::size_t{count} * 2);
  coefficients_.reserve(count * stride);
  std::fill_n(coefficients_.data(), count * stride, 0);
}

void Axis::compute(const AxisSpec& spec, unsigned replicate) {
  if (spec.filter == Filter::kNearest) {
    reserve(spec.count, std::size_t{replicate} * kTapGroup);
    compute_nearest(spec);
    for (std::uint32_t i = 0; i < count_; ++i) {
      std::fill_n(coefficients_.data() + i * stride_, replicate, kOne);
    }
  } else {
    compute_filtered(spec, replicate);
  }
  source_begin_ = bounds_.data()[0];
  source_end_ = 0;
  for (std::uint32_t i = 0; i < count_; ++i) {
    source_begin_ = std::min(source_begin_, start(i));
    source_end_ = std::max(source_end_, start(i) + taps(i));
  }
  for (std::uint32_t i = 0; i < count_; ++i) {
    bounds_.data()[std::size_t{2} * i] -= source_begin_;
  }
  identity_ =
      spec.box.end - spec.box.begin == spec.scaled && spec.box.begin == std::floor(spec.box.begin);
  if (identity_) {
    // the kernels are 1 at 0 and 0 at all other integers
    source_begin_ = static_cast<std::uint32_t>(spec.box.begin) + spec.first;
    source_end_ = source_begin_ + spec.count;
    for (std::uint32_t i = 0; i < count_; ++i) {
      bounds_.data()[std::size_t{2} * i] = i;
      bounds_.data()[std::size_t{2} * i + 1] = 1;
      auto* const k = coefficients_.data() + i * stride_;
      std::fill_n(k, stride_, 0);
      std::fill_n(k, replicate, kOne);
    }
  }
}

void Axis::compute_nearest(const AxisSpec& spec) {
  const double scale = (spec.box.end - spec.box.begin) / spec.scaled;
  const auto last = static_cast<std::uint32_t>(std::ceil(spec.box.end)) - 1;
  double at = spec.box.begin + scale * 0.5;  // accumulated as in Pillow, not multiplied
  for (std::uint32_t i = 0; i < spec.first + spec.count; ++i, at += scale) {
    if (i >= spec.first) {
      bounds_.data()[std::size_t{2} * (i - spec.first)] =
          std::min(static_cast<std::uint32_t>(at), last);
      bounds_.data()[std::size_t{2} * (i - spec.first) + 1] = 1;
    }
  }
}

void Axis::compute_filtered(const AxisSpec& spec, unsigned replicate) {
  const Kernel kernel = kernel_of(spec.filter);
  const double scale = (spec.box.end - spec.box.begin) / spec.scaled;
  const double filter_scale = std::max(scale, 1.0);
  const double support = kernel.support * filter_scale;
  const double inverse = 1.0 / filter_scale;
  // The origin is the box's first pixel, so that the result equals Pillow's for a cropped copy.
  const auto origin = static_cast<std::uint32_t>(spec.box.begin);
  const double offset = spec.box.begin - origin;
  const auto size = static_cast<int>(std::ceil(spec.box.end)) - static_cast<int>(origin);
  const std::size_t most = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;

  reserve(spec.count, round_up(most, kTapGroup) * replicate);
  double* const weights = weights_.reserve(most);
  for (std::uint32_t i = 0; i < spec.count; ++i) {
    const double centre = offset + (spec.first + i + 0.5) * scale;
    // NOLINTBEGIN(bugprone-incorrect-roundings): must round exactly like Pillow
    const int begin = std::max(0, static_cast<int>(centre - support + 0.5));
    const int end = std::min(size, static_cast<int>(centre + support + 0.5));
    // NOLINTEND(bugprone-incorrect-roundings)
    const int taps = std::max(0, end - begin);
    double sum = 0;
    for (int t = 0; t < taps; ++t) {
      weights[t] = kernel.weight((t + begin - centre + 0.5) * inverse);
      sum += weights[t];
    }
    std::int32_t* const out = coefficients_.data() + i * stride_;
    for (int t = 0; t < taps; ++t) {
      const double weight = sum != 0.0 ? weights[t] / sum : weights[t];
      std::fill_n(out + std::size_t{replicate} * static_cast<unsigned>(t), replicate,
                  to_fixed(weight));
    }
    bounds_.data()[std::size_t{2} * i] = origin + static_cast<std::uint32_t>(begin);
    bounds_.data()[std::size_t{2} * i + 1] = static_cast<std::uint32_t>(taps);
  }
}

// The kernels. They use the compilers' portable vector types. On x86-64 each is compiled for the
// baseline and for AVX2; the choice is made once at run time. All sums are exact in 32 bits, so all
// versions give identical results.
namespace {

using U8x4 = std::uint8_t __attribute__((vector_size(4)));
using U8x8 = std::uint8_t __attribute__((vector_size(8)));
using I32x4 = std::int32_t __attribute__((vector_size(16)));
using I32x8 = std::int32_t __attribute__((vector_size(32)));

#define PODSENSE_INLINE inline __attribute__((always_inline))

// Vectors are passed by reference, because by value their ABI depends on AVX.
template <class Vector, class T>
PODSENSE_INLINE void load(const T* from, Vector& to) {
  std::memcpy(&to, from, sizeof to);
}

/// sum += bytes × coefficients, one each per lane.
template <class Narrow, class Wide>
PODSENSE_INLINE void add_products(const std::uint8_t* bytes, const std::int32_t* coefficients,
                                  Wide& sum) {
  Narrow b;
  Wide k;
  load(bytes, b);
  load(coefficients, k);
  sum += __builtin_convertvector(b, Wide) * k;
}

/// sum += bytes × one coefficient.
PODSENSE_INLINE void add_scaled(const std::uint8_t* bytes, std::int32_t coefficient, I32x8& sum) {
  U8x8 b;
  load(bytes, b);
  sum += __builtin_convertvector(b, I32x8) * coefficient;
}

PODSENSE_INLINE std::uint8_t clip(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

template <class Narrow, class Wide>
PODSENSE_INLINE void store_clipped(Wide& sum, std::uint8_t* out) {
  sum >>= kPrecisionBits;
  sum = sum < 0 ? Wide{} : sum;
  sum = sum > 255 ? Wide{} + 255 : sum;
  const auto narrow = __builtin_convertvector(sum, Narrow);
  std::memcpy(out, &narrow, sizeof narrow);
}

PODSENSE_INLINE void row_rgbx_body(const std::uint8_t* source, const Axis& axis,
                                   std::uint8_t* out) {
  for (std::uint32_t i = 0; i < axis.count(); ++i) {
    const std::uint8_t* s = source + std::size_t{axis.start(i)} * 4;
    const std::int32_t* k = axis.coefficients(i);
    I32x8 even = {};
    I32x8 odd = {};
    for (std::uint32_t t = 0; t < axis.taps(i); t += Axis::kTapGroup, s += 16, k += 16) {
      add_products<U8x8>(s, k, even);
      add_products<U8x8>(s + 8, k + 8, odd);
    }
    even += odd;
    const auto low = __builtin_shufflevector(even, even, 0, 1, 2, 3);
    const auto high = __builtin_shufflevector(even, even, 4, 5, 6, 7);
    I32x4 sum = low + high + (1 << (kPrecisionBits - 1));
    store_clipped<U8x4>(sum, out + std::size_t{i} * 4);
  }
}

PODSENSE_INLINE void row_gray_body(const std::uint8_t* source, const Axis& axis,
                                   std::uint8_t* out) {
  for (std::uint32_t i = 0; i < axis.count(); ++i) {
    const std::uint8_t* s = source + axis.start(i);
    const std::int32_t* k = axis.coefficients(i);
    I32x4 sum = {};
    for (std::uint32_t t = 0; t < axis.taps(i); t += Axis::kTapGroup, s += 4, k += 4) {
      add_products<U8x4>(s, k, sum);
    }
    out[i] = clip(sum[0] + sum[1] + sum[2] + sum[3] + (1 << (kPrecisionBits - 1)));
  }
}

PODSENSE_INLINE void column_body(const std::uint8_t* rows, std::size_t stride,
                                 const std::int32_t* coefficients, std::uint32_t taps,
                                 std::size_t row_bytes, std::uint8_t* out) {
  constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);
  for (std::size_t x = 0; x < row_bytes; x += 32) {
    I32x8 a = I32x8{} + kHalf;
    I32x8 b = a;
    I32x8 c = a;
    I32x8 d = a;
    const std::uint8_t* s = rows + x;
    for (std::uint32_t t = 0; t < taps; ++t, s += stride) {
      const std::int32_t k = coefficients[t];
      add_scaled(s, k, a);
      add_scaled(s + 8, k, b);
      add_scaled(s + 16, k, c);
      add_scaled(s + 24, k, d);
    }
    store_clipped<U8x8>(a, out + x);
    store_clipped<U8x8>(b, out + x + 8);
    store_clipped<U8x8>(c, out + x + 16);
    store_clipped<U8x8>(d, out + x + 24);
  }
}

struct Kernels {
  void (*row_rgbx)(const std::uint8_t*, const Axis&, std::uint8_t*);
  void (*row_gray)(const std::uint8_t*, const Axis&, std::uint8_t*);
  void (*column)(const std::uint8_t*, std::size_t, const std::int32_t*, std::uint32_t, std::size_t,
                 std::uint8_t*);
};

void row_rgbx_base(const std::uint8_t* source, const Axis& axis, std::uint8_t* out) {
  row_rgbx_body(source, axis, out);
}
void row_gray_base(const std::uint8_t* source, const Axis& axis, std::uint8_t* out) {
  row_gray_body(source, axis, out);
}
void column_base(const std::uint8_t* rows, std::size_t stride, const std::int32_t* coefficients,
                 std::uint32_t taps, std::size_t row_bytes, std::uint8_t* out) {
  column_body(rows, stride, coefficients, taps, row_bytes, out);
}
constexpr Kernels kBase{row_rgbx_base, row_gray_base, column_base};

#if defined(__x86_64__)
#define PODSENSE_AVX2 __attribute__((target("avx2")))
PODSENSE_AVX2 void row_rgbx_avx2(const std::uint8_t* source, const Axis& axis, std::uint8_t* out) {
  row_rgbx_body(source, axis, out);
}
PODSENSE_AVX2 void row_gray_avx2(const std::uint8_t* source, const Axis& axis, std::uint8_t* out) {
  row_gray_body(source, axis, out);
}
PODSENSE_AVX2 void column_avx2(const std::uint8_t* rows, std::size_t stride,
                               const std::int32_t* coefficients, std::uint32_t taps,
                               std::size_t row_bytes, std::uint8_t* out) {
  column_body(rows, stride, coefficients, taps, row_bytes, out);
}
constexpr Kernels kAvx2{row_rgbx_avx2, row_gray_avx2, column_avx2};

const Kernels& kernels() {
  static const bool avx2 = __builtin_cpu_supports("avx2") != 0;
  return avx2 ? kAvx2 : kBase;
}
#else
const Kernels& kernels() {
  return kBase;
}
#endif

}  // namespace

void resample_row(const std::uint8_t* source, const Axis& axis, Pixels pixels, std::uint8_t* out) {
  if (axis.identity()) {
    std::memcpy(out, source, axis.count() * pixel_size(pixels));
  } else if (pixels == Pixels::kRgbx) {
    kernels().row_rgbx(source, axis, out);
  } else {
    kernels().row_gray(source, axis, out);
  }
}

void resample_column(const std::uint8_t* rows, std::size_t stride, const std::int32_t* coefficients,
                     std::uint32_t taps, std::size_t row_bytes, std::uint8_t* out) {
  kernels().column(rows, stride, coefficients, taps, row_bytes, out);
}

namespace portable {

void resample_row(const std::uint8_t* source, const Axis& axis, Pixels pixels, std::uint8_t* out) {
  if (pixels == Pixels::kRgbx) {
    kBase.row_rgbx(source, axis, out);
  } else {
    kBase.row_gray(source, axis, out);
  }
}

void resample_column(const std::uint8_t* rows, std::size_t stride, const std::int32_t* coefficients,
                     std::uint32_t taps, std::size_t row_bytes, std::uint8_t* out) {
  kBase.column(rows, stride, coefficients, taps, row_bytes, out);
}

}  // namespace portable
}  // namespace podsense::image
