#include "grpc/oip_service.h"

#include <inference/grpc_service.grpc.pb.h>

#include "grpc/oip_codec.h"
#include "grpc/oip_documents.h"
#include "grpc/stream.h"

namespace podsense::grpc {
namespace {

namespace wire = ::inference;
using ::grpc::ByteBuffer;
using ::grpc::CallbackServerContext;
using ::grpc::ServerUnaryReactor;
using Oip = wire::GRPCInferenceService;

using Done = std::move_only_function<void(Result<void>)>;

/// `owner` keeps `request` alive; the caller keeps the rest, until `done` was called.
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

// Every method is named, the unimplemented ones too: what is not would be registered as blocking,
// and blocking methods get a pool of threads.
template <class Base>
using Answered = Oip::WithRawCallbackMethod_ServerLive<
    Oip::WithRawCallbackMethod_ServerReady<Oip::WithRawCallbackMethod_ModelReady<
        Oip::WithRawCallbackMethod_ServerMetadata<Oip::WithRawCallbackMethod_ModelMetadata<
            Oip::WithRawCallbackMethod_ModelInfer<Oip::WithRawCallbackMethod_ModelStreamInfer<
                Oip::WithRawCallbackMethod_ModelConfig<Oip::WithRawCallbackMethod_ModelStatistics<
                    Oip::WithRawCallbackMethod_RepositoryIndex<
                        Oip::WithRawCallbackMethod_RepositoryModelLoad<
                            Oip::WithRawCallbackMethod_RepositoryModelUnload<Base>>>>>>>>>>>>;
template <class Base>
using Refused = Oip::WithRawCallbackMethod_SystemSharedMemoryStatus<
    Oip::WithRawCallbackMethod_SystemSharedMemoryRegister<
        Oip::WithRawCallbackMethod_SystemSharedMemoryUnregister<
            Oip::WithRawCallbackMethod_CudaSharedMemoryStatus<
                Oip::WithRawCallbackMethod_CudaSharedMemoryRegister<
                    Oip::WithRawCallbackMethod_CudaSharedMemoryUnregister<
                        Oip::WithRawCallbackMethod_TraceSetting<
                            Oip::WithRawCallbackMethod_LogSettings<Base>>>>>>>>;

class OipService final : public Answered<Refused<Oip::Service>> {
 public:
  explicit OipService(Shared& shared) : shared_(shared) {}

  ServerUnaryReactor* ModelInfer(CallbackServerContext* server, const ByteBuffer* in,
                                 ByteBuffer* out) override {
    using Call = UnaryCall<wire::ModelInferRequest, wire::ModelInferResponse>;
    return Call::start(
        shared_, server, in, out, {"/inference.GRPCInferenceService/ModelInfer"}, [](Call& call) {
          infer(call.caller(), call.request(), call.messages(), call.response(), call.context(),
                [&call](const Result<void>& result) { call.reply(result); });
        });
  }

  ::grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* ModelStreamInfer(
      CallbackServerContext* server) override {
    using Call = StreamCall<wire::ModelInferRequest, wire::ModelStreamInferResponse>;
    return new Call(shared_, *server, {"/inference.GRPCInferenceService/ModelStreamInfer"},
                    {.handle =
                         [](const Caller& caller, Call::Item& item, Call::Done done) {
                           infer(caller, item.request, item.shared_from_this(),
                                 *item.response.mutable_infer_response(), item.context,
                                 std::move(done));
                         },
                     .tell =
                         [](const Error& error, Call::Item& item) {
                           item.response.set_error_message(error.message);
                           // Clients tell by the id which of their requests went wrong.
                           item.response.mutable_infer_response()->set_id(item.request.id());
                         }});
  }

  ServerUnaryReactor* ServerLive(CallbackServerContext* server, const ByteBuffer* in,
                                 ByteBuffer* out) override {
    return answer<wire::ServerLiveRequest, wire::ServerLiveResponse>(
        server, in, out, {"/inference.GRPCInferenceService/ServerLive", Access::kOpen},
        [](const auto& /*request*/, auto& response) {
          response.set_live(true);
          return Result<void>();
        });
  }

