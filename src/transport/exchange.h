#pragma once

/// One request and its answer, independent of the HTTP version: refusal before the body is read,
/// the client's identity, memory for the body, CORS, tracing and the access log. Private to this
/// module. @threads confined to its connection's

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

/// The line of the Keep-Alive header, without its end. Empty below one second, as clients would
/// close the connection at once.
inline std::string keep_alive_line(Duration idle) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(idle).count();
  return seconds == 0 ? "" : "\r\nKeep-Alive: timeout=" + std::to_string(seconds);
}

/// What the connections of one server share. It lives as long as they do; the objects it refers to
/// must outlive it.
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
  Networks trusted;  ///< parsed from the options; constant once connections are accepted
  /// Tells clients how long a connection may be idle, so that their pools close it in time.
  const std::string keep_alive;
  std::atomic<bool> closing{false};   ///< answers carry Connection: close
  std::atomic<bool> stopping{false};  ///< idle connections end
  std::atomic<std::size_t> in_flight{0};
};

/// The lines that one thread's access log may still write this second for one status, and the
/// number it suppressed. Successes have status 0.
struct LogBudget {
  int status = 0;
  unsigned left = 0;
  std::uint64_t unlogged = 0;
};

/// What the connections of one thread share. @threads confined
struct WorkerState {
  std::string date;  ///< "Sun, 22 Nov 2026 10:00:00 GMT"
  std::vector<LogBudget> log_budgets;
  /// scratch space for bytes that are used or discarded at once
  std::array<char, 64 << 10> space{};
  inference::LoopBatch turn;
  /// Resume the connections whose requests `turn` took; called when the turn ends.
  std::vector<std::move_only_function<void()>> resumed_by_turn;
};

/// The peer of a connection, or the client that the PROXY header names.
struct Peer {
  std::string address;  ///< without its port
  std::uint16_t port = 0;
  bool trusted = false;  ///< a proxy, whose requests may come from other clients
};

/// The error if an address has reached its limit of connections or of concurrent requests.
Error too_many_of_address(std::size_t most);

/// The rest of a refused request is read, up to this many bytes, so that its connection can be
/// kept.
inline constexpr std::uint64_t kMostDiscarded = 64U << 10U;

class Exchange {
 public:
  /// All arguments must outlive the Exchange.
  Exchange(ServerState& server, WorkerState& worker, const Peer& peer)
      : server_(server), worker_(worker), peer_(peer) {}
  ~Exchange() { end(); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Prepares for the next request. Keeps the memory of small texts.
  void reset();
  /// The request's first byte has arrived.
  void begin();
  /// The answer was sent, or never will be.
  void end();

  [[nodiscard]] Request& request() { return request_; }
  [[nodiscard]] const Request& request() const { return request_; }
  [[nodiscard]] const Route* route() const { return route_; }

  // Process the head; call in this order. `request` has method, target and headers.
  /// Reads the target and sets the request id.
  void examine();
  /// Begins the trace, finds the route and its handler, and checks host, method and credentials.
  void choose_handler();
  /// For connections in a place reserved for probes: any other request is refused with `error`.
  void turn_away(const Error& error);
  /// Checks the body's length and encoding. `length`: of the body, if known; `framed`: there may be
  /// a body.
  void check_body(std::optional<std::uint64_t> length, bool framed);

  /// Answers with `error` instead of calling the handler. Only the first error counts.
  void refuse(Error error);
  [[nodiscard]] const std::optional<Error>& refusal() const { return refusal_; }
  /// Creates a request id if no head could be parsed.
  void name_nameless();

  [[nodiscard]] std::uint64_t max_body() const { return max_body_; }
  /// The error for a body over its limit. `length`: of the body, if known.
  [[nodiscard]] Error too_large(std::optional<std::uint64_t> length) const;
  [[nodiscard]] Coding coding() const { return coding_; }
  /// Counts `bytes` for the body. False: memory is short, and the request is refused.
  [[nodiscard]] bool take_memory(std::uint64_t bytes);
  /// Counts the memory for parsing the body as JSON or as a picture. False: as take_memory.
  [[nodiscard]] bool take_memory_to_read();
  /// Bytes counted for the body if it has not grown for a second, else 0.
  [[nodiscard]] std::uint64_t held_idle(TimePoint now) const;

  /// The body is complete: starts the request's time limit.
  void set_deadline();
  /// Whether a handler must be called; otherwise use `ready_answer`.
  [[nodiscard]] bool has_handler() const {
    return !refusal_ && request_.method != Method::kOptions;
  }
  void call_handler(Reply reply);
  [[nodiscard]] Response ready_answer();

  /// Compresses a large JSON answer if the client accepts that. @threads the one that answers
  void pack(Response& response) const;
  /// Adds the headers of every answer to this request: CORS, and Allow for 405.
  void decorate(Response& response) const;
  /// The client has gone: work that has not begun can be dropped.
  void abandon() { departure_->leave(server_.clock.now()); }
  /// Logs the answer and ends the trace. `began`: when sending began.
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
  std::string plain_path_;  ///< the normalised path, if the target spells it differently
  std::string client_;      ///< the address named by a trusted proxy; empty: none
  bool placed_ = false;     ///< counted for its client's address
  Request request_;
  const Route* route_ = nullptr;
  const Handler* handler_ = nullptr;
  std::optional<Error> refusal_;
  Coding coding_ = Coding::kIdentity;
  std::uint64_t max_body_ = 0;
  std::size_t bytes_in_ = 0;  ///< of the body, which a handler may move away
  TimePoint body_grew_;       ///< last growth, while a counted body is being read
  bool counted_ = false;      ///< in ServerState::in_flight
  std::shared_ptr<inference::Departure> departure_ = std::make_shared<inference::Departure>();
};

}  // namespace podsense::transport
