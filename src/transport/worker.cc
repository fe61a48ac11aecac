#include "transport/worker.h"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <ctime>
#include <utility>

#include "base/crash.h"
#include "base/log.h"

namespace podsense::transport {
namespace {

constexpr Duration kSweep = std::chrono::milliseconds(250);
constexpr int kSweepsPerSecond = 4;

}  // namespace

/// Lists a connection for the sweep, and removes it even if it ends by an exception (no memory).
class Worker::Listed {
 public:
  Listed(std::list<Connection*>& all, Connection* connection)
      : all_(all), place_(all.insert(all.end(), connection)) {}
  ~Listed() { all_.erase(place_); }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;

 private:
  std::list<Connection*>& all_;
  std::list<Connection*>::iterator place_;
};

Worker::Worker(const Clock& clock, std::string name, MemoryBudget* memory)
    : clock_(clock), name_(std::move(name)), memory_(memory) {
  set_date();
}

void Worker::start() {
  sweep();
  thread_ = std::jthread([this] { run(); });
}

void Worker::join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

asio::awaitable<void> Worker::serve(std::shared_ptr<Connection> connection) {
  const Listed listed(connections_, connection.get());
  co_await connection->run();
}

bool Worker::end_oldest_kept(const ServerState& server) {
  return std::ranges::any_of(connections_, [&](Connection* connection) {
    return &connection->server() == &server && connection->end_if_kept();
  });
}

void Worker::end_idle(const ServerState& server) {
  for (Connection* connection : connections_) {
    if (&connection->server() == &server) {
      connection->end_if_idle();
    }
  }
}

/// Posted from a handler: runs after the handlers that are ready, before the loop waits.
void Worker::post_turn_end() {
  asio::post(context_, [this] {
    state_.turn.end(clock_);
    auto resumed = std::exchange(state_.resumed_by_turn, {});
    for (auto& resume : resumed) {
      resume();
    }
  });
}

/// An exception of a handler, such as bad_alloc, ends only that handler.
void Worker::run() {
  const crash::Thread me(name_ == "admin" ? "admin" : "http");
  for (;;) {
    try {
      context_.run();
      return;
    } catch (const std::exception& thrown) {
      log::error("io_handler_failed", {{"server", name_}, {"reason", thrown.what()}});
    }
  }
}

void Worker::sweep() {
  sweeper_.expires_after(kSweep);
  sweeper_.async_wait([this](const boost::system::error_code& error) {
    if (error) {
      return;
    }
    set_date();
    const TimePoint now = clock_.now();
    for (Connection* connection : connections_) {
      connection->check_time(now);
    }
    make_room(now);
    if (++sweeps_ % kSweepsPerSecond == 0) {
      sum_up_unlogged();
    }
    sweep();
  });
}

/// If memory was refused since the last check, ends the stalled connection that holds the most.
void Worker::make_room(TimePoint now) {
  const std::uint64_t refused = memory_ == nullptr ? 0 : memory_->refused();
  if (std::exchange(refused_, refused) == refused) {
    return;
  }
  Connection* largest = nullptr;
  std::uint64_t most = 0;
  for (Connection* connection : connections_) {
    if (const std::uint64_t held = connection->held_idle(now); held > most) {
      most = held;
      largest = connection;
    }
  }
  if (largest != nullptr) {
    largest->end_body(now);
  }
}

void Worker::sum_up_unlogged() {
  for (const LogBudget& budget : state_.log_budgets) {
    if (budget.unlogged > 0 && budget.status == 0) {
      log::info("requests_not_logged", {{"server", name_}, {"count", budget.unlogged}});
    } else if (budget.unlogged > 0) {
      log::info("requests_not_logged",
                {{"server", name_}, {"status", budget.status}, {"count", budget.unlogged}});
    }
  }
  state_.log_budgets.clear();
}

void Worker::set_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 64> text;  // English names of days and months: the locale is always "C"
  state_.date.assign(text.data(),
                     std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
}

}  // namespace podsense::transport
