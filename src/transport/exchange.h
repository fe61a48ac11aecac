#pragma once

/// One request and its answer, whichever version of HTTP carries them: what can be refused before a
/// body is read, who asks, what the body may cost, CORS, the trace and the line in the access log.
/// Private to this module. @threads confined to its connection's

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/loop_batch.h"
#include "transport/forwarded.h"
#include "transport/gzip.h"
#include "transport/message.h"
#include "transport/places.h"
#include "transport/router.h"
#include "transport/server.h"

namespace podsense::transport {

/// Empty where it is below a second: clients would let go at once.
inline std::string keep_alive_line(Duration idle) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(idle).count();
  return seconds == 0 ? "" : "\r\nKeep-Alive: timeout=" + std::to_string(seconds);
}

/// What the connections of one server share. It lives as long as they do;
/// what it refers to, longer.
struct ServerState {
  ServerState(ServerOptions its_options, const Router& its_router, metrics::Registry& its_registry,
              const Clock& its_clock)
      : options(std::move(its_options)),
        router(its_router),
        registry(its_registry),
        clock(its_clock),
        places({.most = options.max_connections,
                .per_address = options.max_connections_per_address,
                .kept = options.kept_connections,
                .most_descriptor = options.most_descriptor}),
        keep_alive(keep_alive_line(options.idle_timeout)) {}

  const ServerOptions options;
  const Router& router;
  metrics::Registry& registry;
  const Clock& clock;
  Places places;
  Networks trusted;  ///< as the options have them; changes no more once connections come
  /// How long a connection waits for its next request: pools that know let go of it in time.
  const std::string keep_alive;
  std::atomic<bool> closing{false};   ///< answers carry Connection: close
  std::atomic<bool> stopping{false};  ///< idle connections end
  std::atomic<std::size_t> in_flight{0};
};

/// What the access log of one thread may still write this second of answers with one status, and
/// what it has not written. Successes have status 0.
struct LogBudget {
  int status = 0;
  unsigned left = 0;
  std::uint64_t unlogged = 0;
};

/// What connections of one thread share. @threads confined
struct WorkerState {
  std::string date;  ///< "Sun, 22 Nov 2026 10:00:00 GMT"
  std::vector<LogBudget> log_budgets;
  std::array<char, 64 << 10> space{};  ///< for bytes that are used, or thrown away, at once
  inference::LoopBatch turn;
  /// Connections whose requests `turn` took: called when it has ended.
  std::vector<std::move_only_function<void()>> resumed_by_turn;
};

/// Who has connected, or for whom a proxy says to have.
struct Peer {
  std::string address;  ///< without its port
  std::uint16_t port = 0;
  bool trusted = false;  ///< a proxy whose requests may be those of others
};

/// What a client gets that has as many connections, or requests at a time, as its address may.
Error too_many_of_address(std::size_t most);

/// The rest of a refused request is read, so that its connection can be kept, up to this size.
inline constexpr std::uint64_t kMostDiscarded = 64U << 10U;

class Exchange {
 public:
  /// All of these outlive it.
  Exchange(ServerState& server, WorkerState& worker, const Peer& peer)
      : server_(server), worker_(worker), peer_(peer) {}
  ~Exchange() { end(); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// For the next request; the memory of small texts stays.
  void reset();
  /// The request's first byte is there.
  void begin();
  /// The answer has been sent, or never will be.
  void end();

  [[nodiscard]] Request& request() { return request_; }
  [[nodiscard]] const Request& request() const { return request_; }
  [[nodiscard]] const Route* route() const { return route_; }

  // The head, in this order; `request` has method, target and headers.
  /// Target and request id.
  void examine();
  /// Trace, host, route, method, and whether the caller may ask.
  void choose_handler();
  /// There is only a place for probes: anything else gets `error`.
  void turn_away(const Error& error);
  /// `length`: of the body, where it is known; `framed`: there may be a body.
  void check_body(std::optional<std::uint64_t> length, bool framed);

  /// Found before the handler: answered instead of it. The first one counts.
  void refuse(Error error);
  [[nodiscard]] const std::optional<Error>& refusal() const { return refusal_; }
  /// Makes a request id for what has no head.
  void name_nameless();

  [[nodiscard]] std::uint64_t max_body() const { return max_body_; }
  /// `length`: of the body, where it is known.
  [[nodiscard]] Error too_large(std::optional<std::uint64_t> length) const;
  [[nodiscard]] Coding coding() const { return coding_; }
  /// Counts `bytes` for the body. False, and refused: there is not so much memory.
  [[nodiscard]] bool take_memory(std::uint64_t bytes);
  /// What reading the body as JSON or a picture takes besides it.
  [[nodiscard]] bool take_memory_to_read();
  /// Bytes counted for a body that has not grown for a second; 0: it has.
  [[nodiscard]] std::uint64_t held_idle(TimePoint now) const;

  /// The body is there: the request's time begins.
  void set_deadline();
  /// A handler has to be asked; otherwise `ready_answer` is the answer.
  [[nodiscard]] bool has_handler() const {
    return !refusal_ && request_.method != Method::kOptions;
  }
  void call_handler(Reply reply);
  [[nodiscard]] Response ready_answer();

  /// Compresses a large answer in JSON for a client that takes that. @threads that which answers
  void pack(Response& response) const;
  /// Adds what every answer to this request carries.
  void decorate(Response& response) const;
  /// The client has gone: what has not begun need not begin.
  void abandon() { departure_->leave(server_.clock.now()); }
  /// Logs the answer and ends the trace. `began`: when sending did.
  void record(const Response& response, std::size_t bytes_out, TimePoint began);

 private:
  void find_client();
  [[nodiscard]] Result<Router::Match> find_route();
  void begin_trace();
  void check_access();
  void check_coding();
  void add_cors(Response& response) const;
  [[nodiscard]] Response preflight() const;
  void end_trace(const Response& response, TimePoint began);
  [[nodiscard]] bool take_log_budget(int status);
  void log_access(const Response& response, std::size_t bytes_out);

  ServerState& server_;
  WorkerState& worker_;
  const Peer& peer_;
  std::string plain_path_;  ///< where the target has another spelling of it
  std::string client_;      ///< the address that a trusted proxy has named; empty: none
  bool placed_ = false;     ///< counted as one of its client's
  Request request_;
  const Route* route_ = nullptr;
  const Handler* handler_ = nullptr;
  std::optional<Error> refusal_;
  Coding coding_ = Coding::kIdentity;
  std::uint64_t max_body_ = 0;
  std::size_t bytes_in_ = 0;  ///< of the body; a handler may take it
  TimePoint body_grew_;       ///< while a counted one is being read
  bool counted_ = false;      ///< in ServerState::in_flight
  std::shared_ptr<inference::Departure> departure_ = std::make_shared<inference::Departure>();
};

}  // namespace podsense::transport
