#pragma once

/// Counts of observations in fixed buckets and, where wanted, in exponential ones beside them
/// (Prometheus calls these native), which resolve any latency to 9 %. An observation costs three
/// atomic additions. Internal to this module.
/// @source Prometheus, "Native histograms" (schemas, zero bucket, reduction of resolution)

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "metrics/metrics.h"

namespace podsense::metrics {

/// Exponential buckets that hold something, by rising index: bucket `i` of schema `s` counts what
/// lies above 2^((i-1)/2^s) and up to 2^(i/2^s).
struct NativeBuckets {
  int schema = 0;
  double zero_threshold = 0;     ///< what is not above it is in the zero bucket
  std::uint64_t zero_count = 0;  ///< of the zero bucket
  std::vector<std::pair<int, std::uint64_t>> buckets;
  [[nodiscard]] std::uint64_t total() const;
};

/// Halves the resolution until at most `max_buckets` are left. What has been counted in few
/// buckets once stays in few: a histogram's schema never rises again.
void reduce_resolution(NativeBuckets& native, std::size_t max_buckets);

enum class HistogramForm { kFixed, kFixedAndNative };

/// @threads thread-safe
class Histogram {
 public:
  /// 2^(1/8) from bound to bound.
  static constexpr int kSchema = 3;
  /// Binary orders of magnitude that have buckets, for seconds: above 60 ns, up to 68 minutes.
  /// What is shorter is in the zero bucket, what is longer in the last.
  static constexpr int kLowestExponent = -24;
  static constexpr int kHighestExponent = 12;
  /// A series of Prometheus keeps all of them; two thirds of what there could be at most, and
  /// twice what a model's latencies fill.
  static constexpr std::size_t kMaxNativeBuckets = 160;

  /// `bounds` rise.
  Histogram(std::vector<double> bounds, HistogramForm form);

  void observe(double value);
  /// The last traced observation of its fixed bucket.
  void keep_exemplar(double value, std::string_view trace_id);

  [[nodiscard]] const std::vector<double>& bounds() const { return bounds_; }
  /// Of each fixed bucket alone, the open one last.
  [[nodiscard]] std::vector<std::uint64_t> counts() const;
  [[nodiscard]] double sum() const { return sum_.load(std::memory_order_relaxed); }
  [[nodiscard]] Exemplars exemplars() const;
  [[nodiscard]] bool is_native() const { return native_ != nullptr; }
  /// @requires is_native()
  [[nodiscard]] NativeBuckets native() const;

 private:
  using Count = std::atomic<std::uint64_t>;
  static constexpr std::size_t kNativeCount =
      static_cast<std::size_t>(kHighestExponent - kLowestExponent) << kSchema;
  /// The zero bucket first.
  using NativeCounts = std::array<Count, kNativeCount + 1>;

  const std::vector<double> bounds_;
  std::vector<Count> counts_;
  std::atomic<double> sum_ = 0;
  std::unique_ptr<NativeCounts> native_;
  mutable Mutex mutex_;
  Exemplars exemplars_ GUARDED_BY(mutex_);
};

/// Histograms of one name, by labels. @threads thread-safe
class HistogramFamily {
 public:
  using Labels = std::map<std::string, std::string>;
  HistogramFamily(std::string name, std::vector<double> bounds, HistogramForm form);

  /// Made when first asked for; lives until it is removed.
  Histogram& with(const Labels& labels);
  /// Ends a histogram. @requires nobody uses it any more
  void remove(const Labels& labels);
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Of all that there are now.
  [[nodiscard]] std::vector<std::pair<Labels, const Histogram*>> all() const;

 private:
  const std::string name_;
  const std::vector<double> bounds_;
  const HistogramForm form_;
  mutable Mutex mutex_;
  std::map<Labels, std::unique_ptr<Histogram>> histograms_ GUARDED_BY(mutex_);
};

}  // namespace podsense::metrics