  ServerUnaryReactor* ServerReady(CallbackServerContext* server, const ByteBuffer* in,
                                  ByteBuffer* out) override {
    return answer<wire::ServerReadyRequest, wire::ServerReadyResponse>(
        server, in, out, {"/inference.GRPCInferenceService/ServerReady", Access::kOpen},
        [this](const auto& /*request*/, auto& response) {
          response.set_ready(!shared_.closed && catalog().ready());
          return Result<void>();
        });
  }

  ServerUnaryReactor* ModelReady(CallbackServerContext* server, const ByteBuffer* in,
                                 ByteBuffer* out) override {
    return answer<wire::ModelReadyRequest, wire::ModelReadyResponse>(
        server, in, out, {"/inference.GRPCInferenceService/ModelReady", Access::kOpen},
        [this](const auto& request, auto& response) -> Result<void> {
          const auto ref = model_ref(request.name(), request.version());
          if (!ref) {
            return fail(ref.error());
          }
          response.set_ready(!shared_.closed && catalog().find(*ref).has_value());
          return {};
        });
  }

  ServerUnaryReactor* ServerMetadata(CallbackServerContext* server, const ByteBuffer* in,
                                     ByteBuffer* out) override {
    return answer<wire::ServerMetadataRequest, wire::ServerMetadataResponse>(
        server, in, out, {"/inference.GRPCInferenceService/ServerMetadata"},
        [this](const auto& /*request*/, auto& response) {
          fill_server(shared_.options, response);
          return Result<void>();
        });
  }

  ServerUnaryReactor* ModelMetadata(CallbackServerContext* server, const ByteBuffer* in,
                                    ByteBuffer* out) override {
    return answer<wire::ModelMetadataRequest, wire::ModelMetadataResponse>(
        server, in, out, {"/inference.GRPCInferenceService/ModelMetadata"},
        [this](const auto& request, auto& response) -> Result<void> {
          const auto ref = model_ref(request.name(), request.version());
          return ref ? fill_metadata(catalog(), *ref, response) : fail(ref.error());
        });
  }

  ServerUnaryReactor* ModelConfig(CallbackServerContext* server, const ByteBuffer* in,
                                  ByteBuffer* out) override {
    return answer<wire::ModelConfigRequest, wire::ModelConfigResponse>(
        server, in, out, {"/inference.GRPCInferenceService/ModelConfig"},
        [this](const auto& request, auto& response) -> Result<void> {
          const auto ref = model_ref(request.name(), request.version());
          return ref ? fill_config(catalog(), *ref, *response.mutable_config()) : fail(ref.error());
        });
  }

  ServerUnaryReactor* ModelStatistics(CallbackServerContext* server, const ByteBuffer* in,
                                      ByteBuffer* out) override {
    return answer<wire::ModelStatisticsRequest, wire::ModelStatisticsResponse>(
        server, in, out, {"/inference.GRPCInferenceService/ModelStatistics"},
        [this](const auto& request, auto& response) {
          return fill_statistics(catalog(), {.name = request.name(), .version = request.version()},
                                 response);
        });
  }

  ServerUnaryReactor* RepositoryIndex(CallbackServerContext* server, const ByteBuffer* in,
                                      ByteBuffer* out) override {
    return answer<wire::RepositoryIndexRequest, wire::RepositoryIndexResponse>(
        server, in, out, {"/inference.GRPCInferenceService/RepositoryIndex"},
        [this](const auto& request, auto& response) {
          fill_index(catalog(), request.ready(), response);
          return Result<void>();
        });
  }

  ServerUnaryReactor* RepositoryModelLoad(CallbackServerContext* server, const ByteBuffer* in,
                                          ByteBuffer* out) override {
    return control<wire::RepositoryModelLoadRequest, wire::RepositoryModelLoadResponse>(
        server, in, out, {"/inference.GRPCInferenceService/RepositoryModelLoad", Access::kControl},
        inference::ControlRequest::Action::kLoad);
  }
  ServerUnaryReactor* RepositoryModelUnload(CallbackServerContext* server, const ByteBuffer* in,
                                            ByteBuffer* out) override {
    return control<wire::RepositoryModelUnloadRequest, wire::RepositoryModelUnloadResponse>(
        server, in, out,
        {"/inference.GRPCInferenceService/RepositoryModelUnload", Access::kControl},
        inference::ControlRequest::Action::kUnload);
  }

