#include "grpc/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpc/reflection/v1/reflection.pb.h>
#include <grpc/reflection/v1alpha/reflection.pb.h>

#include <set>
#include <string>
#include <vector>

namespace podsense::grpc {
namespace {

// v1 and v1alpha are identical on the wire, so v1's messages are used for both.
namespace reflection = ::grpc::reflection::v1;
using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using Request = reflection::ServerReflectionRequest;
using Response = reflection::ServerReflectionResponse;

/// The codes of google.rpc.Code that reflection uses.
constexpr int kNotFound = 5;
constexpr int kInvalidArgument = 3;

void tell_error(int code, std::string text, Response& response) {
  response.mutable_error_response()->set_error_code(code);
  response.mutable_error_response()->set_error_message(std::move(text));
}

void add_with_imports(const FileDescriptor& file, std::set<std::string>& seen,
                      reflection::FileDescriptorResponse& files) {
  if (!seen.insert(file.name()).second) {
    return;
  }
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  files.add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) {
    add_with_imports(*file.dependency(i), seen, files);
  }
}

void tell_file(const FileDescriptor* file, const std::string& asked, Response& response) {
  if (file == nullptr) {
    return tell_error(kNotFound, "there is no '" + asked.substr(0, 200) + "'", response);
  }
  std::set<std::string> seen;
  add_with_imports(*file, seen, *response.mutable_file_descriptor_response());
}

void tell_extension(const reflection::ExtensionRequest& asked, Response& response) {
  const DescriptorPool* const pool = DescriptorPool::generated_pool();
  const Descriptor* const type = pool->FindMessageTypeByName(asked.containing_type());
  const FieldDescriptor* const found =
      type == nullptr ? nullptr : pool->FindExtensionByNumber(type, asked.extension_number());
  tell_file(found == nullptr ? nullptr : found->file(), asked.containing_type(), response);
}

void tell_extensions(const std::string& name, Response& response) {
  const DescriptorPool* const pool = DescriptorPool::generated_pool();
  const Descriptor* const type = pool->FindMessageTypeByName(name);
  if (type == nullptr) {
    return tell_error(kNotFound, "there is no '" + name.substr(0, 200) + "'", response);
  }
  std::vector<const FieldDescriptor*> all;
  pool->FindAllExtensions(type, &all);
  auto& answer = *response.mutable_all_extension_numbers_response();
  answer.set_base_type_name(name);
  for (const FieldDescriptor* const field : all) {
    answer.add_extension_number(field->number());
  }
}

/// A stream of requests, each answered at once.
class ReflectionCall final : public Call {
 public:
  ReflectionCall(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
                 const RpcMethod& method, const std::set<std::string>& services)
      : Call(shared, std::move(stream), method), services_(services) {}

 private:
  void begin() override { stream().allow_slow_body(); }
  void message(std::string_view bytes) override {
    Request request;
    if (auto parsed = parse_message(bytes, request); !parsed) {
      return finish(&parsed.error());
    }
    Response response;
    answer(request, response);
    response.set_valid_host(request.host());
    *response.mutable_original_request() = std::move(request);
    if (auto framed = frame(response)) {
      send(std::move(*framed));
    }
  }
  void half_closed() override {
    caller().record({.bytes_in = bytes_in_}, caller().context());
    finish(nullptr);
  }
  void on_stop() override { finish(nullptr); }

  void answer(const Request& request, Response& response) const {
    const DescriptorPool* const pool = DescriptorPool::generated_pool();
    switch (request.message_request_case()) {
      case Request::kFileByFilename:
        return tell_file(pool->FindFileByName(request.file_by_filename()),
                         request.file_by_filename(), response);
      case Request::kFileContainingSymbol:
        return tell_file(pool->FindFileContainingSymbol(request.file_containing_symbol()),
                         request.file_containing_symbol(), response);
      case Request::kFileContainingExtension:
        return tell_extension(request.file_containing_extension(), response);
      case Request::kAllExtensionNumbersOfType:
        return tell_extensions(request.all_extension_numbers_of_type(), response);
      case Request::kListServices:
        for (const std::string& name : services_) {
          response.mutable_list_services_response()->add_service()->set_name(name);
        }
        return;
      case Request::MESSAGE_REQUEST_NOT_SET:
        return tell_error(kInvalidArgument, "the request asks for nothing", response);
    }
  }

  const std::set<std::string>& services_;
};

}  // namespace

void add_reflection(Methods& methods) {
  // Forces the linker to keep these messages' descriptors.
  google::protobuf::LinkMessageReflection<::grpc::reflection::v1alpha::ServerReflectionRequest>();
  constexpr std::array<std::string_view, 2> kNames{
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
  const auto services = std::make_shared<std::set<std::string>>();
  const auto add_service = [&](std::string_view path) {
    services->emplace(path.substr(1, path.find('/', 1) - 1));
  };
  for (const auto& [path, entry] : methods.all()) {
    add_service(path);
  }
  for (const std::string_view name : kNames) {
    add_service(name);
    methods.add({.name = name}, [services](CallEnvironment& shared,
                                           std::shared_ptr<transport::Stream> stream,
                                           const RpcMethod& method) {
      return std::make_shared<ReflectionCall>(shared, std::move(stream), method, *services);
    });
  }
}

}  // namespace podsense::grpc
