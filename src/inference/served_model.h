#pragma once

/// A served model version: the loaded model, its plan, queue and metrics.

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

/// kInline: runs on the calling thread, because handing it to an executor would cost more than the
/// run.
enum class Plan { kInline, kExecutor };
std::string_view plan_name(Plan plan);  ///< "inline", "executor"

class ModelTask;
struct Opened;

/// A request runs on the I/O thread only if the run of all its rows is at most this long. Longer
/// ones go through the queue, even if the model's plan is inline.
inline constexpr Duration kInlineLimit = std::chrono::microseconds(200);
/// Texts can have any length: requests with more than this many bytes go through the queue.
inline constexpr std::uint64_t kInlineTextBytes = 1024;

struct ServeOptions {
  /// concurrent runs, unless set in the manifest; 0: the number of executors
  unsigned instances = 1;
  std::size_t max_waiting = 4096;  ///< tasks in a queue
  Duration max_wait{};             ///< see batching::QueueOptions
  Faults* faults = nullptr;        ///< must outlive the models; null: no fault injection
};

/// @threads immutable after `serve`; `queue` is thread-safe
struct ServedModel {
  std::shared_ptr<const model::Model> model;
  std::string version;
  Plan plan = Plan::kExecutor;
  Profile profile;
  bool profile_saved = false;  ///< measured at an earlier start
  Duration service{};          ///< one row, from the profile
  bool sizes_vary = false;     ///< rows differ in size, and so in cost
  /// Maximum rows of a shared run: the manifest's, or else chosen by the profile.
  std::size_t max_batch = 1;
  std::unique_ptr<Stacking> stacking = std::make_unique<Stacking>();
  std::vector<std::string> warnings;        ///< one sentence each; the model serves anyway
  std::optional<ProfileKey> profile_key;    ///< where the profile is saved for the next start
  std::optional<std::string> saved_rows{};  ///< as SavedProfile::rows
  std::shared_ptr<const ModelTask> task;    ///< what the model is used for
  Faults* faults = nullptr;
  const Clock* clock = nullptr;  ///< must outlive it
  std::shared_ptr<metrics::ModelMetrics> metrics;
  std::vector<std::unique_ptr<metrics::Registry::Gauge>> gauges;
  std::unique_ptr<batching::Queue> queue;
  /// Unix time of the last run, in milliseconds, with an error of a few; 0: none yet.
  alignas(64) mutable std::atomic<std::uint64_t> last_inference_ms{0};

  [[nodiscard]] const std::string& name() const { return model->name(); }
  /// The maximum rows of a shared run at the moment.
  [[nodiscard]] std::size_t shared_rows() const { return stacking->shared() ? max_batch : 1; }
  /// Triton's max_batch_size: the maximum rows of a request in which each row is answered
  /// independently; 0: the first dimension is not a batch dimension.
  [[nodiscard]] std::uint32_t max_batch_size() const;
  /// Ends shared runs for good; counts it and logs a warning, once.
  void end_stacking(std::string_view reason) const;
  [[nodiscard]] std::string_view label(std::size_t class_index) const;
  [[nodiscard]] protocol::ModelStatistics statistics() const;
  /// How the model runs and why, as names and texts for its configuration: plan, threads,
  /// max_batch, requests ("shared", "alone", "checking"), requests_reason, service_ms, profile_ms,
  /// batch_gain ("rows:milliseconds" with commas between), profile ("measured" or "saved").
  [[nodiscard]] std::vector<std::pair<std::string_view, std::string>> plan_facts() const;
};

/// Chooses the plan and opens the queue.
std::shared_ptr<const ServedModel> serve(Opened opened, batching::Scheduler& scheduler,
                                         metrics::Registry& registry, const Clock& clock,
                                         const ServeOptions& options);

}  // namespace podsense::inference
