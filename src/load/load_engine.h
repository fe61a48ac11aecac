#pragma once

/// Sends requests when they are due and records what becomes of them. One thread and one event loop
/// per part; each has its own share of the schedule, its own connections and its own Results.
///
/// Open loop: a request goes out at its moment, whatever became of those before it. Closed loop: a
/// number of workers each send the next request when the last one was answered.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "arrivals/arrivals.h"
#include "load/clients/transport.h"
#include "load/measuring/generator_use.h"
#include "load/measuring/results.h"

namespace podsense::load {

struct RunPlan {
  /// Open loop if set.
  std::shared_ptr<const arrivals::ArrivalShape> shape;
  arrivals::ArrivalProcess arrivals = arrivals::ArrivalProcess::kEven;
  std::uint64_t seed = 1;

  unsigned workers = 1;    ///< closed loop
  double worker_rate = 0;  ///< closed loop: at most so many a second each; 0: no limit

  Duration duration{};                  ///< when the last request may be due
  std::uint64_t requests = UINT64_MAX;  ///< at most
  Duration warm_up{};                   ///< at the begin: not measured
  Duration cool_down{};                 ///< at the end: not measured
  Duration slice_width = std::chrono::seconds(1);
  Duration timeout = Duration::max();  ///< an answer that took longer is none
  unsigned threads = 1;
  /// Of each target, in their order: the shares of the requests. At least one, each at least 1.
  std::vector<unsigned> weights{1};
  bool log = false;  ///< keep a RequestRow of each request, for `take_rows`
};

/// The order in which targets take turns, over and over: as even as their weights allow.
std::vector<unsigned> turns_of(const std::vector<unsigned>& weights);

/// What a run measured of all its targets, and of each.
struct RunResults {
  Results all;
  std::vector<Results> targets;
};

/// @threads one caller
class LoadEngine {
 public:
  /// `make` has one for each target; each is called once per thread, with that thread's number of
  /// connections left to it.
  static Result<std::unique_ptr<LoadEngine>> create(const RunPlan& plan,
                                                    const std::vector<MakeTransport>& make);
  ~LoadEngine();
  LoadEngine(const LoadEngine&) = delete;
  LoadEngine& operator=(const LoadEngine&) = delete;

  /// Opens the first connections; blocks, at most for their time limit.
  /// @errors kUnavailable, kDeadlineExceeded: why there is no connection
  Result<void> open();
  void start();
  /// Waits for the end of the run, or for `at_most`; true when it has ended.
  bool wait(Duration at_most);
  /// Sends nothing more and gives up what is under way.
  void interrupt();
  /// Sends nothing more; what is under way is waited for.
  void stop_sending();

  [[nodiscard]] TimePoint started() const { return start_; }
  /// What happened since the last call.
  Recorder::Recent recent();
  [[nodiscard]] std::size_t in_flight() const;
  /// Requests that ended since the last call, where the plan says so; in no order.
  std::vector<RequestRow> take_rows();
  /// After the end.
  RunResults results();

 private:
  class Part;
  explicit LoadEngine(const RunPlan& plan);

  const RunPlan plan_;
  TimePoint start_;
  TimePoint ended_ = TimePoint::max();
  bool interrupted_ = false;
  TimePoint stopped_;                     ///< when it was
  std::atomic<std::uint64_t> taken_ = 0;  ///< closed loop: requests that some part has taken
  std::optional<ProcessTime> process_;
  std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace podsense::load
