#include "load/load_engine.h"

#include <sys/prctl.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "load/measuring/generator_use.h"

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
class LoadEngine::Part final {
 public:
  /// @param taken  requests of a closed loop that some part has taken
  Part(const RunPlan& plan, unsigned number, std::atomic<std::uint64_t>& taken,
       const std::optional<ProcessTime>& process)
      : plan_(plan), number_(number), taken_(taken), process_(process) {}
  ~Part() {
    context_.stop();
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  Result<void> prepare(const std::vector<MakeTransport>& make) {
    for (std::size_t i = 0; i < make.size(); ++i) {
      auto lane = std::make_unique<Lane>(*this);
      auto transport = make[i](context_, *lane);
      if (!transport) {
        return fail(std::move(transport.error()));
      }
      lane->transport = std::move(*transport);
      lane->recorder.emplace(Recorder::Window{});
      lanes_.push_back(std::move(lane));
    }
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
      open_lane(0, promise);
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
    cut_short_ = true;
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
    for (auto& lane : lanes_) {
      lane->transport->close();
    }
    check_end();
  }
  Recorder::Recent take_recent() {
    Recorder::Recent all;
    for (auto& lane : lanes_) {
      all.merge(lane->recorder->take_recent());
    }
    return all;
  }
  void take_rows(std::vector<RequestRow>& rows) {
    for (auto& lane : lanes_) {
      const auto more = lane->recorder->take_rows();
      rows.insert(rows.end(), more.begin(), more.end());
    }
  }
  [[nodiscard]] const Results& results(std::size_t target) const {
    return lanes_[target]->recorder->results();
  }
  [[nodiscard]] GeneratorUse use() const { return use_.value_or(GeneratorUse{}); }
  [[nodiscard]] std::size_t in_flight() const {
    std::size_t sum = 0;
    for (const auto& lane : lanes_) {
      sum += lane->transport->in_flight();
    }
    return sum;
  }
  /// When nothing was left to do; after `wait_until` said so.
  [[nodiscard]] TimePoint ended_at() {
    const MutexLock lock(mutex_);
    return ended_at_;
  }
  [[nodiscard]] bool wait_until(TimePoint limit) {
    const MutexLock lock(mutex_);
    while (!ended_ && now() < limit) {
      ended_signal_.wait_for(mutex_, limit - now());
    }
    return ended_;
  }

 private:
  /// What goes to one target.
  struct Lane final : Sink {
    explicit Lane(Part& owner) : part(owner) {}
    void finished(const RequestOutcome& outcome) override {
      recorder->finished(in_time(outcome));
      part.finished(outcome);
    }
    /// Transports look for what is overdue every `kSweep`: an answer may come before they do.
    [[nodiscard]] RequestOutcome in_time(RequestOutcome outcome) const {
      if (outcome.status != 0 && outcome.finished - outcome.ticket.started > part.plan_.timeout) {
        outcome.ok = false;
        outcome.status = 0;
        outcome.error = ErrorKind::kTimeout;
        outcome.sample = "no answer within the time limit";
      }
      return outcome;
    }
    void connected(Duration took) override { recorder->connected(took); }

    Part& part;
    std::optional<Recorder> recorder;
    std::unique_ptr<Transport> transport;
  };
  using Promise = std::shared_ptr<std::promise<Result<void>>>;

  /// One after the other: the first that cannot be opened decides.
  void open_lane(std::size_t number, const Promise& promise) {
    if (number == lanes_.size()) {
      promise->set_value({});
      return;
    }
    lanes_[number]->transport->open([this, number, promise](Result<void> result) {
      if (result) {
        open_lane(number + 1, promise);
      } else {
        promise->set_value(std::move(result));
      }
    });
  }

  struct Worker {
    std::optional<asio::steady_timer> timer;
    TimePoint next;  ///< with a rate limit: not before
  };

  void begin(TimePoint start) {
    start_ = start;
    begun_ = true;
    time_before_ = ThreadTime::now();
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      auto& recorder = lanes_[i]->recorder;
      // What the transport opened before counts too.
      const Results before = recorder->take();
      recorder.emplace(Recorder::Window{.start = start,
                                        .begin = plan_.warm_up,
                                        .end = plan_.duration - plan_.cool_down,
                                        .slice_width = plan_.slice_width,
                                        .target = static_cast<unsigned>(i),
                                        .log = plan_.log});
      recorder->connections_from(before);
    }
    if (plan_.shape) {
      schedule_.emplace(plan_.shape, arrivals::ScheduleOptions{.arrivals = plan_.arrivals,
                                                               .seed = plan_.seed,
                                                               .end = plan_.duration,
                                                               .most = plan_.requests,
                                                               .part = number_,
                                                               .parts = plan_.threads});
      next_ = schedule_->next();
      pace();
    } else {
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
      const RequestTicket ticket{.index = next_->index, .intended = due, .started = at};
      next_ = schedule_->next();
      dispatch(ticket, turns_order_[ticket.index % turns_order_.size()]);
    }
    stopped_ = true;
    check_end();
  }

