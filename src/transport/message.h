#pragma once

/// One request and its answer as handlers see them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "inference/context.h"
#include "transport/headers.h"

namespace podsense::transport {

/// The values of a route's `{…}` segments, in order, as they were sent (not decoded).
using PathValues = std::array<std::string_view, 2>;

/// A complete request, decoded and within all limits. Lives until the answer is given.
struct Request {
  Method method = Method::kOther;
  std::string method_name;  ///< as received
  std::string target;       ///< as received
  std::string_view path;    ///< of target, without query
  std::string_view query;   ///< of target, after '?'
  PathValues path_values;   ///< of target
  Headers headers;
  std::string body;
  std::string id;         ///< X-Request-Id, received or generated
  std::string_view peer;  ///< the client's address
  std::uint16_t peer_port = 0;
  inference::Context context;

  /// The first value of header `name`, which must be in lower case. Empty: none.
  [[nodiscard]] std::string_view header(std::string_view name) const { return headers.get(name); }
};

struct Response {
  int status = 200;
  std::string_view content_type = "application/json";  ///< static text; empty: no body
  std::string body;
  std::string_view static_body;  ///< instead of body, for embedded files
  /// Sent after `body` without copying; `tail_owner` keeps these bytes alive.
  std::vector<std::span<const std::byte>> tail;
  std::shared_ptr<const void> tail_owner;
  MemoryBudget::Share memory;  ///< counts the answer, if it is large
  /// Written unchanged: names and values must not contain CR or LF.
  std::vector<std::pair<std::string_view, std::string>> headers;
  std::string_view code = "OK";  ///< for the log: error_name or OK
  std::string detail;            ///< for the log
};

/// Gives the answer. Call it exactly once, on any thread.
using Reply = std::move_only_function<void(Response)>;
/// `request` stays alive until `reply` was called. Must not block.
using Handler = std::function<void(Request& request, Reply reply)>;

/// An error as PodSense's JSON error object, with its status and Retry-After.
Response error_response(const Error& error, std::string_view request_id);
/// An error in the format of the Open Inference Protocol, `{"error": "…"}`.
Response oip_error_response(const Error& error);
/// Whether Accept-Encoding names gzip, RFC 9110 12.5.3; `*` alone does not count.
bool accepts_gzip(const Headers& headers);
/// Whether errors for `path` use the Open Inference Protocol's format: paths below /v2.
bool is_oip_path(std::string_view path);
/// `192.0.2.1:80`, `[2001:db8::1]:80`: RFC 3986 3.2.2.
std::string host_and_port(std::string_view address, std::uint16_t port);
Response json_response(std::string body, int status = 200);
std::string_view reason_phrase(int status);

}  // namespace podsense::transport
