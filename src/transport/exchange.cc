#include "transport/exchange.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "protocol/identity.h"
#include "transport/same_site.h"
#include "transport/target.h"

namespace podsense::transport {
namespace {

/// An idle connection keeps the memory of texts up to this size.
constexpr std::size_t kKeptText = 512;
/// Bodies up to this size are not counted: the memory counted for the connection covers them.
constexpr std::size_t kUncounted = 4U << 10U;
/// A body that has not grown for this long may be ended if memory is short.
constexpr Duration kIdleBody = std::chrono::seconds(1);
/// Larger answers are not compressed: compression takes about 10 ms per MiB on the I/O thread, and
/// its other connections wait.
constexpr std::size_t kMostPacked = 1U << 20U;
/// Failures with one status that are always logged per second, independent of the configured rate
/// for successes.
constexpr unsigned kLeastFailures = 5;

void empty(std::string& text) {
  if (text.capacity() > kKeptText) {
    std::string().swap(text);  // assigning "" would keep the memory
  }
  text.clear();
}

}  // namespace

Error too_many_of_address(std::size_t most) {
  return {.code = ErrorCode::kOverloaded,
          .message = "this address has " + std::to_string(most) +
                     " connections open, and no more are accepted"};
}

void Exchange::reset() {
  request_.context = {};
  client_.clear();
  request_.path = {};
  request_.query = {};
  request_.path_values = {};
  request_.method = Method::kOther;
  request_.headers.clear();
  for (std::string* text :
       {&request_.method_name, &request_.target, &request_.body, &request_.id}) {
    empty(*text);
  }
  route_ = nullptr;
  handler_ = nullptr;
  refusal_.reset();
  coding_ = Coding::kIdentity;
  bytes_in_ = 0;
}

void Exchange::begin() {
  counted_ = true;
  request_.peer = peer_.address;
  request_.peer_port = peer_.port;
  server_.in_flight.fetch_add(1, std::memory_order_relaxed);
  request_.context.received = server_.clock.now();
}

void Exchange::end() {
  if (std::exchange(placed_, false)) {
    server_.places.leave_client(client_);
  }
  if (std::exchange(counted_, false)) {
    server_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  }
}

/// Finds the client's address behind a proxy: logs, limits and rates use it instead of the proxy's.
void Exchange::find_client() {
  const auto client =
      forwarded_client(request_.headers, server_.trusted, server_.options.forwarded_by);
  if (!client) {
    return;
  }
  client_ = client->to_string();
  request_.peer = client_;
  request_.peer_port = 0;
  const std::size_t most = server_.options.max_connections_per_address;
  if (most == 0) {
    return;
  }
  placed_ = server_.places.enter_client(client_);
  if (!placed_) {
    server_.registry.connection_refused("per_address");
    refuse(too_many_of_address(most));
  }
}

void Exchange::refuse(Error error) {
  if (!refusal_) {
    refusal_ = std::move(error);
  }
}

void Exchange::name_nameless() {
  request_.id = protocol::new_request_id();
}

void Exchange::examine() {
  if (peer_.trusted) {
    find_client();
  }
  if (request_.method == Method::kConnect) {
    refuse(
        {.code = ErrorCode::kUnimplemented, .message = "CONNECT is not offered: this is no proxy"});
  } else if (request_.target == "*" && request_.method != Method::kOptions) {
    refuse({.code = ErrorCode::kInvalidArgument, .message = "only OPTIONS has the target *"});
  } else if (const auto target = parse_target(request_.target); target) {
    request_.path = target->path;
    request_.query = target->query;
  } else {
    refuse(target.error());
  }
  const std::string_view given = request_.header("x-request-id");
  if (protocol::valid_request_id(given)) {
    request_.id.assign(given);
  } else {
    protocol::renew_request_id(request_.id);
  }
  request_.context.set_request_id(request_.id);
  request_.context.departure = departure_;
  request_.context.turn = inference::LoopBatchRef(worker_.turn);
}

void Exchange::begin_trace() {
  const std::string_view parent = request_.header("traceparent");
  trace::Tracer* tracer = server_.options.tracer;
  if (tracer == nullptr) {
    request_.context.traceparent = trace::child_traceparent(parent);
    return;
  }
  request_.context.trace = tracer->begin(parent, request_.context.received);
  request_.context.traceparent = request_.context.trace->context().traceparent();
}

/// Tries the path as written first, because an escape may be intended, such as a colon in a model's
/// name.
Result<Router::Match> Exchange::find_route() {
  const auto offers = [this](const Result<Router::Match>& match) {
    return match && (request_.method == Method::kOptions ||
                     Router::handler(*match->route, request_).has_value());
  };
  auto found = server_.router.find(request_.path);
  if (offers(found)) {
    return found;
  }
  plain_path_ = Router::plain_path(request_.path);
  if (plain_path_ == request_.path) {
    return found;
  }
  auto plain = server_.router.find(plain_path_);
  // A filter in front of the server may block control routes by their exact path, so these must not
  // be reachable under another spelling.
  if ((!offers(plain) && (found || !plain)) || plain->route->control) {
    return found;
  }
  request_.path = plain_path_;
  return plain;
}

void Exchange::choose_handler() {
  begin_trace();
  if (!valid_host(request_.header("host"))) {
    return refuse({.code = ErrorCode::kInvalidArgument,
                   .message = "Host is not a host with an optional port"});
  }
  if (refusal_ || (request_.method == Method::kOptions && request_.target == "*")) {
    return;
  }
  const auto found = find_route();
  if (!found) {
    return refuse(found.error());
  }
  route_ = found->route;
  request_.path_values = found->values;
  if (request_.method == Method::kOptions) {
    return;
  }
  const auto handler = Router::handler(*route_, request_);
  if (!handler) {
    return refuse(handler.error());
  }
  handler_ = *handler;
  check_access();
}

/// Checks credentials before the body is read, so that unauthorised clients cannot make the server
/// read it.
void Exchange::check_access() {
  if (route_->control && request_.method == Method::kPost) {
    if (auto same = check_same_site(request_, server_.options.own_names); !same) {
      return refuse(std::move(same.error()));
    }
  }
  access::Guard* const guard = server_.options.guard;
  if (guard == nullptr || route_->open || (!route_->api && !route_->control)) {
    return;
  }
  const auto area = route_->control ? access::Area::kControl : access::Area::kInference;
  if (guard->open(area)) {
    return;
  }
  auto name = guard->admit(area,
                           {.authorization = request_.header("authorization"),
                            .api_key = request_.header("x-api-key"),
                            .address = request_.peer},
                           server_.clock.now());
  if (!name) {
    return refuse(std::move(name.error()));
  }
  request_.context.client = std::move(*name);
}

void Exchange::turn_away(const Error& error) {
  if (route_ == nullptr || !route_->quiet || !route_->open || route_->post) {
    refusal_ = error;
  }
}

void Exchange::check_body(std::optional<std::uint64_t> length, bool framed) {
  const bool post = request_.method == Method::kPost && handler_ != nullptr;
  max_body_ = post ? route_->max_body : kMostDiscarded;
  if (post && route_->body_required && !framed) {
    refuse({.code = ErrorCode::kLengthRequired,
            .message = "a body is needed: send Content-Length or Transfer-Encoding: chunked"});
  }
  if (length && *length > max_body_) {
    refuse(too_large(length));
  }
  check_coding();
}

Error Exchange::too_large(std::optional<std::uint64_t> length) const {
  std::string message = length ? "the body has " + std::to_string(*length) +
                                     " bytes; accepted are up to " + std::to_string(max_body_)
                               : "the body is over " + std::to_string(max_body_) + " bytes";
  if (handler_ != nullptr && max_body_ == route_->max_body && !route_->limit_text.empty()) {
    message += " " + route_->limit_text;
  }
  return {.code = ErrorCode::kPayloadTooLarge, .message = std::move(message)};
}

/// Reads all Content-Encoding lines; supports at most one coding.
void Exchange::check_coding() {
  coding_ = Coding::kIdentity;
  if (request_.headers.count("content-encoding") == 0) {
    return;
  }
  for (const std::string_view name : request_.headers.list("content-encoding")) {
    if (equals_ignoring_case(name, "identity")) {
      continue;
    }
    const bool gzip = equals_ignoring_case(name, "gzip") || equals_ignoring_case(name, "x-gzip");
    if (coding_ != Coding::kIdentity || (!gzip && !equals_ignoring_case(name, "deflate"))) {
      return refuse({.code = ErrorCode::kUnsupportedMedia,
                     .message = "Content-Encoding may be gzip, deflate or identity"});
    }
    coding_ = gzip ? Coding::kGzip : Coding::kDeflate;
  }
}

bool Exchange::take_memory(std::uint64_t bytes) {
  if (bytes <= kUncounted || server_.options.memory == nullptr) {
    return true;
  }
  auto& memory = request_.context.memory;
  if (!memory) {
    memory = std::make_shared<MemoryBudget::Share>(
        MemoryBudget::share(server_.options.memory, MemoryUse::kBodies));
  }
  body_grew_ = server_.clock.now();
  auto taken = memory->grow_to(bytes);
  if (!taken) {
    std::string().swap(request_.body);
    memory.reset();
    refuse(std::move(taken.error()));
  }
  return taken.has_value();
}

/// While JSON is parsed, the body, an index of its structure and the numbers are in memory
/// together.
bool Exchange::take_memory_to_read() {
  constexpr std::uint64_t kOfJson = 6;
  const std::string_view body = request_.body;
  const bool json = body.starts_with('{') || body.starts_with('[');
  return take_memory(json ? body.size() * kOfJson : body.size());
}

std::uint64_t Exchange::held_idle(TimePoint now) const {
  const auto& memory = request_.context.memory;
  return memory && now - body_grew_ >= kIdleBody ? memory->bytes() : 0;
}

void Exchange::set_deadline() {
  const TimePoint now = server_.clock.now();
  if (request_.context.trace) {
    request_.context.trace->add("receive", request_.context.received, now);
  }
  request_.context.deadline = Deadline::after(now, server_.options.request_timeout);
}

void Exchange::call_handler(Reply reply) {
  bytes_in_ = request_.body.size();
  (*handler_)(request_, std::move(reply));
}

Response Exchange::ready_answer() {
  if (!refusal_) {
    return preflight();
  }
  server_.registry.unrouted(metrics::Protocol::kHttp, refusal_->code);
  return is_oip_path(request_.path) ? oip_error_response(*refusal_)
                                    : error_response(*refusal_, request_.id);
}

Response Exchange::preflight() const {
  Response response{.status = 204, .content_type = {}};
  response.headers.emplace_back(
      "Allow", route_ != nullptr ? Router::allowed(*route_) : "GET, HEAD, POST, OPTIONS");
  if (!server_.options.cors_origins.empty() && route_ != nullptr && route_->api) {
    response.headers.emplace_back("Access-Control-Allow-Methods", Router::allowed(*route_));
    response.headers.emplace_back("Access-Control-Allow-Headers",
                                  "Authorization, Content-Type, Content-Encoding, X-Api-Key, "
                                  "X-Request-Id, traceparent, Inference-Header-Content-Length, "
                                  "X-Grpc-Web, X-User-Agent, Grpc-Timeout, tracestate, baggage, "
                                  "X-Requested-With");
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(server_.options.cors_max_age);
    response.headers.emplace_back("Access-Control-Max-Age", std::to_string(age.count()));
  }
  return response;
}

void Exchange::pack(Response& response) const {
  const std::size_t least = server_.options.gzip_from;
  const std::size_t size = response.body.size();
  if (size < least || least == 0 || size > kMostPacked || !response.tail.empty() ||
      response.content_type != "application/json") {
    return;
  }
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (!accepts_gzip(request_.headers)) {
    return;
  }
  if (auto packed = compress(response.body, Coding::kGzip, Effort::kLeast)) {
    response.body = std::move(*packed);
    response.headers.emplace_back("Content-Encoding", "gzip");
  }
}

void Exchange::decorate(Response& response) const {
  add_cors(response);
  if (response.status == 405 && route_ != nullptr) {
    response.headers.emplace_back("Allow", Router::allowed(*route_));
  }
}

void Exchange::add_cors(Response& response) const {
  const auto& origins = server_.options.cors_origins;
  // Scripts of allowed origins may also read refusals made before the route is known.
  if (origins.empty() || (route_ != nullptr && !route_->api)) {
    return;
  }
  response.headers.emplace_back("Vary", "Origin");
  const std::string_view origin = request_.header("origin");
  for (const std::string& allowed : origins) {
    if (!origin.empty() && (allowed == "*" || allowed == origin)) {
      response.headers.emplace_back("Access-Control-Allow-Origin",
                                    allowed == "*" ? "*" : std::string(origin));
      response.headers.emplace_back("Access-Control-Expose-Headers",
                                    "X-Request-Id, Retry-After, Inference-Header-Content-Length, "
                                    "Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin");
      return;
    }
  }
}

void Exchange::record(const Response& response, std::size_t bytes_out, TimePoint began) {
  log_access(response, bytes_out);
  end_trace(response, began);
}

/// Only requests of the API are traced: traces of probes and pages would hide them.
void Exchange::end_trace(const Response& response, TimePoint began) {
  const auto trace = std::move(request_.context.trace);
  if (!trace || route_ == nullptr || !route_->api || route_->quiet) {
    return;
  }
  const TimePoint now = server_.clock.now();
  trace->add("reply", began, now);
  server_.options.tracer->end(trace,
                              {.method = request_.method_name,
                               .path = route_->path,
                               .request_id = request_.id,
                               .status = response.status,
                               .code = response.code,
                               .failed = response.status >= 500},
                              now);
}

/// Failures of each status have their own budget, so that many of one status do not hide others.
bool Exchange::take_log_budget(int status) {
  auto& all = worker_.log_budgets;
  auto mine = std::ranges::find(all, status, &LogBudget::status);
  if (mine == all.end()) {
    const unsigned most = status == 0 ? server_.options.access_log_rate
                                      : std::max(kLeastFailures, server_.options.access_log_rate);
    mine = all.insert(all.end(), {.status = status, .left = most});
  }
  if (mine->left == 0) {
    ++mine->unlogged;
    return false;
  }
  --mine->left;
  return true;
}

void Exchange::log_access(const Response& response, std::size_t bytes_out) {
  const AccessLog mode = server_.options.access_log;
  const bool failed = response.status >= 400;
  const bool quiet = route_ != nullptr && route_->quiet;
  if (mode == AccessLog::kOff || (quiet && mode != AccessLog::kAll) ||
      (!failed && mode == AccessLog::kErrors)) {
    return;
  }
  if (mode != AccessLog::kAll && !take_log_budget(failed ? response.status : 0)) {
    return;
  }
  // A probe's "not ready" is a valid answer, not a fault.
  const bool fault = response.status >= 500 && !quiet;
  const log::Level level = fault ? log::Level::kError : log::Level::kInfo;
  const auto total = server_.clock.now() - request_.context.received;
  log::record(
      level, "request",
      {{"request_id", request_.id},
       {"server", server_.options.name},
       {"peer", request_.peer},
       {"proxy", client_.empty() ? std::string_view() : std::string_view(peer_.address)},
       {"client", request_.context.client},
       {"method", request_.method_name},
       {"path", request_.path},
       {"status", response.status},
       {"code", response.code},
       {"bytes_in", bytes_in_},
       {"bytes_out", bytes_out},
       {"total_ms", to_ms(total)},
       {"trace_id", std::string_view(request_.context.traceparent)
                        .substr(std::min<std::size_t>(3, request_.context.traceparent.size()), 32)},
       {"detail", response.detail}});
}

}  // namespace podsense::transport