  ServerUnaryReactor* SystemSharedMemoryStatus(CallbackServerContext* server,
                                               const ByteBuffer* /*in*/,
                                               ByteBuffer* /*out*/) override {
    return refuse(server, kNoSharedMemory);
  }
  ServerUnaryReactor* SystemSharedMemoryRegister(CallbackServerContext* server,
                                                 const ByteBuffer* /*in*/,
                                                 ByteBuffer* /*out*/) override {
    return refuse(server, kNoSharedMemory);
  }
  ServerUnaryReactor* SystemSharedMemoryUnregister(CallbackServerContext* server,
                                                   const ByteBuffer* /*in*/,
                                                   ByteBuffer* /*out*/) override {
    return refuse(server, kNoSharedMemory);
  }
  ServerUnaryReactor* CudaSharedMemoryStatus(CallbackServerContext* server,
                                             const ByteBuffer* /*in*/,
                                             ByteBuffer* /*out*/) override {
    return refuse(server, kNoSharedMemory);
  }
  ServerUnaryReactor* CudaSharedMemoryRegister(CallbackServerContext* server,
                                               const ByteBuffer* /*in*/,
                                               ByteBuffer* /*out*/) override {
    return refuse(server, kNoSharedMemory);
  }
  ServerUnaryReactor* CudaSharedMemoryUnregister(CallbackServerContext* server,
                                                 const ByteBuffer* /*in*/,
                                                 ByteBuffer* /*out*/) override {
    return refuse(server, kNoSharedMemory);
  }
  ServerUnaryReactor* TraceSetting(CallbackServerContext* server, const ByteBuffer* /*in*/,
                                   ByteBuffer* /*out*/) override {
    return refuse(server, "traces are set by the server's configuration");
  }
  ServerUnaryReactor* LogSettings(CallbackServerContext* server, const ByteBuffer* /*in*/,
                                  ByteBuffer* /*out*/) override {
    return refuse(server, "logging is set by the server's configuration");
  }

 private:
  static constexpr const char* kNoSharedMemory = "shared memory is not offered; send tensors";

  [[nodiscard]] inference::Catalog& catalog() const { return shared_.sources.service.catalog(); }

  /// `fill(request, response)` takes no longer than writing it does.
  template <class Request, class Response, class Fill>
  ServerUnaryReactor* answer(CallbackServerContext* server, const ByteBuffer* in, ByteBuffer* out,
                             const Method& method, const Fill& fill) {
    using Call = UnaryCall<Request, Response>;
    return Call::start(shared_, server, in, out, method,
                       [&fill](Call& call) { call.reply(fill(call.request(), call.response())); });
  }

  /// This port is everybody's, so control needs tokens here.
  template <class Request, class Response>
  ServerUnaryReactor* control(CallbackServerContext* server, const ByteBuffer* in, ByteBuffer* out,
                              const Method& method, inference::ControlRequest::Action action) {
    using Call = UnaryCall<Request, Response>;
    return Call::start(shared_, server, in, out, method, [this, action](Call& call) {
      const access::Guard* const guard = shared_.sources.guard;
      inference::Control* const control = shared_.sources.control;
      if (!shared_.options.repository_control || control == nullptr || guard == nullptr ||
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

  static ServerUnaryReactor* refuse(CallbackServerContext* server, const char* why) {
    ServerUnaryReactor* reactor = server->DefaultReactor();
    reactor->Finish({::grpc::StatusCode::UNIMPLEMENTED, why});
    return reactor;
  }

  Shared& shared_;
};

}  // namespace

std::unique_ptr<::grpc::Service> make_oip_service(Shared& shared) {
  return std::make_unique<OipService>(shared);
}

}  // namespace podsense::grpc
