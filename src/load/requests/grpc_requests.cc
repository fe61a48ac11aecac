#include "load/requests/grpc_requests.h"

#include <google/protobuf/util/json_util.h>
#include <podsense/v1/inference.pb.h>

namespace podsense::load {
namespace {

constexpr const char* kInfer = "/podsense.v1.InferenceService/Infer";

std::shared_ptr<const std::string> framed(const std::string& message) {
  return std::make_shared<const std::string>(grpc_frame(message));
}

Result<std::string> infer_message(const std::string& json, const std::string& model) {
  podsense::v1::InferRequest request;
  const auto read = google::protobuf::util::JsonStringToMessage(json, &request);
  if (!read.ok()) {
    // What follows the first line is the place, drawn with a caret.
    const std::string why(read.message());
    return fail(ErrorCode::kInvalidArgument,
                "no podsense.v1.InferRequest as JSON: " + why.substr(0, why.find('\n')));
  }
  if (request.model().empty()) {
    request.set_model(model);
  }
  return request.SerializeAsString();
}

}  // namespace

std::string grpc_frame(std::string_view message) {
  std::string frame;
  frame.reserve(kGrpcPrefix + message.size());
  frame.push_back('\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame.push_back(static_cast<char>((message.size() >> static_cast<unsigned>(shift)) & 0xFFU));
  }
  frame.append(message);
  return frame;
}

GrpcRequests GrpcRequests::fixed(std::string method, const std::string& message) {
  GrpcRequests requests;
  requests.method_ = std::move(method);
  requests.messages_.push_back(framed(message));
  return requests;
}

GrpcRequests GrpcRequests::pictures(const std::vector<std::string>& files,
                                    const std::string& model) {
  GrpcRequests requests;
  requests.method_ = kInfer;
  for (const std::string& file : files) {
    podsense::v1::InferRequest request;
    request.set_model(model);
    request.set_image(file);
    requests.messages_.push_back(framed(request.SerializeAsString()));
  }
  return requests;
}

Result<GrpcRequests> GrpcRequests::json(BodyTemplate text, const std::string& model) {
  std::string first;
  text.append(0, first);
  auto message = infer_message(first, model);
  if (!message) {
    return fail(std::move(message.error()));
  }
  if (text.is_fixed()) {
    return fixed(kInfer, *message);
  }
  GrpcRequests requests;
  requests.method_ = kInfer;
  requests.template_ = std::move(text);
  requests.model_ = model;
  return requests;
}

Result<std::shared_ptr<const std::string>> GrpcRequests::message(std::uint64_t index) const {
  if (!messages_.empty()) {
    return messages_[index % messages_.size()];  // shares the bytes
  }
  std::string json;
  template_.append(index, json);
  auto message = infer_message(json, model_);
  if (!message) {
    return fail(std::move(message.error()));
  }
  return framed(*message);
}

}  // namespace podsense::load
