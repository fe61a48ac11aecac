#pragma once

/// A model version as it is served: the loaded model, how it runs, its queue and its metrics.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "batching/scheduler.h"
#include "inference/faults.h"
#include "inference/profile.h"
#include "inference/saved_profiles.h"
#include "inference/stacking.h"
#include "metrics/metrics.h"
#include "model/model.h"
#include "protocol/tensor.h"

namespace podsense::inference {

/// kInline: on the calling thread, since a hand-over would cost more than the run.
enum class Plan { kInline, kExecutor };
std::string_view plan_name(Plan plan);  ///< "inline", "executor"

class ModelTask;
struct Opened;

/// Runs of all of a request's rows at least as short as this stay on the I/O thread; what takes
/// longer goes through the queue, also of a model with this plan.
inline constexpr Duration kInlineLimit = std::chrono::microseconds(200);
/// Texts may be of any length: requests with more than this go through the queue.
inline constexpr std::uint64_t kInlineTextBytes = 1024;

struct ServeOptions {
  unsigned instances = 1;  ///< runs at the same time where the manifest says nothing; 0: executors
  std::size_t max_waiting = 4096;  ///< tasks in a queue
  Duration max_wait{};             ///< see batching::QueueOptions
  Faults* faults = nullptr;        ///< outlives the models; null: none can be set
};

/// @threads immutable after `serve`; `queue` is thread-safe
struct ServedModel {
  std::shared_ptr<const model::Model> model;
  std::string version;
  Plan plan = Plan::kExecutor;
  Profile profile;
  bool profile_saved = false;  ///< measured at an earlier start
  Duration service{};          ///< one row, from the profile
  bool sizes_vary = false;     ///< rows of requests differ in size, and so in what they cost
  /// Rows in one run, where requests may share one: the manifest's, else what the profile found.
  std::size_t max_batch = 1;
  std::unique_ptr<Stacking> stacking = std::make_unique<Stacking>();
  std::vector<std::string> warnings;      ///< one sentence each; none of them keeps it from serving
  std::optional<ProfileKey> profile_key;  ///< where it is kept for the next start
  std::optional<std::string> saved_rows{};  ///< as SavedProfile::rows
  std::shared_ptr<const ModelTask> task;    ///< what it is used for
  Faults* faults = nullptr;
  const Clock* clock = nullptr;  ///< outlives it
  std::shared_ptr<metrics::ModelMetrics> metrics;
  std::vector<std::unique_ptr<metrics::Registry::Gauge>> gauges;
  std::unique_ptr<batching::Queue> queue;
  /// Unix time of the last run in milliseconds, to a few of them; 0: none yet.
  alignas(64) mutable std::atomic<std::uint64_t> last_inference_ms{0};

  [[nodiscard]] const std::string& name() const { return model->name(); }
  /// Rows that a run may be put together from now.
  [[nodiscard]] std::size_t shared_rows() const { return stacking->shared() ? max_batch : 1; }
  /// Triton's max_batch_size: rows that a request may bring and be sure that each is answered by
  /// itself; 0: the first dimension is like any other.
  [[nodiscard]] std::uint32_t max_batch_size() const;
  /// Ends stacking for good: counts it and writes a warning, once.
  void end_stacking(std::string_view reason) const;
  [[nodiscard]] std::string_view label(std::size_t class_index) const;
  [[nodiscard]] protocol::ModelStatistics statistics() const;
  /// How it runs and why, as names and texts for a model's configuration: plan, threads, max_batch,
  /// requests ("shared", "alone", "checking"), requests_reason, service_ms, profile_ms, batch_gain
  /// ("rows:milliseconds" with commas between), profile ("measured" or "saved").
  [[nodiscard]] std::vector<std::pair<std::string_view, std::string>> plan_facts() const;
};

/// Chooses the plan and opens the queue.
std::shared_ptr<const ServedModel> serve(Opened opened, batching::Scheduler& scheduler,
                                         metrics::Registry& registry, const Clock& clock,
                                         const ServeOptions& options);

}  // namespace podsense::inference
