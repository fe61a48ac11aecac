#pragma once

/// Simulates a pod under open-loop load in virtual time, with the real SchedulerCore and clients
/// that leave after a time-out and may retry. The same seed gives the same result.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <numbers>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "batching/scheduler_core.h"

namespace podsense::batching {

struct Pod {
  std::string name = "exact";
  Duration service = std::chrono::milliseconds(25);  ///< per row
  /// standard deviation of the logarithm of run times
  double noise = 0;
  bool throttled = false;  ///< half a core: every second run takes three times as long
  unsigned executors = 1;
  std::size_t max_batch = 1;  ///< each further row of a batch saves 80 % of its cost
  Duration max_wait{};
  /// The capacity of the executors in rows per second.
  [[nodiscard]] double capacity() const {
    const double row = to_seconds(service) * (throttled ? 2 : 1) * row_share(max_batch);
    return executors / row;
  }
  [[nodiscard]] static double row_share(std::size_t rows) {
    return 0.2 + 0.8 / static_cast<double>(rows);
  }
};

struct Clients {
  Duration timeout = std::chrono::seconds(20);
  int retries = 0;   ///< after a time-out or a refusal
  double hasty = 0;  ///< share of clients that leave after `hasty_timeout`
  Duration hasty_timeout{};
  Duration deadline = std::chrono::seconds(30);  ///< the server's own
};

/// A period of constant load, as a multiple of the capacity.
struct Phase {
  double load = 1;
  Duration length{};
};

struct Counts {
  double received = 0;    ///< answers that reached a waiting client
  double unreceived = 0;  ///< answers whose client had left
  double refused = 0;
  double timed_out = 0;  ///< attempts
  Duration longest{};    ///< longest time from request to received answer
};

class CoreSimulation {
 public:
  CoreSimulation(Pod pod, Clients clients)
      : pod_(std::move(pod)),
        clients_(clients),
        core_({.executors = pod_.executors}),
        queue_(core_.add_queue({.max_batch = pod_.max_batch,
                                .instances = 0,
                                .max_waiting = 100'000,
                                .max_wait = pod_.max_wait,
                                .service = pod_.service})) {}

  /// Simulates `phases` and counts results after `from`.
  Counts run(const std::vector<Phase>& phases, Duration from) {
    count_from_ = kBegin + from;
    TimePoint end = kBegin;
    for (const Phase& phase : phases) {
      load_ = phase.load;
      end += phase.length;
      at(now_ + gap(), [this] { arrive(); });
      generation_ends_ = end;
      while (!events_.empty() && events_.begin()->first.first <= end) {
        step();
      }
      now_ = end;
    }
    return counts_;
  }
  [[nodiscard]] QueueLoad load() const { return core_.load(queue_); }

 private:
  static constexpr TimePoint kBegin{std::chrono::hours(1)};
  struct Visit : Ticket {
    int retries = 0;
    bool left = false;
    bool ended = false;
    [[nodiscard]] bool abandoned() const { return left; }
  };
  using Core = SchedulerCore<Visit*>;
  using Event = std::function<void()>;

  void at(TimePoint when, Event event) {
    events_.emplace(std::pair(when, ++order_), std::move(event));
  }
  void step() {
    auto event = events_.extract(events_.begin());
    now_ = event.key().first;
    event.mapped()();
    serve();
  }
  [[nodiscard]] bool counts() const { return now_ >= count_from_; }
  double uniform() { return (static_cast<double>(random_()) + 0.5) / 4294967296.0; }
  Duration gap() { return from_seconds(-std::log(uniform()) / (load_ * pod_.capacity())); }

  void arrive() {
    ask(clients_.retries);
    if (const TimePoint next = now_ + gap(); next < generation_ends_) {
      at(next, [this] { arrive(); });
    }
  }

  void ask(int retries) {
    Visit& visit = visits_.emplace_back();
    visit.retries = retries;
    visit.deadline = Deadline::after(now_, clients_.deadline);
    Visit* handle = &visit;
    if (!core_.submit(queue_, handle, now_).admitted()) {
      return refused(visit);
    }
    const bool hasty = clients_.hasty > 0 && uniform() < clients_.hasty;
    at(now_ + (hasty ? clients_.hasty_timeout : clients_.timeout), [this, &visit] {
      if (!visit.ended) {
        visit.left = true;
        counts_.timed_out += counts() ? 1 : 0;
        again(visit, Duration::zero());
      }
    });
  }
  void refused(Visit& visit) {
    visit.ended = true;
    counts_.refused += counts() ? 1 : 0;
    again(visit, from_seconds(0.1 + 0.9 * uniform()));
  }
  void again(const Visit& visit, Duration after) {
    if (visit.retries > 0) {
      at(now_ + after, [this, retries = visit.retries - 1] { ask(retries); });
    }
  }

  void serve() {
    for (;;) {
      Core::Next next = core_.next(now_);
      for (const Core::Dropped& dropped : next.dropped) {
        if (dropped.reason != DropReason::kClientDisconnected) {
          refused(*dropped.task);
        }
      }
      if (next.batch.empty()) {
        return;
      }
      const Duration took = run_time(next.run.rows);
      at(now_ + took, [this, took, next = std::move(next)] { end(next, took); });
    }
  }
  Duration run_time(std::size_t rows) {
    const double normal =
        std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform());
    held_back_ = !held_back_;
    const double slow = pod_.throttled && held_back_ ? 3 : 1;
    return from_seconds(to_seconds(pod_.service) * static_cast<double>(rows) *
                        Pod::row_share(rows) * slow * std::exp(pod_.noise * normal));
  }
  void end(const Core::Next& next, Duration took) {
    for (Visit* visit : next.batch) {
      visit->ended = true;
      visit->unreceived = visit->left;
      if (counts()) {
        ++(visit->left ? counts_.unreceived : counts_.received);
        counts_.longest =
            std::max(counts_.longest, visit->left ? Duration() : now_ - visit->enqueued);
      }
    }
    core_.finish(next.run, now_, outcome_of(std::span<Visit* const>(next.batch), took));
  }

  const Pod pod_;
  const Clients clients_;
  Core core_;
  const QueueId queue_;
  TimePoint now_ = kBegin;
  TimePoint count_from_ = kBegin;
  TimePoint generation_ends_ = kBegin;
  double load_ = 1;
  bool held_back_ = false;
  std::mt19937 random_{11};
  std::uint64_t order_ = 0;
  std::map<std::pair<TimePoint, std::uint64_t>, Event> events_;
  std::deque<Visit> visits_;
  Counts counts_;
};

}  // namespace podsense::batching
