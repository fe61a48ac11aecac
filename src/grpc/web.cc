#include "grpc/web.h"

#include <mutex>

#include "grpc/wire.h"

namespace podsense::grpc {
namespace {

constexpr std::string_view kBinary = "application/grpc-web";
/// The flag of the frame that holds the trailers.
constexpr char kTrailers = '\x80';

bool is_binary(std::string_view type) {
  return transport::equals_ignoring_case(type.substr(0, kBinary.size()), kBinary) &&
         (type.size() == kBinary.size() || type[kBinary.size()] == '+' ||
          type[kBinary.size()] == ';' || type[kBinary.size()] == ' ');
}

/// The stream of a gRPC-Web call: the request is complete, the answer is collected.
/// @threads thread-safe: its lock is held while the call works
class WebStream final : public transport::Stream {
 public:
  WebStream(transport::Request& request, transport::Reply reply)
      : request_(request), reply_(std::move(reply)) {}

  /// @threads the connection's
  void run(CallEnvironment& shared, const Methods& methods) {
    const std::scoped_lock lock(mutex_);
    const auto keep = shared_from_this();
    call_ = open_call(shared, methods, keep);
    const std::string body = std::move(request_.body);
    if (!body.empty()) {
      call_->on_data(body);
    }
    call_->on_end();
    if (ended_) {
      end();
    }
  }

  [[nodiscard]] const transport::Request& request() const override { return request_; }
  void respond(transport::Fields headers) override { headers_ = std::move(headers); }
  void write(transport::Chunk chunk) override {
    memory_.join(std::move(chunk.memory));
    body_ += chunk.bytes;
    for (const auto part : chunk.tail) {
      body_.append(reinterpret_cast<const char*>(part.data()), part.size());
    }
  }
  void finish(transport::Fields trailers) override {
    trailers_ = std::move(trailers);
    ended_ = true;
  }
  void grant(std::uint64_t /*bytes*/) override {}
  void allow_slow_body() override {}
  [[nodiscard]] std::uint64_t unsent() const override { return 0; }
  void post(std::move_only_function<void()> work) override {
    const std::scoped_lock lock(mutex_);
    const auto keep = shared_from_this();
    const bool inside = running_ > 0;
    ++running_;
    work();
    --running_;
    if (ended_ && !inside && call_) {
      end();
    }
  }

 private:
  /// Sends the collected answer, with the trailers as lines.
  void end() {
    if (!reply_) {
      return;
    }
    transport::Response response{.content_type = "application/grpc-web+proto"};
    std::string lines;
    for (auto& [name, value] : trailers_) {
      if (name == "content-type" || name == "x-request-id") {
        continue;
      }
      lines += std::string(name) + ": " + value + "\r\n";
      if (body_.empty() || !name.starts_with("grpc-")) {
        response.headers.emplace_back(name, value);
      }
    }
    std::string prefix(kPrefixSize, '\0');
    prefix[0] = kTrailers;
    for (std::size_t i = 0; i < 4; ++i) {
      prefix[1 + i] = static_cast<char>(lines.size() >> (24 - 8 * i) & 255U);
    }
    response.body = std::move(body_) + prefix + lines;
    response.memory = std::move(memory_);
    auto reply = std::move(reply_);
    reply_ = nullptr;
    const auto call = std::move(call_);
    call->on_closed();
    reply(std::move(response));
  }

  std::recursive_mutex mutex_;
  transport::Request& request_;
  transport::Reply reply_;
  std::shared_ptr<transport::StreamService> call_;
  transport::Fields headers_;
  transport::Fields trailers_;
  std::string body_;
  MemoryBudget::Share memory_;  ///< counts the collected answer
  int running_ = 0;
  bool ended_ = false;
};

void answer_web(transport::Request& request, transport::Reply reply, CallEnvironment& shared,
                const Methods& methods) {
  if (!is_binary(request.header("content-type"))) {
    return reply(transport::error_response(
        {.code = ErrorCode::kUnsupportedMedia,
         .message = "this is a gRPC method: call it over HTTP/2 with Content-Type "
                    "application/grpc, or send gRPC-Web with application/grpc-web+proto"},
        request.id));
  }
  std::make_shared<WebStream>(request, std::move(reply))->run(shared, methods);
}

}  // namespace

void add_web_routes(transport::Router& router, CallEnvironment& shared, const Methods& methods) {
  for (const auto& [path, entry] : methods.all()) {
    if (!entry.ends) {
      continue;
    }
    // The call itself checks credentials and writes the log line.
    router.add({.path = std::string(path),
                .post =
                    [&shared, &methods](transport::Request& request, transport::Reply reply) {
                      answer_web(request, std::move(reply), shared, methods);
                    },
                .max_body = shared.options.max_message_bytes + kPrefixSize,
                .body_required = false,
                .api = true,
                .open = true,
                .quiet = true});
  }
}

}  // namespace podsense::grpc