  bool dispatch(const RequestTicket& ticket, unsigned target) {
    Lane& lane = *lanes_[target];
    if (!lane.transport->send(ticket)) {
      lane.recorder->dropped(ticket);
      return false;
    }
    lane.recorder->sent(ticket);
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

  [[nodiscard]] bool used_up() const {
    return taken_.load(std::memory_order_relaxed) >= plan_.requests;
  }

  void turn(std::size_t number) {
    const TimePoint at = now();
    if (stopped_ || used_up() || at >= start_ + plan_.duration) {
      stopped_ = true;
      check_end();
      return;
    }
    Worker& worker = workers_[number];
    if (at < worker.next) {
      later(number, worker.next);
      return;
    }
    // Parts take from one store: where they have different numbers of workers, or go on at
    // different speeds, none is through before the others.
    const std::uint64_t index = taken_.fetch_add(1, std::memory_order_relaxed);
    if (index >= plan_.requests) {
      stopped_ = true;
      check_end();
      return;
    }
    if (plan_.worker_rate > 0) {
      // From when it was allowed, not from when the timer fired: the rate is kept. A worker that
      // was held up may make up for one request.
      const Duration period(static_cast<Duration::rep>(1e9 / plan_.worker_rate));
      worker.next = std::max(worker.next + period, at);
    }
    const unsigned target = turns_order_[index % turns_order_.size()];
    const RequestTicket ticket{.index = index,
                               .worker = static_cast<std::uint32_t>(number),
                               .intended = at,
                               .started = at};
    if (!dispatch(ticket, target)) {
      later(number, at + kRefusedPause);
    } else {
      ++busy_;
    }
  }

  void finished(const RequestOutcome& outcome) {
    last_finished_ = std::max(last_finished_, outcome.finished);
    if (!plan_.shape && busy_ > 0) {
      --busy_;
      free_turn(outcome);
    }
    check_end();
  }

  void free_turn(const RequestOutcome& outcome) {
    if (outcome.error == ErrorKind::kConnect || outcome.error == ErrorKind::kTls ||
        is_shortage(outcome.error)) {
      later(outcome.ticket.worker, now() + kRefusedPause);
    } else {
      turn(outcome.ticket.worker);
    }
  }

  void sweep() {
    sweeper_.expires_after(kSweep);
    sweeper_.async_wait([this](const boost::system::error_code& error) {
      if (!error) {
        for (auto& lane : lanes_) {
          lane->transport->check_time(now());
        }
        if (begun_ && !plan_.shape && used_up()) {  // by others: workers here may pause for long
          stopped_ = true;
          check_end();
        }
        sweep();
      }
    });
  }

  void check_end() {
    if (!begun_ || !stopped_) {
      return;
    }
    if (!use_) {  // as long as it sent: waiting for late answers costs nothing
      use_ = use_of_thread(time_before_, ThreadTime::now(), now() - start_);
      use_->busy = std::max(use_->busy, process_ ? process_->use().busy : 0.0);
    }
    if (in_flight() > 0) {
      return;
    }
    const MutexLock lock(mutex_);
    if (ended_) {
      return;
    }
    ended_ = true;
    // A closed loop with a number of requests is over with its last answer, not when a worker's
    // pause or the watching thread's next look has passed.
    const bool through = !plan_.shape && used_up() && !cut_short_;
    ended_at_ = through && last_finished_ > start_ ? last_finished_ : now();
    ended_signal_.notify_all();
  }

  const RunPlan& plan_;
  const unsigned number_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  asio::steady_timer timer_{context_};
  asio::steady_timer sweeper_{context_};
  std::vector<std::unique_ptr<Lane>> lanes_;
  const std::vector<unsigned> turns_order_{turns_of(plan_.weights)};
  TimePoint start_;
  bool begun_ = false;
  bool stopped_ = false;
  bool cut_short_ = false;
  TimePoint last_finished_;
  ThreadTime time_before_;
  std::optional<GeneratorUse> use_;

  std::optional<arrivals::Schedule> schedule_;
  std::optional<arrivals::Schedule::Arrival> next_;

  std::vector<Worker> workers_;
  std::atomic<std::uint64_t>& taken_;
  const std::optional<ProcessTime>& process_;
  std::size_t busy_ = 0;

  Mutex mutex_;
  CondVar ended_signal_;
  bool ended_ GUARDED_BY(mutex_) = false;
  TimePoint ended_at_ GUARDED_BY(mutex_);
  std::thread thread_;
};

LoadEngine::LoadEngine(const RunPlan& plan) : plan_(plan) {}
LoadEngine::~LoadEngine() = default;

Result<std::unique_ptr<LoadEngine>> LoadEngine::create(const RunPlan& plan,
                                                       const std::vector<MakeTransport>& make) {
  std::unique_ptr<LoadEngine> engine(new LoadEngine(plan));
  for (unsigned i = 0; i < plan.threads; ++i) {
    auto part = std::make_unique<Part>(engine->plan_, i, engine->taken_, engine->process_);
    if (auto prepared = part->prepare(make); !prepared) {
      return fail(std::move(prepared.error()));
    }
    engine->parts_.push_back(std::move(part));
  }
  return engine;
}

Result<void> LoadEngine::open() {
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

void LoadEngine::start() {
  start_ = now() + kLead;
  process_.emplace();
  for (auto& part : parts_) {
    part->start(start_);
  }
}

bool LoadEngine::wait(Duration at_most) {
  const TimePoint limit = now() + at_most;
  const bool all =
      std::ranges::all_of(parts_, [limit](const auto& part) { return part->wait_until(limit); });
  if (all && ended_ == TimePoint::max()) {
    ended_ = start_;
    for (const auto& part : parts_) {
      ended_ = std::max(ended_, part->ended_at());
    }
  }
  return all;
}

void LoadEngine::interrupt() {
  stopped_ = std::exchange(interrupted_, true) ? stopped_ : now();
  for (auto& part : parts_) {
    part->call([&] { part->interrupt(); });
  }
}

void LoadEngine::stop_sending() {
  stopped_ = std::exchange(interrupted_, true) ? stopped_ : now();
  for (auto& part : parts_) {
    part->call([&] { part->stop_sending(); });
  }
}

Recorder::Recent LoadEngine::recent() {
  Recorder::Recent all;
  for (auto& part : parts_) {
    part->call([&] { all.merge(part->take_recent()); });
  }
  return all;
}

std::size_t LoadEngine::in_flight() const {
  std::size_t sum = 0;
  for (const auto& part : parts_) {
    part->call([&] { sum += part->in_flight(); });
  }
  return sum;
}

namespace {

/// An open loop with a number of requests lasts until the request after the last would be due, so
/// that 100 requests at 100 a second are a second.
std::optional<Duration> end_of_requests(const RunPlan& plan) {
  if (!plan.shape || plan.requests == UINT64_MAX) {
    return std::nullopt;
  }
  arrivals::Schedule schedule(
      plan.shape,
      {.arrivals = plan.arrivals, .seed = plan.seed, .end = plan.duration, .most = UINT64_MAX});
  std::optional<arrivals::Schedule::Arrival> next = schedule.next();
  while (next && next->index < plan.requests) {
    next = schedule.next();
  }
  return next ? std::optional(next->at) : std::nullopt;
}

}  // namespace

std::vector<unsigned> turns_of(const std::vector<unsigned>& weights) {
  std::int64_t sum = 0;
  for (const unsigned weight : weights) {
    sum += weight;
  }
  // Each turn goes to the target that is furthest behind its share.
  std::vector<std::int64_t> credit(weights.size());
  std::vector<unsigned> order;
  for (std::int64_t turn = 0; turn < sum; ++turn) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      credit[i] += weights[i];
    }
    const auto most = std::ranges::max_element(credit);
    *most -= sum;
    order.push_back(static_cast<unsigned>(most - credit.begin()));
  }
  return order;
}

