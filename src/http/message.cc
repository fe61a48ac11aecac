#include "http/message.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <chrono>

#include "protocol/error_mapping.h"
#include "protocol/json_codec.h"
#include "protocol/oip_codec.h"

namespace podsense::http {

namespace {

/// All but the body.
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

bool is_oip_path(std::string_view path) {
  return path == "/v2" || path.starts_with("/v2/");
}

Response json_response(std::string body, int status) {
  return {.status = status, .body = std::move(body)};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 422:
      return "Unprocessable Content";
    case 499:
      return "Client Closed Request";
    default:
      break;
  }
  const auto text =
      beast_http::obsolete_reason(beast_http::int_to_status(static_cast<unsigned>(status)));
  return {text.data(), text.size()};
}

}  // namespace podsense::http
