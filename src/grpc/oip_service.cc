#include "grpc/oip_service.h"

#include <inference/grpc_service.pb.h>

#include "grpc/oip_codec.h"
#include "grpc/oip_documents.h"

namespace podsense::grpc {
namespace {

namespace wire = ::inference;

using Done = std::move_only_function<void(Result<void>)>;

/// `owner` keeps `request` alive; the caller keeps everything else alive until `done` is called.
void infer(const Caller& caller, const wire::ModelInferRequest& request,
           std::shared_ptr<const void> owner, wire::ModelInferResponse& response,
           const inference::Context& context, Done done) {
  auto read = read_infer(request);
  if (!read) {
    caller.service().reject(context, read.error().code);
    return done(fail(std::move(read.error())));
  }
  read->owner = std::move(owner);
  caller.service().infer(
      std::move(*read), context,
      [&response, done = std::move(done)](const Result<protocol::InferAnswer>& answer) mutable {
        if (!answer) {
          return done(fail(answer.error()));
        }
        write_infer(*answer, response);
        done({});
      });
}

Error disabled() {
  return {.code = ErrorCode::kPermissionDenied,
          .message =
              "models are loaded and unloaded over gRPC only where models.repository_api is "
              "on and auth.control_tokens says who may"};
}

/// This port is public, so control always requires tokens here.
template <class Request, class Response>
void add_control(Methods& methods, CallEnvironment& shared, std::string_view name,
                 inference::ControlRequest::Action action) {
  methods.unary<Request, Response>(
      {.name = name, .access = Access::kControl},
      [&shared, action](UnaryCall<Request, Response>& call) {
        const access::Guard* const guard = shared.sources.guard;
        inference::Control* const control = shared.sources.control;
        if (!shared.options.repository_control || control == nullptr || guard == nullptr ||
            guard->open(access::Area::kControl)) {
          return call.refuse(disabled());
        }
        if (!call.request().parameters().empty()) {
          return call.refuse({.code = ErrorCode::kUnimplemented,
                              .message = "a model's files and configuration come from the "
                                         "repository; parameters must be empty"});
        }
        control->submit({.action = action, .model = call.request().model_name()},
                        [&call](const auto& outcome) {
                          call.reply(outcome ? Result<void>() : fail(outcome.error()));
                        });
      });
}

/// Each request of a stream has exactly one answer. It is marked as final, because some clients
/// wait for that mark.
/// @source Triton, docs/customization_guide/inference_protocols.md
wire::ModelInferResponse& only_answer(wire::ModelStreamInferResponse& response) {
  wire::ModelInferResponse& answer = *response.mutable_infer_response();
  (*answer.mutable_parameters())["triton_final_response"].set_bool_param(true);
  return answer;
}

void add_inference(Methods& methods) {
  using Infer = UnaryCall<wire::ModelInferRequest, wire::ModelInferResponse>;
  methods.unary<wire::ModelInferRequest, wire::ModelInferResponse>(
      {.name = "/inference.GRPCInferenceService/ModelInfer"}, [](Infer& call) {
        infer(call.caller(), call.request(), call.messages(), call.response(), call.context(),
              [&call](const Result<void>& result) { call.reply(result); });
      });
  using Stream = StreamCall<wire::ModelInferRequest, wire::ModelStreamInferResponse>;
  methods.stream<wire::ModelInferRequest, wire::ModelStreamInferResponse>(
      {.name = "/inference.GRPCInferenceService/ModelStreamInfer"},
      {.handle =
           [](const Caller& caller, Stream::Item& item, Stream::Done done) {
             infer(caller, item.request, item.shared_from_this(), only_answer(item.response),
                   item.context, std::move(done));
           },
       .tell =
           [](const Error& error, Stream::Item& item) {
             item.response.set_error_message(error.message);
             // Clients match errors to their requests by the id.
             only_answer(item.response).set_id(item.request.id());
           }});
}

void add_health(Methods& methods, CallEnvironment& shared) {
  methods.answer<wire::ServerLiveRequest, wire::ServerLiveResponse>(
      {.name = "/inference.GRPCInferenceService/ServerLive", .access = Access::kOpen},
      [](const auto& /*request*/, auto& response) {
        response.set_live(true);
        return Result<void>();
      });
  methods.answer<wire::ServerReadyRequest, wire::ServerReadyResponse>(
      {.name = "/inference.GRPCInferenceService/ServerReady", .access = Access::kOpen},
      [&shared](const auto& /*request*/, auto& response) {
        response.set_ready(!shared.sources.closed() && shared.sources.service.catalog().ready());
        return Result<void>();
      });
  methods.answer<wire::ModelReadyRequest, wire::ModelReadyResponse>(
      {.name = "/inference.GRPCInferenceService/ModelReady", .access = Access::kOpen},
      [&shared](const auto& request, auto& response) -> Result<void> {
        const auto ref = model_ref(request.name(), request.version());
        if (!ref) {
          return fail(ref.error());
        }
        response.set_ready(!shared.sources.closed() &&
                           shared.sources.service.catalog().find(*ref).has_value());
        return {};
      });
}

void add_documents(Methods& methods, CallEnvironment& shared) {
  inference::Catalog& catalog = shared.sources.service.catalog();
  methods.answer<wire::ServerMetadataRequest, wire::ServerMetadataResponse>(
      {.name = "/inference.GRPCInferenceService/ServerMetadata"},
      [&shared](const auto& /*request*/, auto& response) {
        fill_server(shared.options, response);
        return Result<void>();
      });
  methods.answer<wire::ModelMetadataRequest, wire::ModelMetadataResponse>(
      {.name = "/inference.GRPCInferenceService/ModelMetadata"},
      [&catalog](const auto& request, auto& response) -> Result<void> {
        const auto ref = model_ref(request.name(), request.version());
        return ref ? fill_metadata(catalog, *ref, response) : fail(ref.error());
      });
  methods.answer<wire::ModelConfigRequest, wire::ModelConfigResponse>(
      {.name = "/inference.GRPCInferenceService/ModelConfig"},
      [&catalog](const auto& request, auto& response) -> Result<void> {
        const auto ref = model_ref(request.name(), request.version());
        return ref ? fill_config(catalog, *ref, *response.mutable_config()) : fail(ref.error());
      });
  methods.answer<wire::ModelStatisticsRequest, wire::ModelStatisticsResponse>(
      {.name = "/inference.GRPCInferenceService/ModelStatistics"},
      [&catalog](const auto& request, auto& response) {
        return fill_statistics(catalog, {.name = request.name(), .version = request.version()},
                               response);
      });
  methods.answer<wire::RepositoryIndexRequest, wire::RepositoryIndexResponse>(
      {.name = "/inference.GRPCInferenceService/RepositoryIndex"},
      [&catalog](const auto& request, auto& response) {
        fill_index(catalog, request.ready(), response);
        return Result<void>();
      });
}

void refuse_others(Methods& methods) {
  for (const std::string_view name :
       {"/inference.GRPCInferenceService/SystemSharedMemoryStatus",
        "/inference.GRPCInferenceService/SystemSharedMemoryRegister",
        "/inference.GRPCInferenceService/SystemSharedMemoryUnregister",
        "/inference.GRPCInferenceService/CudaSharedMemoryStatus",
        "/inference.GRPCInferenceService/CudaSharedMemoryRegister",
        "/inference.GRPCInferenceService/CudaSharedMemoryUnregister"}) {
    methods.refuse(name, "shared memory is not offered; send tensors");
  }
  methods.refuse("/inference.GRPCInferenceService/TraceSetting",
                 "traces are set by the server's configuration");
  methods.refuse("/inference.GRPCInferenceService/LogSettings",
                 "logging is set by the server's configuration");
}

}  // namespace

void add_oip_service(Methods& methods, CallEnvironment& shared) {
  add_inference(methods);
  add_health(methods, shared);
  add_documents(methods, shared);
  add_control<wire::RepositoryModelLoadRequest, wire::RepositoryModelLoadResponse>(
      methods, shared, "/inference.GRPCInferenceService/RepositoryModelLoad",
      inference::ControlRequest::Action::kLoad);
  add_control<wire::RepositoryModelUnloadRequest, wire::RepositoryModelUnloadResponse>(
      methods, shared, "/inference.GRPCInferenceService/RepositoryModelUnload",
      inference::ControlRequest::Action::kUnload);
  refuse_others(methods);
}

}  // namespace podsense::grpc
