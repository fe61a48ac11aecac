#pragma once

/// A histogram with fixed buckets and, optionally, also exponential ones (Prometheus calls these
/// native), which resolve any latency to 9 %. An observation costs three atomic additions. Internal
/// to this module.
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

/// The exponential buckets that are not empty, by rising index. Bucket `i` of schema `s` counts
/// values above 2^((i-1)/2^s) and up to 2^(i/2^s).
struct NativeBuckets {
  int schema = 0;
  double zero_threshold = 0;     ///< values up to this are in the zero bucket
  std::uint64_t zero_count = 0;  ///< of the zero bucket
  std::vector<std::pair<int, std::uint64_t>> buckets;
  [[nodiscard]] std::uint64_t total() const;
};

/// Halves the resolution until at most `max_buckets` are left. The resolution of a histogram never
/// increases again.
void reduce_resolution(NativeBuckets& native, std::size_t max_buckets);

enum class HistogramForm { kFixed, kFixedAndNative };

/// @threads thread-safe
class Histogram {
 public:
  /// Each bound is 2^(1/8) times the previous one.
  static constexpr int kSchema = 3;
  /// The powers of two that have buckets, for seconds: above 60 ns, up to 68 minutes. Shorter times
  /// are in the zero bucket, longer ones in the last.
  static constexpr int kLowestExponent = -24;
  static constexpr int kHighestExponent = 12;
  /// The maximum of filled buckets that are exposed. That is about two thirds of the possible
  /// number, and twice what a model's latencies fill.
  static constexpr std::size_t kMaxNativeBuckets = 160;

  /// `bounds` rise.
  Histogram(std::vector<double> bounds, HistogramForm form);

  void observe(double value);
  /// Stores `value` as the exemplar of its fixed bucket, replacing the previous one.
  void keep_exemplar(double value, std::string_view trace_id);

  [[nodiscard]] const std::vector<double>& bounds() const { return bounds_; }
  /// The count of each fixed bucket (not cumulative), the open one last.
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

  /// Created on first use; lives until `remove`.
  Histogram& with(const Labels& labels);
  /// Removes a histogram. @requires nobody uses it any more
  void remove(const Labels& labels);
  [[nodiscard]] const std::string& name() const { return name_; }
  /// All current histograms with their labels.
  [[nodiscard]] std::vector<std::pair<Labels, const Histogram*>> all() const;

 private:
  const std::string name_;
  const std::vector<double> bounds_;
  const HistogramForm form_;
  mutable Mutex mutex_;
  std::map<Labels, std::unique_ptr<Histogram>> histograms_ GUARDED_BY(mutex_);
};

}  // namespace podsense::metrics
