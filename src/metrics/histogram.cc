#include "metrics/histogram.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

namespace podsense::metrics {
namespace {

constexpr int kDoubleExponentBias = 1023;
constexpr unsigned kDoubleMantissaBits = 52;
constexpr std::uint64_t kMantissaMask = (std::uint64_t{1} << kDoubleMantissaBits) - 1;

/// The mantissas of 2^(k/8), k = 0 to 7.
const auto kMantissaBounds = [] {
  std::array<std::uint64_t, std::size_t{1} << unsigned{Histogram::kSchema}> bounds{};
  for (std::size_t k = 0; k < bounds.size(); ++k) {
    const double bound = std::exp2(static_cast<double>(k) / static_cast<double>(bounds.size()));
    bounds[k] = std::bit_cast<std::uint64_t>(bound) & kMantissaMask;
  }
  return bounds;
}();

/// The index in a histogram's native counts; 0 is the zero bucket.
std::size_t native_slot(double value, std::size_t last) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const int exponent = static_cast<int>(bits >> kDoubleMantissaBits) - kDoubleExponentBias;
  const std::uint64_t mantissa = bits & kMantissaMask;
  // A negative value's sign bit would make it look large.
  if (value <= 0 || exponent < Histogram::kLowestExponent) {
    return 0;
  }
  std::size_t above = 0;  // how many bounds of its power of two it exceeds
  for (const std::uint64_t bound : kMantissaBounds) {
    above += mantissa > bound ? 1 : 0;
  }
  const auto octave = static_cast<std::size_t>(exponent - Histogram::kLowestExponent);
  return std::min((octave << unsigned{Histogram::kSchema}) + above, last);
}

}  // namespace

std::uint64_t NativeBuckets::total() const {
  std::uint64_t sum = zero_count;
  for (const auto& [index, count] : buckets) {
    sum += count;
  }
  return sum;
}

void reduce_resolution(NativeBuckets& native, std::size_t max_buckets) {
  constexpr int kLowestSchema = -4;
  while (native.buckets.size() > max_buckets && native.schema > kLowestSchema) {
    --native.schema;
    std::vector<std::pair<int, std::uint64_t>> wider;
    for (const auto& [index, count] : native.buckets) {
      const int into = (index + 1) >> 1;  // the merged bucket ends where the upper half ends
      if (wider.empty() || wider.back().first != into) {
        wider.emplace_back(into, 0);
      }
      wider.back().second += count;
    }
    native.buckets = std::move(wider);
  }
}

Histogram::Histogram(std::vector<double> bounds, HistogramForm form)
    : bounds_(std::move(bounds)),
      counts_(bounds_.size() + 1),
      native_(form == HistogramForm::kFixedAndNative ? std::make_unique<NativeCounts>() : nullptr),
      exemplars_(bounds_.size() + 1) {}

void Histogram::observe(double value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
  if (native_) {
    (*native_)[native_slot(value, kNativeCount)].fetch_add(1, std::memory_order_relaxed);
  }
}

void Histogram::keep_exemplar(double value, std::string_view trace_id) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  const MutexLock lock(mutex_);
  Exemplar& slot = exemplars_[static_cast<std::size_t>(bucket)];
  slot.trace_id = trace_id;
  slot.value = value;
  slot.unix_seconds = std::floor(now.count() * 1000) / 1000;
}

std::vector<std::uint64_t> Histogram::counts() const {
  std::vector<std::uint64_t> out;
  out.reserve(counts_.size());
  for (const Count& count : counts_) {
    out.push_back(count.load(std::memory_order_relaxed));
  }
  return out;
}

Exemplars Histogram::exemplars() const {
  const MutexLock lock(mutex_);
  return exemplars_;
}

NativeBuckets Histogram::native() const {
  NativeBuckets out{.schema = kSchema,
                    .zero_threshold = std::exp2(kLowestExponent),
                    .zero_count = (*native_)[0].load(std::memory_order_relaxed),
                    .buckets = {}};
  constexpr int kBelowFirst = kLowestExponent * (1 << unsigned{kSchema});
  for (std::size_t slot = 1; slot < native_->size(); ++slot) {
    if (const auto count = (*native_)[slot].load(std::memory_order_relaxed); count > 0) {
      out.buckets.emplace_back(kBelowFirst + static_cast<int>(slot), count);
    }
  }
  reduce_resolution(out, kMaxNativeBuckets);
  return out;
}

HistogramFamily::HistogramFamily(std::string name, std::vector<double> bounds, HistogramForm form)
    : name_(std::move(name)), bounds_(std::move(bounds)), form_(form) {}

Histogram& HistogramFamily::with(const Labels& labels) {
  const MutexLock lock(mutex_);
  auto& slot = histograms_[labels];
  if (!slot) {
    slot = std::make_unique<Histogram>(bounds_, form_);
  }
  return *slot;
}

void HistogramFamily::remove(const Labels& labels) {
  const MutexLock lock(mutex_);
  histograms_.erase(labels);
}

std::vector<std::pair<HistogramFamily::Labels, const Histogram*>> HistogramFamily::all() const {
  const MutexLock lock(mutex_);
  std::vector<std::pair<Labels, const Histogram*>> out;
  out.reserve(histograms_.size());
  for (const auto& [labels, histogram] : histograms_) {
    out.emplace_back(labels, histogram.get());
  }
  return out;
}

}  // namespace podsense::metrics
