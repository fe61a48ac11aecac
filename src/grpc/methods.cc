#include "grpc/methods.h"

namespace podsense::grpc {
namespace {

/// Answers at once that the method is not supported.
class RefusedCall final : public Call {
 public:
  RefusedCall(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
              const RpcMethod& method, std::string why)
      : Call(shared, std::move(stream), method), why_(std::move(why)) {}

 private:
  void begin() override {
    const Error error{.code = ErrorCode::kUnimplemented, .message = why_};
    finish(&error);
  }
  void message(std::string_view /*bytes*/) override {}
  void half_closed() override {}

  const std::string why_;
};

std::string no_such_method(std::string_view path) {
  return "there is no method " + std::string(path.substr(0, 200)) +
         "; reflection lists what there is";
}

bool has_json_subtype(std::string_view type) {
  return type.starts_with("application/grpc+") && !type.starts_with("application/grpc+proto");
}

}  // namespace

void Methods::refuse(std::string_view name, std::string why) {
  add({.name = name, .access = Access::kOpen},
      [why = std::move(why)](CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
                             const RpcMethod& method) {
        return std::make_shared<RefusedCall>(shared, std::move(stream), method, why);
      });
}

std::shared_ptr<transport::StreamService> open_call(
    CallEnvironment& shared, const Methods& methods,
    const std::shared_ptr<transport::Stream>& stream) {
  const transport::Request& request = stream->request();
  const Methods::Entry* const entry = methods.find(request.target);
  std::shared_ptr<Call> call;
  if (has_json_subtype(request.header("content-type"))) {
    call = std::make_shared<RefusedCall>(shared, stream,
                                         RpcMethod{.name = "unknown", .access = Access::kOpen},
                                         "messages are protobuf: application/grpc");
  } else if (entry == nullptr) {
    call = std::make_shared<RefusedCall>(shared, stream,
                                         RpcMethod{.name = "unknown", .access = Access::kOpen},
                                         no_such_method(request.target));
  } else {
    call = entry->open(shared, stream, entry->method);
  }
  call->start();
  return call;
}

}  // namespace podsense::grpc
