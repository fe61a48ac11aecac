#pragma once

/// gRPC's unary calls over HTTP/2: what a request consists of, and what an answer says.
/// @source gRPC over HTTP/2 (PROTOCOL-HTTP2.md), and its mapping of HTTP statuses to gRPC's

#include <memory>
#include <string>
#include <string_view>

#include "base/grpc_code.h"
#include "load/clients/http2_messages.h"
#include "load/requests/grpc_requests.h"

namespace podsense::load {

/// For grpc-timeout: at most eight digits, rounded up.
std::string grpc_timeout(Duration time);
/// What grpc-message says; a "%" that stands for no byte stays.
std::string decode_grpc_message(std::string_view text);

/// The answer to one unary call.
class GrpcAnswer final : public Http2Answer {
 public:
  /// `timeout` is the call's deadline. The message goes to `kept`; null: nowhere.
  explicit GrpcAnswer(Duration timeout, std::shared_ptr<std::string> kept = nullptr)
      : timeout_(timeout), kept_(std::move(kept)) {}

  void header(std::string_view name, std::string_view value) override;
  void data(std::string_view bytes) override;
  [[nodiscard]] bool has_begun() const override { return http_status_ >= 200; }
  AnswerVerdict judge(Duration took) override;
  AnswerVerdict judge_reset(std::uint32_t code, Duration took) override;

 private:
  [[nodiscard]] AnswerVerdict verdict(GrpcCode code, std::string sample, Duration took) const;

  const Duration timeout_;
  const std::shared_ptr<std::string> kept_;
  int http_status_ = 0;
  int code_ = -1;  ///< -1: the server has said none
  std::string said_;
  std::string content_type_;
  // Of the message that is being read.
  std::string prefix_;
  std::uint64_t left_ = 0;
  std::uint64_t messages_ = 0;
  std::uint64_t bytes_ = 0;  ///< of messages
  bool compressed_ = false;
};

struct GrpcMessagesOptions {
  std::shared_ptr<const GrpcRequests> requests;
  bool with_tls = false;
  std::string authority;
  Http2Head metadata;  ///< as it is sent
  Duration timeout = std::chrono::seconds(20);
  std::shared_ptr<std::string> kept;  ///< where an answer's message goes; null: nowhere
};

class GrpcMessages final : public Http2Messages {
 public:
  explicit GrpcMessages(const GrpcMessagesOptions& options);

  [[nodiscard]] std::string_view protocol() const override { return "gRPC"; }
  [[nodiscard]] Result<Http2Request> request(std::uint64_t index) const override;
  [[nodiscard]] std::unique_ptr<Http2Answer> answer(std::uint64_t index) const override;

 private:
  const GrpcMessagesOptions options_;
  std::shared_ptr<const Http2Head> head_;
};

}  // namespace podsense::load
