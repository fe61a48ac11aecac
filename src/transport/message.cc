#include "transport/message.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "protocol/error_mapping.h"
#include "protocol/json_codec.h"
#include "protocol/oip_codec.h"

namespace podsense::transport {

namespace {

/// The response to an error, without its body.
Response failed(const Error& error) {
  const protocol::ErrorMapping& row = protocol::mapping(error.code);
  Response response{.status = row.http_status, .code = row.name(), .detail = error.detail};
  if (row.retry == protocol::Retry::kAfterWait || row.retry == protocol::Retry::kElsewhere) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(error.retry_after).count();
    response.headers.emplace_back("Retry-After",
                                  std::to_string(std::max<decltype(seconds)>(1, seconds)));
  }
  if (error.code == ErrorCode::kUnauthenticated) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"podsense\"");
  }
  return response;
}

}  // namespace

Response error_response(const Error& error, std::string_view request_id) {
  Response response = failed(error);
  protocol::write_error(response.body, error, request_id);
  return response;
}

Response oip_error_response(const Error& error) {
  Response response = failed(error);
  protocol::write_oip_error(response.body, error.message);
  return response;
}

bool accepts_gzip(const Headers& headers) {
  return std::ranges::any_of(headers.list("accept-encoding"), [](std::string_view element) {
    const auto semicolon = std::min(element.find(';'), element.size());
    std::string_view name = element.substr(0, semicolon);
    name = name.substr(0, name.find_last_not_of(" \t") + 1);
    if (!equals_ignoring_case(name, "gzip") && !equals_ignoring_case(name, "x-gzip")) {
      return false;
    }
    // q=0, q=0.0 …: not acceptable.
    const auto weight = element.find_first_of("qQ", semicolon);
    return weight == std::string_view::npos ||
           element.find_first_of("123456789", weight) != std::string_view::npos;
  });
}

bool is_oip_path(std::string_view path) {
  return path == "/v2" || path.starts_with("/v2/");
}

std::string host_and_port(std::string_view address, std::uint16_t port) {
  const bool ipv6 = address.contains(':');
  std::string text(ipv6 ? "[" : "");
  text.append(address).append(ipv6 ? "]:" : ":").append(std::to_string(port));
  return text;
}

Response json_response(std::string body, int status) {
  return {.status = status, .body = std::move(body)};
}

std::string_view reason_phrase(int status) {
  struct Phrase {
    int status;
    std::string_view text;
  };
  // RFC 9110 15, and nginx's 499.
  static constexpr std::array kPhrases{
      Phrase{200, "OK"},
      Phrase{202, "Accepted"},
      Phrase{204, "No Content"},
      Phrase{206, "Partial Content"},
      Phrase{301, "Moved Permanently"},
      Phrase{302, "Found"},
      Phrase{303, "See Other"},
      Phrase{304, "Not Modified"},
      Phrase{307, "Temporary Redirect"},
      Phrase{308, "Permanent Redirect"},
      Phrase{400, "Bad Request"},
      Phrase{401, "Unauthorized"},
      Phrase{403, "Forbidden"},
      Phrase{404, "Not Found"},
      Phrase{405, "Method Not Allowed"},
      Phrase{406, "Not Acceptable"},
      Phrase{408, "Request Timeout"},
      Phrase{409, "Conflict"},
      Phrase{411, "Length Required"},
      Phrase{412, "Precondition Failed"},
      Phrase{413, "Content Too Large"},
      Phrase{415, "Unsupported Media Type"},
      Phrase{417, "Expectation Failed"},
      Phrase{421, "Misdirected Request"},
      Phrase{422, "Unprocessable Content"},
      Phrase{429, "Too Many Requests"},
      Phrase{431, "Request Header Fields Too Large"},
      Phrase{499, "Client Closed Request"},
      Phrase{500, "Internal Server Error"},
      Phrase{501, "Not Implemented"},
      Phrase{502, "Bad Gateway"},
      Phrase{503, "Service Unavailable"},
      Phrase{504, "Gateway Timeout"},
      Phrase{505, "HTTP Version Not Supported"},
      Phrase{507, "Insufficient Storage"},
  };
  const auto* const found = std::ranges::find(kPhrases, status, &Phrase::status);
  return found == kPhrases.end() ? "Unknown" : found->text;
}

}  // namespace podsense::transport
