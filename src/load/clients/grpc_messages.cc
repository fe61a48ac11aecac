#include "load/clients/grpc_messages.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "load/clients/http2_session.h"

namespace podsense::load {
namespace {

constexpr std::size_t kMostSaid = 1000;
/// Of an answer that is read here, as the metadata of a model is.
constexpr std::size_t kMostMessage = 16U << 20U;

int digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/// @source gRPC's http-grpc-status-mapping.md
GrpcCode code_of_http(int status) {
  switch (status) {
    case 400:
      return GrpcCode::kInternal;
    case 401:
      return GrpcCode::kUnauthenticated;
    case 403:
      return GrpcCode::kPermissionDenied;
    case 404:
      return GrpcCode::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcCode::kUnavailable;
    default:
      return GrpcCode::kUnknown;
  }
}

/// @source PROTOCOL-HTTP2.md, Errors
GrpcCode code_of_reset(std::uint32_t code) {
  constexpr std::uint32_t kStreamClosed = 5;
  constexpr std::uint32_t kRefusedStream = 7;
  constexpr std::uint32_t kCancel = 8;
  constexpr std::uint32_t kEnhanceYourCalm = 11;
  constexpr std::uint32_t kInadequateSecurity = 12;
  constexpr std::uint32_t kLast = 13;
  switch (code) {
    case kStreamClosed:
      return GrpcCode::kUnknown;
    case kRefusedStream:
      return GrpcCode::kUnavailable;
    case kCancel:
      return GrpcCode::kCancelled;
    case kEnhanceYourCalm:
      return GrpcCode::kResourceExhausted;
    case kInadequateSecurity:
      return GrpcCode::kPermissionDenied;
    default:
      return code <= kLast ? GrpcCode::kInternal : GrpcCode::kUnknown;
  }
}

}  // namespace

std::string grpc_timeout(Duration time) {
  struct Unit {
    char name;
    std::int64_t nanoseconds;
  };
  constexpr std::int64_t kMost = 99'999'999;
  constexpr std::array<Unit, 5> kUnits{{{.name = 'n', .nanoseconds = 1},
                                        {.name = 'u', .nanoseconds = 1'000},
                                        {.name = 'm', .nanoseconds = 1'000'000},
                                        {.name = 'S', .nanoseconds = 1'000'000'000},
                                        {.name = 'M', .nanoseconds = 60'000'000'000}}};
  const std::int64_t all = std::max<std::int64_t>(time.count(), 1);
  for (const Unit& unit : kUnits) {
    const std::int64_t number = (all - 1) / unit.nanoseconds + 1;
    if (number <= kMost) {
      return std::to_string(number) + unit.name;
    }
  }
  return std::to_string(kMost) + 'M';
}

std::string decode_grpc_message(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = high >= 0 ? digit(text[i + 2]) : -1;
    if (low >= 0) {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// --- answers

void GrpcAnswer::header(std::string_view name, std::string_view value) {
  if (name == ":status") {
    std::from_chars(value.data(), value.data() + value.size(), http_status_);
  } else if (name == "grpc-status") {
    int code = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), code);
    const bool good = error == std::errc() && end == value.data() + value.size() && code >= 0;
    code_ = good ? code : static_cast<int>(GrpcCode::kUnknown);
  } else if (name == "grpc-message") {
    said_ = decode_grpc_message(value.substr(0, kMostSaid));
  } else if (name == "content-type") {
    content_type_ = std::string(value.substr(0, kMostSaid));
  }
}

/// Only the frames of messages are looked at.
void GrpcAnswer::data(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ == 0) {
      const std::size_t part = std::min(kGrpcPrefix - prefix_.size(), bytes.size());
      prefix_.append(bytes.substr(0, part));
      bytes.remove_prefix(part);
      if (prefix_.size() < kGrpcPrefix) {
        return;
      }
      compressed_ = compressed_ || prefix_[0] != '\0';
      for (std::size_t i = 1; i < kGrpcPrefix; ++i) {
        left_ = (left_ << 8U) | static_cast<unsigned char>(prefix_[i]);
      }
      prefix_.clear();
      ++messages_;
      bytes_ += left_;
    }
    const std::size_t part = std::min<std::uint64_t>(left_, bytes.size());
    if (kept_ && messages_ == 1 && kept_->size() < kMostMessage) {
      kept_->append(bytes.substr(0, part));
    }
    bytes.remove_prefix(part);
    left_ -= part;
  }
}

/// Client and server both watch the deadline, so either may be the one that says so.
AnswerVerdict GrpcAnswer::verdict(GrpcCode code, std::string sample, Duration took) const {
  if (code == GrpcCode::kDeadlineExceeded && took >= timeout_ * 19 / 20) {
    return {.error = ErrorKind::kTimeout, .sample = std::move(sample)};
  }
  const bool good = code == GrpcCode::kOk;
  return {.ok = good,
          .status = kGrpcStatus + static_cast<int>(code),
          .message_bytes = good ? bytes_ : 0,
          .sample = std::move(sample)};
}

AnswerVerdict GrpcAnswer::judge(Duration took) {
  if (code_ < 0 && http_status_ != 200) {
    return verdict(code_of_http(http_status_),
                   "HTTP status " + std::to_string(http_status_) + " in place of gRPC's", took);
  }
  if (code_ < 0 && !content_type_.starts_with("application/grpc")) {
    return verdict(GrpcCode::kUnknown,
                   "the answer is no gRPC, but " +
                       (content_type_.empty() ? "of no type" : "'" + content_type_ + "'"),
                   took);
  }
  if (code_ < 0) {
    return verdict(GrpcCode::kUnknown, "the answer ended without a status of gRPC", took);
  }
  if (code_ != static_cast<int>(GrpcCode::kOk)) {
    return verdict(static_cast<GrpcCode>(code_), said_, took);
  }
  if (compressed_) {
    return verdict(GrpcCode::kInternal, "the message is compressed, which was not asked for", took);
  }
  if (messages_ != 1 || left_ != 0 || !prefix_.empty()) {
    return verdict(GrpcCode::kInternal,
                   messages_ > 1    ? "status OK with several messages, and the call is unary"
                   : messages_ == 0 ? "status OK without a message"
                                    : "status OK, and the message is not complete",
                   took);
  }
  return verdict(GrpcCode::kOk, {}, took);
}

AnswerVerdict GrpcAnswer::judge_reset(std::uint32_t code, Duration took) {
  return verdict(code_of_reset(code), "the server reset the stream: " + http2_error_name(code),
                 took);
}

// --- requests

GrpcMessages::GrpcMessages(const GrpcMessagesOptions& options) : options_(options) {
  Http2Head head{{.name = ":method", .value = "POST"},
                 {.name = ":scheme", .value = options.with_tls ? "https" : "http"},
                 {.name = ":path", .value = options.requests->method()},
                 {.name = ":authority", .value = options.authority},
                 {.name = "te", .value = "trailers"},
                 {.name = "grpc-timeout", .value = grpc_timeout(options.timeout)},
                 {.name = "content-type", .value = "application/grpc"}};
  if (std::ranges::find(options.metadata, "user-agent", &HeaderField::name) ==
      options.metadata.end()) {
    head.push_back({.name = "user-agent", .value = "podsense-load"});
  }
  head.insert(head.end(), options.metadata.begin(), options.metadata.end());
  head_ = std::make_shared<const Http2Head>(std::move(head));
}

Result<Http2Request> GrpcMessages::request(std::uint64_t index) const {
  auto message = options_.requests->message(index);
  if (!message) {
    return fail(std::move(message.error()));
  }
  const std::uint64_t size = (*message)->size() - kGrpcPrefix;
  return Http2Request{.head = head_, .body = std::move(*message), .message_bytes = size};
}

std::unique_ptr<Http2Answer> GrpcMessages::answer(std::uint64_t /*index*/) const {
  return std::make_unique<GrpcAnswer>(options_.timeout, options_.kept);
}

}  // namespace podsense::load
