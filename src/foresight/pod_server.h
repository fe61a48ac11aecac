#pragma once

/// `podsense serve` in one pod: its scheduler is the server's own SchedulerCore, its saturation the
/// server's own SaturationWindow; CPU time is the pod's share (cpu_share.h).

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "batching/saturation_window.h"
#include "batching/scheduler_core.h"
#include "foresight/cpu_share.h"
#include "foresight/scenario.h"

namespace podsense::foresight {

/// One attempt of one request.
struct Attempt : batching::Ticket {
  std::uint32_t id = 0;       ///< of its record
  std::uint64_t request = 0;  ///< its number among all that are due
  std::uint32_t tries = 0;    ///< attempts before this one
  std::uint32_t pod = 0;
  std::uint32_t connection = 0;
  std::uint32_t serial = 0;  ///< of this use of the record
  TimePoint due;             ///< of the request
  bool left = false;         ///< its client has gone
  [[nodiscard]] bool abandoned() const { return left; }
};

/// @threads confined to one thread
class PodServer {
 public:
  /// What one step brought, in its order.
  struct Happened {
    std::vector<Attempt*> answered;  ///< also those whose client has left
    std::vector<Attempt*> refused;   ///< 503
    std::vector<Attempt*> unwanted;  ///< dropped unrun, as the client has left
    std::vector<Duration> ran;       ///< how long runs took that ended
    bool warmed_up = false;
    void clear();
  };

  /// @param phase when one of its CPU periods begins
  PodServer(const Scenario& scenario, std::uint64_t seed, TimePoint phase);

  /// CPU time before it is ready.
  void warm_up(Duration cpu, TimePoint now);
  void take(Attempt* attempt, TimePoint now, Happened& happened);
  /// What is due by now. @pre not before the step before
  void advance(TimePoint now, Happened& happened);
  /// When `advance` is wanted next; max: never, if nothing comes.
  [[nodiscard]] TimePoint next_step() const;
  /// The process ends: whose connections break.
  std::vector<Attempt*> kill(TimePoint now);

  /// Runs that begin from now on take so many times their CPU time.
  void set_slowness(double factor) { slowness_ = factor; }
  /// Once a second, as the server's ticker does.
  void tick(TimePoint now);

  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  [[nodiscard]] double value(Signal signal) const;
  [[nodiscard]] Duration cpu_used(TimePoint now) { return cpu_.used(now); }
  [[nodiscard]] Duration throttled(TimePoint now) { return cpu_.throttled(now); }
  [[nodiscard]] batching::Runs runs(TimePoint now) const { return core_.runs(now); }

 private:
  using Core = batching::SchedulerCore<Attempt*>;
  enum class JobKind : std::uint8_t { kRequest, kRun, kWarmUp };
  struct Job {
    JobKind kind = JobKind::kRequest;
    Attempt* attempt = nullptr;  ///< kRequest
    Core::Next run;              ///< kRun
  };

  void begin(Job job, Duration cpu, TimePoint now);
  void end(std::uint64_t id, TimePoint now, Happened& happened);
  void submit(Attempt* attempt, TimePoint now, Happened& happened);
  void serve(TimePoint now, Happened& happened);
  [[nodiscard]] Duration run_cost(const Core::Next& next) const;
  [[nodiscard]] Duration request_cost(const Attempt& attempt) const;

  const Scenario& scenario_;
  const std::uint64_t seed_;
  Core core_;
  batching::QueueId queue_;
  CpuShare cpu_;
  batching::SaturationWindow window_;
  std::vector<Job> jobs_;  ///< by number
  std::vector<std::uint64_t> free_jobs_;
  TimePoint ask_again_ = TimePoint::max();
  std::size_t in_flight_ = 0;
  double slowness_ = 1;
  const bool draws_runs_;  ///< their CPU time differs from one to another
};

/// CPU time of a run of so many rows, the share `u` of which are shorter.
Duration run_cpu(const ServicePlan& service, std::size_t rows, double u);

}  // namespace podsense::foresight
