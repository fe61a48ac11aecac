#pragma once

/// The I/O threads: each has its own event loop, and a connection stays on one thread. Private to
/// this module.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "transport/connection.h"

namespace podsense::transport {

/// One I/O thread and the connections that live on it.
class Worker {
 public:
  /// `memory`: the budget that counts bodies; null: none.
  Worker(const Clock& clock, std::string name, MemoryBudget* memory);

  asio::io_context& context() { return context_; }
  WorkerState& state() { return state_; }
  void start();
  void stop() { context_.stop(); }
  void join();

  // @threads this worker's
  asio::awaitable<void> serve(std::shared_ptr<Connection> connection);
  /// Ends the oldest of this server's connections in a kept place; false: there is none to end.
  bool end_oldest_kept(const ServerState& server);
  void end_idle(const ServerState& server);

 private:
  class Listed;
  void post_turn_end();
  void run();
  void sweep();
  void make_room(TimePoint now);
  void sum_up_unlogged();
  void set_date();

  const Clock& clock_;
  const std::string name_;
  std::list<Connection*> connections_;  ///< outlives the coroutines, which the context destroys
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
  asio::steady_timer sweeper_{context_};
  WorkerState state_{.turn = inference::LoopBatch([this] { post_turn_end(); }),
                     .resumed_by_turn = {}};
  int sweeps_ = 0;
  MemoryBudget* const memory_;  ///< null: none
  std::uint64_t refused_ = 0;   ///< refusals of `memory_` at the last check
  std::jthread thread_;
};

}  // namespace podsense::transport
