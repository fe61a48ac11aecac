#include <inference/grpc_service.pb.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "load/clients/grpc_messages.h"
#include "load/clients/http2_once.h"
#include "load/http2_job.h"
#include "load/job.h"
#include "load/requests/oip_request.h"
#include "load/tls_files.h"

namespace podsense::load {
namespace {

constexpr std::string_view kOipInfer = "/inference.GRPCInferenceService/ModelInfer";
constexpr std::string_view kOipMetadata = "/inference.GRPCInferenceService/ModelMetadata";

Result<void> validate(const LoadOptions& options) {
  std::string faults;
  const auto refuse = [&faults](bool given, std::string_view flag) {
    if (given) {
      faults += (faults.empty() ? "" : ", ") + std::string(flag);
    }
  };
  refuse(!options.method.empty(), "-m");
  refuse(!options.content_type.empty(), "-T");
  refuse(!options.keep_alive, "--disable-keepalive");
  refuse(options.multipart, "--multipart");
  if (!faults.empty()) {
    return fail(ErrorCode::kInvalidArgument, faults + ": these are for HTTP, and there is --grpc");
  }
  const bool has_body = options.body || !options.body_file.empty() || !options.image.empty() ||
                        !options.features.empty();
  if (options.oip == has_body) {
    return fail(ErrorCode::kInvalidArgument,
                options.oip ? "--oip makes the message: leave out the other"
                            : "--grpc needs a message: --image, --features, -d, -D or --body-file "
                              "(podsense.v1), or --oip binary --model NAME");
  }
  return {};
}

struct Metadata {
  Http2Head entries;
  std::string authority;  ///< empty: the URL's
};

/// @source gRPC over HTTP/2: keys are lower case; those that begin with grpc- are gRPC's own
Result<Metadata> metadata_of(const LoadOptions& options) {
  Metadata metadata;
  for (const auto& [name, value] : options.headers) {
    std::string key = name;
    std::ranges::transform(key, key.begin(), [](unsigned char c) { return std::tolower(c); });
    if (key == "host") {
      metadata.authority = value;
      continue;
    }
    const bool legal = !key.empty() && std::ranges::all_of(key, [](unsigned char c) {
      return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '_' || c == '.';
    });
    const bool printable = key.ends_with("-bin") ||
                           std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; });
    if (!legal || !printable || key.starts_with("grpc-") || key == "te" || key == "content-type") {
      std::string what = "-H '" + name;
      what.append(": ").append(value);
      what +=
          "' cannot be sent as metadata; accepted: names of letters, digits and -_. that do not "
          "begin with grpc-, printable values";
      return fail(ErrorCode::kInvalidArgument, std::move(what));
    }
    std::string sent = key.ends_with("-bin") ? encode_base64(value, Padding::kNone) : value;
    metadata.entries.push_back({.name = std::move(key), .value = std::move(sent)});
  }
  return metadata;
}

/// What a call needs apart from its messages.
struct GrpcTarget {
  Http2TransportOptions transport;
  GrpcMessagesOptions messages;
};

/// @param metadata  the answer to ModelMetadata, which names the inputs
Result<GrpcRequests> random_tensors(const LoadOptions& options,
                                    const ::inference::ModelMetadataResponse& metadata) {
  nlohmann::json inputs = nlohmann::json::array();
  for (const auto& input : metadata.inputs()) {
    inputs.push_back(
        {{"name", input.name()},
         {"datatype", input.datatype()},
         {"shape", std::vector<std::int64_t>(input.shape().begin(), input.shape().end())}});
  }
  auto tensors = make_oip_tensors(nlohmann::json{{"inputs", inputs}}.dump(),
                                  {.binary = true, .batch = options.batch, .seed = options.seed});
  if (!tensors) {
    return fail(std::move(tensors.error()));
  }
  ::inference::ModelInferRequest request;
  request.set_model_name(options.model);
  for (OipTensor& tensor : *tensors) {
    auto* const input = request.add_inputs();
    input->set_name(tensor.name);
    input->set_datatype(tensor.datatype);
    input->mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
    request.add_raw_input_contents(std::move(tensor.bytes));
  }
  return GrpcRequests::fixed(std::string(kOipInfer), request.SerializeAsString());
}