std::vector<RequestRow> LoadEngine::take_rows() {
  std::vector<RequestRow> rows;
  for (auto& part : parts_) {
    part->call([&] { part->take_rows(rows); });
  }
  return rows;
}

RunResults LoadEngine::results() {
  const Duration window = plan_.duration - plan_.cool_down - plan_.warm_up;
  // What was cut short was due until then, whenever the last answer came.
  const TimePoint end = interrupted_ ? std::min(stopped_, ended_) : ended_;
  const Duration passed = std::max(Duration::zero(), end - start_ - plan_.warm_up);
  // Closed loops end when they end, open loops when they were meant to.
  const bool early = interrupted_ || !plan_.shape;
  Duration measured = early ? std::min(window, passed) : window;
  if (const auto last = interrupted_ ? std::nullopt : end_of_requests(plan_)) {
    measured = std::min(window, std::max(Duration::zero(), *last - plan_.warm_up));
  }
  RunResults run;
  run.all.slice_width = plan_.slice_width;
  for (std::size_t target = 0; target < plan_.weights.size(); ++target) {
    Results results;
    results.slice_width = plan_.slice_width;
    for (auto& part : parts_) {
      part->call([&] { results.merge(part->results(target)); });
    }
    results.measured = measured;
    results.last_answer = std::max(results.last_answer, measured);
    run.all.merge(results);
    run.targets.push_back(std::move(results));
  }
  for (auto& part : parts_) {
    part->call([&] { run.all.generator.merge(part->use()); });
  }
  if (process_) {
    run.all.generator.throttled = process_->use().throttled;
  }
  return run;
}

}  // namespace podsense::load
