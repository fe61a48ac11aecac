#include <inference/grpc_service.grpc.pb.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "load/grpc_transport.h"
#include "load/job.h"
#include "load/oip.h"
#include "load/quantity.h"

namespace podsense::load {
namespace {

constexpr std::string_view kOipInfer = "/inference.GRPCInferenceService/ModelInfer";
constexpr unsigned kStreams = 100;  ///< what most servers let a connection have

Result<void> validate(const Options& options) {
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
  std::vector<std::pair<std::string, std::string>> entries;
  std::string authority;
};

/// @source gRPC over HTTP/2: keys are lower case; those that begin with grpc- are gRPC's own
Result<Metadata> metadata_of(const Options& options) {
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
    metadata.entries.emplace_back(std::move(key), value);
  }
  return metadata;
}

/// Asks for the model's inputs and fills them with random values.
Result<GrpcRequests> oip_requests(const Options& options, const GrpcTransportOptions& transport) {
  const auto stub = ::inference::GRPCInferenceService::NewStub(transport.channels->open());
  ::grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::max(options.timeout, options.wait_for_target));
  context.set_wait_for_ready(options.wait_for_target > Duration::zero());
  for (const auto& [key, value] : transport.metadata) {
    context.AddMetadata(key, value);
  }
  ::inference::ModelMetadataRequest question;
  question.set_name(options.model);
  ::inference::ModelMetadataResponse answer;
  const ::grpc::Status status = stub->ModelMetadata(&context, question, &answer);
  if (!status.ok()) {
    const bool said = grpc_error_kind(context, status) == ErrorKind::kNone;
    return fail(said ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                said ? "the metadata of '" + options.model + "': " + grpc_status_text(status) +
                           ": " + status.error_message()
                     : "cannot connect: " + transport.channels->reason(status.error_message()));
  }
  nlohmann::json inputs = nlohmann::json::array();
  for (const auto& input : answer.inputs()) {
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

Result<GrpcRequests> infer_requests(const Options& options) {
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

Result<Url> grpc_url(const Options& options) {
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

Result<GrpcTransportOptions> transport_options(const Options& options, const Url& url) {
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
  GrpcTransportOptions transport{
      .channels = std::make_shared<const GrpcChannels>(
          GrpcChannels::create({.url = url,
                                .endpoints = std::move(*endpoints),
                                .authority = std::move(metadata->authority),
                                .tls = std::move(*tls),
                                .timeout = options.timeout})),
      .requests = nullptr,
      .metadata = std::move(metadata->entries),
      .timeout = options.timeout};
  auto requests = options.oip ? oip_requests(options, transport) : infer_requests(options);
  if (!requests) {
    return fail(requests.error().code,
                (options.oip ? url.text() + ": " : std::string()) + requests.error().message);
  }
  transport.requests = std::make_shared<const GrpcRequests>(std::move(*requests));
  return transport;
}

}  // namespace

Result<void> make_grpc(const Options& options, Job& job) {
  if (auto valid = validate(options); !valid) {
    return fail(std::move(valid.error()));
  }
  auto url = grpc_url(options);
  if (!url) {
    return fail(std::move(url.error()));
  }
  auto transport = transport_options(options, *url);
  if (!transport) {
    return fail(std::move(transport.error()));
  }
  const Plan& plan = job.plan;
  const bool open_loop = plan.shape != nullptr;
  transport->streams = options.streams > 0 ? options.streams : open_loop ? kStreams : 1;
  const auto links = [streams = transport->streams](unsigned workers) {
    return (workers + streams - 1) / streams;
  };
  Circumstances& how = job.circumstances;
  Connections all{.first = how.connections, .most = how.max_connections};
  if (open_loop) {
    // A connection carries many calls; a few spread them over a server's threads.
    all.first = std::min(all.most, options.connections.value_or(std::max(4U, plan.threads)));
  }
  how.url = url->text();
  how.method = transport->requests->method().substr(1);
  how.protocol = "grpc";
  how.connections = open_loop ? all.first : plan.workers;
  job.make.emplace_back([shared = std::move(*transport), all, open_loop, links,
                         threads = plan.threads, workers = plan.workers,
                         next = 0U](boost::asio::io_context& context, Sink& sink) mutable {
    GrpcTransportOptions mine = shared;
    const unsigned part = next++ % threads;
    const Connections share = part_of(all, part, threads);
    mine.connections = share.first;
    mine.max_connections = share.most;
    if (!open_loop) {
      mine.connections = links(workers / threads + (part < workers % threads ? 1 : 0));
      mine.max_connections = mine.connections;
    }
    return Result<std::unique_ptr<Transport>>(GrpcTransport::create(mine, context, sink));
  });
  return {};
}

}  // namespace podsense::load
