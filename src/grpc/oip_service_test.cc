#include <inference/grpc_service.grpc.pb.h>

#include <cstring>

#include "grpc/grpc_testing.h"

namespace podsense::grpc {
namespace {

namespace wire = ::inference;
using ::grpc::ClientContext;
using ::grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

class OipServiceTest : public GrpcTest {
 protected:
  void connect(GrpcOptions options = {}) {
    open(std::move(options));
    stub_ = wire::GRPCInferenceService::NewStub(channel_);
  }
  ::grpc::Status infer(const wire::ModelInferRequest& request,
                       wire::ModelInferResponse& response) const {
    ClientContext context;
    limit(context);
    return stub_->ModelInfer(&context, request, &response);
  }

  std::unique_ptr<wire::GRPCInferenceService::Stub> stub_;
};

wire::ModelInferRequest::InferInputTensor& add(wire::ModelInferRequest& request,
                                               const std::string& name, const std::string& type,
                                               std::initializer_list<std::int64_t> shape) {
  auto& input = *request.add_inputs();
  input.set_name(name);
  input.set_datatype(type);
  input.mutable_shape()->Add(shape.begin(), shape.end());
  return input;
}

template <class T>
std::string packed(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(std::data(values)), values.size() * sizeof(T)};
}

template <class T>
std::vector<T> unpacked(const std::string& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

wire::ModelInferRequest sum_request() {
  wire::ModelInferRequest request;
  request.set_model_name("sum");
  add(request, "a", "FP32", {1, 3});
  add(request, "b", "FP32", {1, 3});
  return request;
}

TEST_F(OipServiceTest, AnswersTheSameForRawAndTypedContents) {
  connect();
  auto raw = sum_request();
  raw.set_id("seven");
  raw.add_raw_input_contents(packed({1.0F, 2.0F, 3.0F}));
  raw.add_raw_input_contents(packed({10.0F, 20.0F, 30.0F}));
  auto typed = sum_request();
  for (const float x : {1.0F, 2.0F, 3.0F}) {
    typed.mutable_inputs(0)->mutable_contents()->add_fp32_contents(x);
    typed.mutable_inputs(1)->mutable_contents()->add_fp32_contents(10 * x);
  }
  for (const auto& request : {raw, typed}) {
    wire::ModelInferResponse response;
    const auto status = infer(request, response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.model_name(), "sum");
    EXPECT_EQ(response.model_version(), "1");
    EXPECT_EQ(response.id(), request.id());
    ASSERT_EQ(response.outputs_size(), 2);
    EXPECT_EQ(response.outputs(0).name(), "sum");
    EXPECT_EQ(response.outputs(0).datatype(), "FP32");
    EXPECT_THAT(response.outputs(0).shape(), ElementsAre(1, 3));
    EXPECT_THAT(unpacked<float>(response.raw_output_contents(0)), ElementsAre(11, 22, 33));
    EXPECT_THAT(unpacked<float>(response.raw_output_contents(1)), ElementsAre(10, 40, 90));
  }
}

TEST_F(OipServiceTest, AnswersTheOutputsThatAreAskedForInTheirOrder) {
  connect();
  auto request = sum_request();
  request.add_raw_input_contents(packed({1.0F, 2.0F, 3.0F}));
  request.add_raw_input_contents(packed({1.0F, 2.0F, 3.0F}));
  request.add_outputs()->set_name("product");
  wire::ModelInferResponse response;
  ASSERT_TRUE(infer(request, response).ok());
  ASSERT_EQ(response.outputs_size(), 1);
  EXPECT_THAT(unpacked<float>(response.raw_output_contents(0)), ElementsAre(1, 4, 9));
  auto& output = *request.mutable_outputs(0);
  (*output.mutable_parameters())["classification"].set_int64_param(2);
  response.Clear();
  ASSERT_TRUE(infer(request, response).ok());
  EXPECT_EQ(response.outputs(0).datatype(), "BYTES");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(1, 2));
  EXPECT_THAT(response.raw_output_contents(0), HasSubstr("9.000000:2"));
}

TEST_F(OipServiceTest, TakesTextsBoolsNarrowAndWideNumbers) {
  connect();
  wire::ModelInferResponse response;
  wire::ModelInferRequest texts;
  texts.set_model_name("texts");
  auto& x = add(texts, "x", "BYTES", {2});
  x.mutable_contents()->add_bytes_contents("one");
  x.mutable_contents()->add_bytes_contents("");
  auto status = infer(texts, response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.raw_output_contents(0), std::string("\3\0\0\0one\0\0\0\0", 11));

  wire::ModelInferRequest bools;
  bools.set_model_name("bools");
  add(bools, "x", "BOOL", {3});
  bools.add_raw_input_contents(std::string("\0\1\0", 3));
  response.Clear();
  ASSERT_TRUE(infer(bools, response).ok());
  EXPECT_EQ(response.raw_output_contents(0), std::string("\1\0\1", 3));

  wire::ModelInferRequest longs;
  longs.set_model_name("longs");
  auto& input = add(longs, "x", "INT64", {1, 2});
  input.mutable_contents()->add_int64_contents(std::numeric_limits<std::int64_t>::min() / 2);
  input.mutable_contents()->add_int64_contents(7);
  response.Clear();
  ASSERT_TRUE(infer(longs, response).ok());
  EXPECT_THAT(unpacked<std::int64_t>(response.raw_output_contents(0)),
              ElementsAre(std::numeric_limits<std::int64_t>::min(), 14));

  wire::ModelInferRequest bytes;  // UINT8 comes in fields of 32 bits
  bytes.set_model_name("bytes");
  auto& image = add(bytes, "image", "UINT8", {1, 8, 8, 3});
  for (unsigned i = 0; i < 192; ++i) {
    image.mutable_contents()->add_uint_contents(i);
  }
  wire::ModelInferResponse by_type;
  ASSERT_TRUE(infer(bytes, by_type).ok());
  std::string raw;
  for (unsigned i = 0; i < 192; ++i) {
    raw.push_back(static_cast<char>(i));
  }
  bytes.mutable_inputs(0)->clear_contents();
  bytes.add_raw_input_contents(raw);
  wire::ModelInferResponse by_bytes;
  ASSERT_TRUE(infer(bytes, by_bytes).ok());
  EXPECT_EQ(by_type.raw_output_contents(0), by_bytes.raw_output_contents(0));
}

TEST_F(OipServiceTest, AStreamTellsErrorsInMessagesAndGoesOn) {
  connect();
  ClientContext context;
  limit(context);
  auto stream = stub_->ModelStreamInfer(&context);
  for (int i = 0; i < 30; ++i) {
    auto request = sum_request();
    request.set_id(std::to_string(i));
    request.add_raw_input_contents(packed({1.0F * i, 2.0F, 3.0F}));
    if (i % 4 != 3) {
      request.add_raw_input_contents(packed({1.0F, 2.0F, 3.0F}));
    }
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  for (int i = 0; i < 30; ++i) {
    wire::ModelStreamInferResponse answer;
    ASSERT_TRUE(stream->Read(&answer));
    EXPECT_EQ(answer.infer_response().id(), std::to_string(i));
    EXPECT_TRUE(answer.infer_response().parameters().at("triton_final_response").bool_param());
    EXPECT_EQ(answer.error_message(),
              i % 4 == 3 ? "raw_input_contents has 1 entries for 2 inputs; it must have one for "
                           "each, or none"
                         : "");
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(OipServiceTest, DescribesServerAndModels) {
  connect();
  const auto call = [](auto method, auto& stub, const auto& request, auto& response) {
    ClientContext context;
    limit(context);
    return (stub.*method)(&context, request, &response);
  };
  using Stub = wire::GRPCInferenceService::Stub;
  wire::ServerMetadataResponse server;
  ASSERT_TRUE(call(&Stub::ServerMetadata, *stub_, wire::ServerMetadataRequest(), server).ok());
  EXPECT_EQ(server.name(), "podsense");
  EXPECT_EQ(server.version(), "1.2.3");
  EXPECT_THAT(server.extensions(), testing::Contains("statistics"));

  wire::ModelMetadataRequest named;
  named.set_name("tabular");
  wire::ModelMetadataResponse metadata;
  ASSERT_TRUE(call(&Stub::ModelMetadata, *stub_, named, metadata).ok());
  EXPECT_THAT(metadata.versions(), ElementsAre("1"));
  EXPECT_EQ(metadata.platform(), "onnxruntime_onnx");
  EXPECT_EQ(metadata.inputs(0).name(), "features");
  EXPECT_THAT(metadata.inputs(0).shape(), ElementsAre(-1, 20));
  EXPECT_EQ(metadata.outputs(0).datatype(), "INT64");

  wire::ModelConfigRequest config_request;
  config_request.set_name("sum");
  wire::ModelConfigResponse config;
  ASSERT_TRUE(call(&Stub::ModelConfig, *stub_, config_request, config).ok());
  EXPECT_EQ(config.config().parameters().at("profile").string_value(), "measured");
  EXPECT_EQ(config.config().backend(), "onnxruntime");
  EXPECT_EQ(config.config().version_policy().latest().num_versions(), 1U);
  EXPECT_GT(config.config().max_batch_size(), 0);
  EXPECT_EQ(config.config().input(0).data_type(), wire::TYPE_FP32);
  EXPECT_THAT(config.config().input(0).dims(), ElementsAre(3));

  wire::RepositoryIndexResponse index;
  ASSERT_TRUE(call(&Stub::RepositoryIndex, *stub_, wire::RepositoryIndexRequest(), index).ok());
  EXPECT_EQ(index.models_size(), 8);
  EXPECT_EQ(index.models(0).state(), "READY");

  wire::RepositoryModelLoadRequest load;
  wire::RepositoryModelLoadResponse loaded;
  EXPECT_EQ(call(&Stub::RepositoryModelLoad, *stub_, load, loaded).error_code(),
            StatusCode::PERMISSION_DENIED);
  wire::SystemSharedMemoryStatusResponse memory;
  const auto refused = call(&Stub::SystemSharedMemoryStatus, *stub_,
                            wire::SystemSharedMemoryStatusRequest(), memory);
  EXPECT_EQ(refused.error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(refused.error_message(), "shared memory is not offered; send tensors");
}

TEST_F(OipServiceTest, CountsInStatistics) {
  connect();
  auto request = sum_request();
  request.add_raw_input_contents(packed({1.0F, 2.0F, 3.0F}));
  request.add_raw_input_contents(packed({1.0F, 2.0F, 3.0F}));
  wire::ModelInferResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(infer(request, response).ok());
  }
  ClientContext context;
  wire::ModelStatisticsRequest named;
  named.set_name("sum");
  wire::ModelStatisticsResponse statistics;
  ASSERT_TRUE(stub_->ModelStatistics(&context, named, &statistics).ok());
  ASSERT_EQ(statistics.model_stats_size(), 1);
  const auto& one = statistics.model_stats(0);
  EXPECT_EQ(one.inference_count(), 3U);
  EXPECT_EQ(one.inference_stats().success().count(), 3U);
  EXPECT_GT(one.inference_stats().success().ns(), 0U);
  ASSERT_EQ(one.batch_stats_size(), 1);
  const wire::InferBatchStatistics& runs = one.batch_stats(0);
  EXPECT_EQ(runs.batch_size(), 1U);
  EXPECT_EQ(runs.compute_infer().count(), one.execution_count());
  EXPECT_GT(runs.compute_infer().ns(), 0U);
  EXPECT_EQ(runs.compute_input().count(), one.execution_count());
  EXPECT_EQ(runs.compute_output().count(), one.execution_count());
  EXPECT_GT(one.last_inference(), 1'600'000'000'000U);
  ClientContext second;
  statistics.Clear();
  ASSERT_TRUE(stub_->ModelStatistics(&second, {}, &statistics).ok());
  EXPECT_EQ(statistics.model_stats_size(), 8);
}

TEST_F(OipServiceTest, SaysWhetherModelsAreReady) {
  connect();
  const auto ready = [this](const std::string& name, const std::string& version) {
    ClientContext context;
    wire::ModelReadyRequest request;
    request.set_name(name);
    request.set_version(version);
    wire::ModelReadyResponse response;
    EXPECT_TRUE(stub_->ModelReady(&context, request, &response).ok());
    return response.ready();
  };
  EXPECT_TRUE(ready("sum", ""));
  EXPECT_TRUE(ready("sum", "1"));
  EXPECT_FALSE(ready("sum", "2"));
  EXPECT_FALSE(ready("none", ""));
  ClientContext context;
  wire::ServerReadyResponse server;
  ASSERT_TRUE(stub_->ServerReady(&context, {}, &server).ok());
  EXPECT_TRUE(server.ready());
}

TEST_F(OipServiceTest, LoadsAndUnloadsWithAToken) {
  protect("", "ops:0123456789abcdef");
  connect({.repository_control = true});
  const auto unload = [this](const std::string& token) {
    ClientContext context;
    limit(context);
    if (!token.empty()) {
      context.AddMetadata("authorization", "Bearer " + token);
    }
    wire::RepositoryModelUnloadRequest request;
    request.set_model_name("sum");
    wire::RepositoryModelUnloadResponse response;
    return stub_->RepositoryModelUnload(&context, request, &response).error_code();
  };
  const auto ready = [this] {
    ClientContext context;
    wire::ModelReadyRequest request;
    request.set_name("sum");
    wire::ModelReadyResponse response;
    EXPECT_TRUE(stub_->ModelReady(&context, request, &response).ok());
    return response.ready();
  };
  EXPECT_EQ(unload(""), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(unload("0123456789abcdeX"), StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(ready());
  EXPECT_EQ(unload("0123456789abcdef"), StatusCode::OK);
  EXPECT_FALSE(ready());
  ClientContext context;
  limit(context);
  context.AddMetadata("authorization", "Bearer 0123456789abcdef");
  wire::RepositoryModelLoadRequest request;
  request.set_model_name("sum");
  wire::RepositoryModelLoadResponse response;
  EXPECT_TRUE(stub_->RepositoryModelLoad(&context, request, &response).ok());
  EXPECT_TRUE(ready());
}

TEST_F(OipServiceTest, AsksForAKeyWhereTheServerHasSome) {
  protect("team:0123456789abcdef", "");
  connect();
  auto request = sum_request();
  request.add_raw_input_contents(packed({1.0F, 2.0F, 3.0F}));
  request.add_raw_input_contents(packed({1.0F, 2.0F, 3.0F}));
  wire::ModelInferResponse response;
  EXPECT_EQ(infer(request, response).error_code(), StatusCode::UNAUTHENTICATED);
  ClientContext context;
  context.AddMetadata("x-api-key", "0123456789abcdef");
  EXPECT_TRUE(stub_->ModelInfer(&context, request, &response).ok());
  ClientContext probe;
  wire::ServerLiveResponse live;
  EXPECT_TRUE(stub_->ServerLive(&probe, {}, &live).ok());
  ClientContext streaming;
  limit(streaming);
  auto stream = stub_->ModelStreamInfer(&streaming);
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(OipServiceTest, DropsWorkWhoseDeadlineIsOver) {
  connect();
  for (int i = 0; i < 2; ++i) {  // both executors are busy
    service_->simulate({.cpu = std::chrono::milliseconds(500)},
                       {.received = clock_.now(),
                        .deadline = Deadline::after(clock_.now(), std::chrono::minutes(2))},
                       [](const auto&) {});
  }
  wire::ModelInferRequest request;
  request.set_model_name("picture");
  add(request, "image", "FP32", {4096, 3, 8, 8});
  request.add_raw_input_contents(std::string(4096U * 192U * 4U, '\0'));
  (*request.mutable_parameters())["timeout"].set_int64_param(1);  // µs
  wire::ModelInferResponse response;
  const auto status = infer(request, response);
  EXPECT_THAT((std::array{StatusCode::DEADLINE_EXCEEDED, StatusCode::UNAVAILABLE}),
              testing::Contains(status.error_code()));
}

}  // namespace
}  // namespace podsense::grpc