/// Asks for the model's inputs and fills them with random values.
Result<GrpcRequests> oip_requests(const LoadOptions& options, GrpcTarget target) {
  ::inference::ModelMetadataRequest question;
  question.set_name(options.model);
  const auto message = std::make_shared<std::string>();
  target.messages.kept = message;
  target.messages.requests = std::make_shared<const GrpcRequests>(
      GrpcRequests::fixed(std::string(kOipMetadata), question.SerializeAsString()));
  target.transport.messages = std::make_shared<const GrpcMessages>(target.messages);
  const auto answer = ask_once(target.transport, options.wait_for_target);
  if (!answer) {
    return fail(answer.error().code, "cannot connect: " + answer.error().message);
  }
  const std::string about = "the metadata of '" + options.model + "': ";
  if (answer->error != ErrorKind::kNone) {
    return fail(ErrorCode::kUnavailable, about + answer->sample);
  }
  if (answer->status != kGrpcOk) {
    return fail(ErrorCode::kNotFound, about + status_name(answer->status) + ": " + answer->sample);
  }
  ::inference::ModelMetadataResponse metadata;
  if (!metadata.ParseFromString(*message)) {
    return fail(ErrorCode::kNotFound, about + "the answer is no ModelMetadataResponse");
  }
  return random_tensors(options, metadata);
}

Result<GrpcRequests> infer_requests(const LoadOptions& options) {
  auto content = make_content(options);
  if (!content) {
    return fail(std::move(content.error()));
  }
  if (options.image.empty()) {
    return GrpcRequests::json(std::move(content->bodies.front().content), options.model);
  }
  std::vector<std::string> files;
  files.reserve(content->bodies.size());
  for (const auto& body : content->bodies) {
    files.push_back(body.content.fixed_bytes());
  }
  return GrpcRequests::pictures(files, options.model);
}

Result<Url> grpc_url(const LoadOptions& options) {
  const bool has_scheme = options.url.find("://") != std::string::npos;
  auto url =
      parse_url(has_scheme ? options.url : (options.tls ? "grpcs://" : "grpc://") + options.url);
  if (url && url->target != "/") {
    return fail(ErrorCode::kInvalidArgument,
                "'" + options.url + "': gRPC has no path; accepted: grpc[s]://HOST[:PORT]");
  }
  if (url) {
    url->grpc = true;
    url->tls = url->tls || options.tls;
  }
  return url;
}

Result<GrpcTarget> make_target(const LoadOptions& options, const Url& url) {
  auto metadata = metadata_of(options);
  if (!metadata) {
    return fail(std::move(metadata.error()));
  }
  auto endpoints = own_endpoints(options, url);
  if (!endpoints) {
    return fail(std::move(endpoints.error()));
  }
  auto tls = read_client_tls(options);
  if (!tls) {
    return fail(std::move(tls.error()));
  }
  return GrpcTarget{
      .transport = {.endpoints = std::move(*endpoints),
                    .host = url.host,
                    .with_tls = url.tls,
                    .tls = std::move(*tls),
                    .timeout = options.timeout},
      .messages = {.with_tls = url.tls,
                   .authority = metadata->authority.empty() ? url.authority()
                                                            : std::move(metadata->authority),
                   .metadata = std::move(metadata->entries),
                   .timeout = options.timeout}};
}

}  // namespace

Result<void> make_grpc(const LoadOptions& options, Job& job) {
  if (auto valid = validate(options); !valid) {
    return fail(std::move(valid.error()));
  }
  auto url = grpc_url(options);
  if (!url) {
    return fail(std::move(url.error()));
  }
  auto target = make_target(options, *url);
  if (!target) {
    return fail(std::move(target.error()));
  }
  auto requests = options.oip ? oip_requests(options, *target) : infer_requests(options);
  if (!requests) {
    return fail(requests.error().code,
                (options.oip ? url->text() + ": " : std::string()) + requests.error().message);
  }
  job.circumstances.url = url->text();
  job.circumstances.method = requests->method().substr(1);
  job.circumstances.protocol = "grpc";
  target->messages.requests = std::make_shared<const GrpcRequests>(std::move(*requests));
  target->transport.messages = std::make_shared<const GrpcMessages>(target->messages);
  add_http2(std::move(target->transport), options, job);
  return {};
}

}  // namespace podsense::load
