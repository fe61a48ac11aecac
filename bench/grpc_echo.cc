// The floor for gRPC: a bare grpc++ callback server that answers ModelInfer with a message of the
// size that a random forest of 20 features has, and does nothing else. Prints its port, serves
// until it is killed.
//
//   grpc_echo [PORT]        0, the default, picks a free one; loopback only

#include <grpcpp/grpcpp.h>
#include <inference/grpc_service.grpc.pb.h>

#include <cstdio>
#include <string>

namespace {

class Echo final : public inference::GRPCInferenceService::CallbackService {
 public:
  /// Of the forest: clients make their tensors by it.
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context,
                                          const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override {
    response->set_name(request->name());
    auto& input = *response->add_inputs();
    input.set_name("features");
    input.set_datatype("FP32");
    input.add_shape(-1);
    input.add_shape(20);
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* response) override {
    response->set_model_name(request->model_name());
    response->set_model_version("1");
    response->set_id(request->id());
    add_output("label", "INT64", {1}, *response);
    add_output("probabilities", "FP32", {1, 2}, *response);
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  static void add_output(const char* name, const char* type,
                         std::initializer_list<std::int64_t> shape,
                         inference::ModelInferResponse& response) {
    auto& output = *response.add_outputs();
    output.set_name(name);
    output.set_datatype(type);
    output.mutable_shape()->Add(shape.begin(), shape.end());
    response.add_raw_output_contents(std::string(8, '\0'));
  }
};

}  // namespace

int main(int argc, char** argv) {
  Echo echo;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:" + std::string(argc > 1 ? argv[1] : "0"),
                           grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&echo);
  const auto server = builder.BuildAndStart();
  if (!server || port == 0) {
    std::fprintf(stderr, "grpc_echo: cannot listen\n");
    return 1;
  }
  std::printf("%d\n", port);
  std::fflush(stdout);
  server->Wait();
  return 0;
}
