#pragma once

/// What gRPC calls carry: the method and the message of each request by its number. Messages that
/// are equal are made once.
/// @threads immutable once made

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "load/requests/body_template.h"

namespace podsense::load {

/// Before each message: whether it is compressed, and its length in four bytes.
inline constexpr std::size_t kGrpcPrefix = 5;
/// A message as a call carries it: not compressed, behind its length.
std::string grpc_frame(std::string_view message);

class GrpcRequests {
 public:
  /// podsense.v1 Infer with the bytes of one of these pictures, in turn. `model` may be empty.
  static GrpcRequests pictures(const std::vector<std::string>& files, const std::string& model);
  /// podsense.v1 Infer, written as JSON. `model` is for messages that name none.
  /// @errors kInvalidArgument: the first message is no InferRequest
  static Result<GrpcRequests> json(BodyTemplate text, const std::string& model);
  /// One call with bytes that are a message already.
  static GrpcRequests fixed(std::string method, const std::string& message);

  /// As gRPC writes it: /package.Service/Method
  [[nodiscard]] const std::string& method() const { return method_; }
  /// As a call carries it, behind its length.
  /// @errors kInvalidArgument: the template gave no InferRequest
  [[nodiscard]] Result<std::shared_ptr<const std::string>> message(std::uint64_t index) const;

 private:
  std::string method_;
  std::vector<std::shared_ptr<const std::string>> messages_;  ///< in turn; empty: `template_`
  BodyTemplate template_;
  std::string model_;
};

}  // namespace podsense::load
