#include "load/engine.h"

#include <sys/prctl.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <thread>

#include "base/mutex.h"

namespace podsense::load {
namespace {

namespace asio = boost::asio;

constexpr Duration kSweep = std::chrono::milliseconds(10);
/// From `start` to the first request: all threads are at their timers by then.
constexpr Duration kLead = std::chrono::milliseconds(5);
/// So many due requests are sent before answers are read again.
constexpr int kMostAtOnce = 64;
/// A closed loop's pause after a refused connection, so that it does not spin.
constexpr Duration kRefusedPause = std::chrono::milliseconds(20);

TimePoint now() {
  return std::chrono::steady_clock::now();
}

/// `part`'s share of `total`, the first parts get one more.
template <class T>
T share(T total, unsigned part, unsigned parts) {
  return total / parts + (part < total % parts ? 1 : 0);
}

}  // namespace

/// One thread. Everything but the constructor, `post` and the atomics runs on it.
class Engine::Part final : public Sink {
 public:
  Part(const Plan& plan, unsigned number) : plan_(plan), number_(number) {}
  ~Part() override {
    context_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  Result<void> prepare(const MakeTransport& make) {
    auto transport = make(context_, *this);
    if (!transport) {
      return fail(std::move(transport.error()));
    }
    transport_ = std::move(*transport);
    recorder_.emplace(Recorder::Window{});
    thread_ = std::thread([this] {
      // The kernel may add 50 µs to every wait otherwise.
      prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
      context_.run();
    });
    return {};
  }

  std::future<Result<void>> open() {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    asio::post(context_, [this, promise] {
      sweep();
      transport_->open([promise](Result<void> result) { promise->set_value(std::move(result)); });
    });
    return promise->get_future();
  }

  void start(TimePoint start) {
    asio::post(context_, [this, start] { begin(start); });
  }

  /// Runs `what` on this thread and waits for it.
  template <class What>
  void call(What what) {
    std::promise<void> done;
    asio::post(context_, [&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  void stop_sending() {
    stopped_ = true;
    timer_.cancel();
    for (Worker& worker : workers_) {
      if (worker.timer) {
        worker.timer->cancel();
      }
    }
    check_end();
  }
  void interrupt() {
    stop_sending();
    transport_->close();
    check_end();
  }
  Recorder::Recent take_recent() { return recorder_->take_recent(); }
  [[nodiscard]] const Results& results() const { return recorder_->results(); }
  [[nodiscard]] std::size_t in_flight() const { return transport_->in_flight(); }
  [[nodiscard]] bool wait_until(TimePoint limit) {
    const MutexLock lock(mutex_);
    while (!ended_ && now() < limit) {
      ended_signal_.wait_for(mutex_, limit - now());
    }
    return ended_;
  }

 private:
  struct Worker {
    std::optional<asio::steady_timer> timer;
    TimePoint next;  ///< with a rate limit: not before
  };

  void begin(TimePoint start) {
    start_ = start;
    begun_ = true;
    // What the transport opened before counts too.
    Results before = recorder_->take();
    recorder_.emplace(Recorder::Window{.start = start,
                                       .begin = plan_.warm_up,
                                       .end = plan_.duration - plan_.cool_down,
                                       .slice_width = plan_.slice_width});
    recorder_->connections_from(before);
    if (plan_.shape) {
      schedule_.emplace(plan_.shape, ScheduleOptions{.arrivals = plan_.arrivals,
                                                     .seed = plan_.seed,
                                                     .end = plan_.duration,
                                                     .most = plan_.requests,
                                                     .part = number_,
                                                     .parts = plan_.threads});
      next_ = schedule_->next();
      pace();
    } else {
      left_ = share(plan_.requests, number_, plan_.threads);
      workers_.resize(share(plan_.workers, number_, plan_.threads));
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        workers_[i].next = start_;
        later(i, start_);
      }
      check_end();
    }
  }

  // --- open loop
  void pace() {
    int sent = 0;
    while (next_ && !stopped_) {
      const TimePoint due = start_ + next_->at;
      const TimePoint at = now();
      if (at < due) {
        timer_.expires_at(due);
        timer_.async_wait([this](const boost::system::error_code& error) {
          if (!error) {
            pace();
          }
        });
        return;
      }
      if (++sent > kMostAtOnce) {
        asio::post(context_, [this] { pace(); });
        return;
      }
      const Ticket ticket{.index = next_->index, .intended = due, .started = at};
      next_ = schedule_->next();
      dispatch(ticket);
    }
    stopped_ = true;
    check_end();
  }

  bool dispatch(const Ticket& ticket) {
    if (!transport_->send(ticket)) {
      recorder_->dropped(ticket.intended);
      return false;
    }
    recorder_->sent(ticket);
    return true;
  }

  // --- closed loop
  void later(std::size_t worker, TimePoint when) {
    auto& timer = workers_[worker].timer;
    if (!timer) {
      timer.emplace(context_);
    }
    timer->expires_at(when);
    timer->async_wait([this, worker](const boost::system::error_code& error) {
      if (!error) {
        turn(worker);
      }
    });
  }

  void turn(std::size_t number) {
    const TimePoint at = now();
    if (stopped_ || left_ == 0 || at >= start_ + plan_.duration) {
      stopped_ = stopped_ || left_ == 0 || at >= start_ + plan_.duration;
      check_end();
      return;
    }
    Worker& worker = workers_[number];
    if (at < worker.next) {
      later(number, worker.next);
      return;
    }
    if (plan_.worker_rate > 0) {
      worker.next = at + Duration(static_cast<Duration::rep>(1e9 / plan_.worker_rate));
    }
    --left_;
    const std::uint64_t index = (turns_++ * plan_.threads) + number_;
    const Ticket ticket{.index = index,
                        .worker = static_cast<std::uint32_t>(number),
                        .intended = at,
                        .started = at};
    if (!dispatch(ticket)) {
      later(number, at + kRefusedPause);
    } else {
      ++busy_;
    }
  }

  void finished(const Outcome& outcome) override {
    recorder_->finished(outcome);
    if (!plan_.shape && busy_ > 0) {
      --busy_;
      free_turn(outcome);
    }
    check_end();
  }

  void free_turn(const Outcome& outcome) {
    if (outcome.error == ErrorKind::kConnect || outcome.error == ErrorKind::kTls) {
      later(outcome.ticket.worker, now() + kRefusedPause);
    } else {
      turn(outcome.ticket.worker);
    }
  }

  void connected(Duration took) override { recorder_->connected(took); }

  void sweep() {
    sweeper_.expires_after(kSweep);
    sweeper_.async_wait([this](const boost::system::error_code& error) {
      if (!error) {
        transport_->check_time(now());
        sweep();
      }
    });
  }

  void check_end() {
    if (!begun_ || !stopped_ || transport_->in_flight() > 0) {
      return;
    }
    const MutexLock lock(mutex_);
    ended_ = true;
    ended_signal_.notify_all();
  }

  const Plan& plan_;
  const unsigned number_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  asio::steady_timer timer_{context_};
  asio::steady_timer sweeper_{context_};
  std::unique_ptr<Transport> transport_;
  std::optional<Recorder> recorder_;
  TimePoint start_;
  bool begun_ = false;
  bool stopped_ = false;

  std::optional<Schedule> schedule_;
  std::optional<Schedule::Arrival> next_;

  std::vector<Worker> workers_;
  std::uint64_t left_ = 0;
  std::uint64_t turns_ = 0;
  std::size_t busy_ = 0;

  Mutex mutex_;
  CondVar ended_signal_;
  bool ended_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

Engine::Engine(const Plan& plan) : plan_(plan) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(const Plan& plan, const MakeTransport& make) {
  std::unique_ptr<Engine> engine(new Engine(plan));
  for (unsigned i = 0; i < plan.threads; ++i) {
    auto part = std::make_unique<Part>(engine->plan_, i);
    if (auto prepared = part->prepare(make); !prepared) {
      return fail(std::move(prepared.error()));
    }
    engine->parts_.push_back(std::move(part));
  }
  return engine;
}

Result<void> Engine::open() {
  std::vector<std::future<Result<void>>> pending;
  pending.reserve(parts_.size());
  for (auto& part : parts_) {
    pending.push_back(part->open());
  }
  Result<void> first;
  for (auto& one : pending) {
    if (auto result = one.get(); !result && first) {
      first = std::move(result);
    }
  }
  return first;
}

void Engine::start() {
  start_ = now() + kLead;
  for (auto& part : parts_) {
    part->start(start_);
  }
}

bool Engine::wait(Duration at_most) {
  const TimePoint limit = now() + at_most;
  const bool all =
      std::ranges::all_of(parts_, [limit](const auto& part) { return part->wait_until(limit); });
  if (all && ended_ == TimePoint::max()) {
    ended_ = now();
  }
  return all;
}

void Engine::interrupt() {
  interrupted_ = true;
  for (auto& part : parts_) {
    part->call([&] { part->interrupt(); });
  }
}

void Engine::stop_sending() {
  interrupted_ = true;
  for (auto& part : parts_) {
    part->call([&] { part->stop_sending(); });
  }
}

Recorder::Recent Engine::recent() {
  Recorder::Recent all;
  for (auto& part : parts_) {
    part->call([&] { all.merge(part->take_recent()); });
  }
  return all;
}

std::size_t Engine::in_flight() const {
  std::size_t sum = 0;
  for (const auto& part : parts_) {
    part->call([&] { sum += part->in_flight(); });
  }
  return sum;
}

Results Engine::results() {
  Results all;
  all.slice_width = plan_.slice_width;
  for (auto& part : parts_) {
    part->call([&] { all.merge(part->results()); });
  }
  const Duration window = plan_.duration - plan_.cool_down - plan_.warm_up;
  const Duration passed = std::max(Duration::zero(), ended_ - start_ - plan_.warm_up);
  // Closed loops with a number of requests end when they end, open loops when they were meant to.
  const bool early = interrupted_ || !plan_.shape || plan_.requests != UINT64_MAX;
  all.measured = early ? std::min(window, passed) : window;
  all.last_answer = std::max(all.last_answer, all.measured);
  return all;
}

}  // namespace podsense::load
