#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <podsense/v1/inference.grpc.pb.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <future>
#include <limits>
#include <thread>

#include "base/source_dir_testing.h"
#include "grpc/grpc_testing.h"

namespace podsense::grpc {
namespace {

namespace health = ::grpc::health::v1;
using ::grpc::ClientContext;
using ::grpc::StatusCode;
using testing::HasSubstr;

class PodsenseServiceTest : public GrpcTest {
 protected:
  void connect(GrpcOptions options = {}, bool load = true) {
    open(std::move(options), load);
    stub_ = v1::InferenceService::NewStub(channel_);
    health_ = health::Health::NewStub(channel_);
  }
  ::grpc::Status infer(const v1::InferRequest& request, v1::InferResponse& response) {
    ClientContext context;
    limit(context);
    return stub_->Infer(&context, request, &response);
  }
  ::grpc::Status refused(const v1::InferRequest& request) {
    v1::InferResponse response;
    return infer(request, response);
  }
  health::HealthCheckResponse::ServingStatus health(const std::string& service) {
    ClientContext context;
    limit(context);
    health::HealthCheckRequest request;
    request.set_service(service);
    health::HealthCheckResponse response;
    const auto status = health_->Check(&context, request, &response);
    return status.ok() ? response.status() : health::HealthCheckResponse::SERVICE_UNKNOWN;
  }
  static v1::InferRequest row(int columns) {
    v1::InferRequest request;
    for (int i = 0; i < columns; ++i) {
      request.add_features(0.5F);
    }
    return request;
  }
  static std::string picture() {
    std::ifstream file(source_dir() / "src/image/testdata/jpeg_rgb.jpg", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::unique_ptr<v1::InferenceService::Stub> stub_;
  std::unique_ptr<health::Health::Stub> health_;
};

TEST_F(PodsenseServiceTest, ClassifiesARowAndAPicture) {
  connect();
  v1::InferResponse response;
  ClientContext context;
  limit(context);
  context.AddMetadata("x-request-id", "mine-1");
  ASSERT_TRUE(stub_->Infer(&context, row(20), &response).ok());
  EXPECT_EQ(response.model(), "tabular");
  EXPECT_EQ(response.version(), "1");
  EXPECT_EQ(response.request_id(), "mine-1");
  EXPECT_TRUE(response.has_prediction() && response.has_label());
  ASSERT_EQ(response.probabilities_size(), 2);
  EXPECT_NEAR(response.probabilities(0) + response.probabilities(1), 1.0, 1e-5);
  EXPECT_GE(response.timing_ms().total(), response.timing_ms().compute());
  EXPECT_EQ(context.GetServerInitialMetadata().find("x-request-id")->second, "mine-1");

  v1::InferRequest request;
  request.set_image(picture());
  request.set_top_k(2);
  request.set_model("picture");
  response.Clear();
  const auto status = infer(request, response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.request_id().size(), 32U);
  ASSERT_EQ(response.predictions_size(), 2);
  EXPECT_GE(response.predictions(0).score(), response.predictions(1).score());
  EXPECT_TRUE(response.predictions(0).has_class_() && response.timing_ms().has_preprocess());
  EXPECT_FALSE(response.has_prediction());
}

TEST_F(PodsenseServiceTest, GivesTheValuesOfARegression) {
  put("mean", "regressor.onnx");
  std::ofstream(root_ / "mean/model.yaml") << "task: tabular-regression\n";
  connect();
  v1::InferRequest request = row(20);
  request.set_model("mean");
  v1::InferResponse response;
  const auto status = infer(request, response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(response.value(), testing::ElementsAre(0.5));
  EXPECT_FALSE(response.has_prediction());
  EXPECT_EQ(response.probabilities_size(), 0);
}

TEST_F(PodsenseServiceTest, GivesTheBoxesOfADetector) {
  put("detect", "detect_yolov8.onnx");
  std::ofstream(root_ / "detect/model.yaml")
      << "task: object-detection\nlabels: [cat, dog]\npreprocess: {scale: 1}\n";
  connect();
  v1::InferRequest request;
  request.set_image(picture());
  request.set_model("detect");
  v1::InferResponse response;
  const auto status = infer(request, response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.predictions_size(), 3);
  const v1::ScoredClass& first = response.predictions(0);
  EXPECT_EQ(first.label(), "dog");
  EXPECT_FLOAT_EQ(first.score(), 0.9F);
  const auto width = static_cast<float>(response.picture().width());
  const auto height = static_cast<float>(response.picture().height());
  EXPECT_GT(width, 0);
  EXPECT_NEAR(first.box().x_min(), width / 4, 0.01);
  EXPECT_NEAR(first.box().x_max(), width / 2, 0.01);
  EXPECT_NEAR(first.box().y_min(), height / 8, 0.01);
  EXPECT_NEAR(first.box().y_max(), height * 3 / 8, 0.01);
}

TEST_F(PodsenseServiceTest, RefusesBadInputWithOneClearError) {
  connect();
  struct Case {
    v1::InferRequest request;
    StatusCode code;
    std::string message;
  };
  const auto with = [](v1::InferRequest request, const auto& change) {
    change(request);
    return request;
  };
  std::vector<Case> cases{
      {{},
       StatusCode::INVALID_ARGUMENT,
       "there is no input; send exactly one of image, image_url and features"},
      {with(row(20), [](auto& r) { r.set_image("x"); }), StatusCode::INVALID_ARGUMENT,
       "there are several inputs; send exactly one of image, image_url and features"},
      {with(row(20), [](auto& r) { r.set_image_url("http://x"); }), StatusCode::INVALID_ARGUMENT,
       "there are several inputs; send exactly one of image, image_url and features"},
      {row(19), StatusCode::INVALID_ARGUMENT, "model 'tabular' takes 20 features; got 19"},
      {with(row(20), [](auto& r) { r.set_features(0, std::numeric_limits<float>::infinity()); }),
       StatusCode::INVALID_ARGUMENT,
       "features[0] is infinite; it must be a finite number, or NaN where it is missing"},
      {with(row(20), [](auto& r) { r.set_top_k(3); }), StatusCode::INVALID_ARGUMENT,
       "top_k goes with image and image_url, not with features"},
      {with(row(20), [](auto& r) { r.set_model("a\nb"); }), StatusCode::INVALID_ARGUMENT,
       "model holds a control character; it must be at most 64 printable characters"},
      {with(row(20), [](auto& r) { r.set_model(std::string(65, 'm')); }),
       StatusCode::INVALID_ARGUMENT,
       "model is 65 characters long; it must be at most 64 printable characters"},
      {with(row(20), [](auto& r) { r.set_version(std::string(65, '1')); }),
       StatusCode::INVALID_ARGUMENT,
       "version is 65 characters long; it must be at most 64 printable characters"},
      {with({},
            [](auto& r) {
              r.set_image("x");
              r.set_top_k(0);
            }),
       StatusCode::INVALID_ARGUMENT, "top_k is 0; it must be an integer from 1 to 1000"},
      {with({},
            [](auto& r) {
              r.set_image("x");
              r.set_top_k(1001);
            }),
       StatusCode::INVALID_ARGUMENT, "top_k is 1001; it must be an integer from 1 to 1000"},
      {with({}, [](auto& r) { r.set_image_url("http://127.0.0.1/x.jpg"); }),
       StatusCode::UNIMPLEMENTED, "this server does not fetch URLs; send the image itself"},
  };
  for (const Case& one : cases) {
    const auto status = refused(one.request);
    EXPECT_EQ(status.error_code(), one.code) << one.message;
    EXPECT_EQ(status.error_message(), one.message);
  }
  EXPECT_THAT(refused(with(row(20), [](auto& r) { r.set_model("none"); })).error_message(),
              HasSubstr("no model 'none'"));
}

TEST_F(PodsenseServiceTest, ErrorsCarryTheirCodeAndWhenToAskAgain) {
  connect({}, false);
  ClientContext context;
  limit(context);
  v1::InferResponse response;
  const auto status = stub_->Infer(&context, row(20), &response);
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "UNAVAILABLE");
  EXPECT_EQ(info.domain(), "podsense");
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_GT(retry.retry_delay().seconds() + retry.retry_delay().nanos(), 0);
  const auto& trailers = context.GetServerTrailingMetadata();
  EXPECT_EQ(trailers.find("x-podsense-code")->second, "UNAVAILABLE");
  EXPECT_EQ(trailers.count("retry-after"), 1U);
  EXPECT_EQ(trailers.find("x-request-id")->second.size(), 32U);
  EXPECT_TRUE(context.GetServerInitialMetadata().empty());  // one frame: proxies understand it
}

TEST_F(PodsenseServiceTest, SaysWhatIsNoMessage) {
  connect();
  ::grpc::GenericStub generic(channel_);
  ::grpc::Slice slice("\xFF\xFF\xFF", 3);
  const ::grpc::ByteBuffer bytes(&slice, 1);
  ::grpc::ByteBuffer answer;
  ClientContext context;
  limit(context);
  std::promise<::grpc::Status> done;
  generic.UnaryCall(&context, "/podsense.v1.InferenceService/Infer", {}, &bytes, &answer,
                    [&done](const ::grpc::Status& status) { done.set_value(status); });
  const auto status = done.get_future().get();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "the bytes are no podsense.v1.InferRequest message");
}

TEST_F(PodsenseServiceTest, RefusesMessagesOverTheLimit) {
  connect({.max_message_bytes = 1024});
  v1::InferRequest request;
  request.set_image(std::string(2000, 'x'));
  EXPECT_EQ(refused(request).error_code(), StatusCode::RESOURCE_EXHAUSTED);
  v1::InferResponse response;
  EXPECT_TRUE(infer(row(20), response).ok());
}

TEST_F(PodsenseServiceTest, TakesNoMoreCallsThanItMay) {
  connect({.max_in_flight = 1});
  ClientContext context;
  limit(context);
  auto stream = stub_->InferStream(&context);
  ASSERT_TRUE(stream->Write(row(20)));
  v1::InferStreamResponse answer;
  ASSERT_TRUE(stream->Read(&answer));  // now it is under way
  const auto status = refused(row(20));
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "the server has 1 calls under way and takes no more");
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(eventually([&] { return refused(row(20)).ok(); }));
}

TEST_F(PodsenseServiceTest, AStreamAnswersInOrderAndOutlivesItsErrors) {
  connect({.stream_in_flight = 3});
  ClientContext context;
  limit(context);
  auto stream = stub_->InferStream(&context);
  constexpr int kRequests = 60;
  std::thread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      v1::InferRequest request = row(i % 5 == 4 ? 19 : 20);
      if (i % 3 == 0) {  // through the queue, slower than the rows beside it
        request.clear_features();
        request.set_model("picture");
        request.set_image(picture());
      }
      ASSERT_TRUE(stream->Write(request));
    }
    stream->WritesDone();
  });
  for (int i = 0; i < kRequests; ++i) {
    v1::InferStreamResponse answer;
    ASSERT_TRUE(stream->Read(&answer)) << i;
    EXPECT_EQ(answer.index(), static_cast<unsigned>(i));
    const bool is_picture = i % 3 == 0;
    EXPECT_EQ(answer.has_error(), i % 5 == 4 && !is_picture) << i;
    if (answer.has_error()) {
      EXPECT_EQ(answer.error().code(), StatusCode::INVALID_ARGUMENT);
      EXPECT_EQ(answer.error().message(), "model 'tabular' takes 20 features; got 19");
    } else {
      EXPECT_EQ(answer.response().model(), is_picture ? "picture" : "tabular");
    }
  }
  writer.join();
  v1::InferStreamResponse none;
  EXPECT_FALSE(stream->Read(&none));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(eventually([&] { return server_->in_flight() == 0; }));
}

TEST_F(PodsenseServiceTest, AStreamIsNotReadBeyondItsBound) {
  connect({.stream_in_flight = 3});
  // Both executors are busy, so that pictures wait in their queue.
  std::atomic<int> burning{2};
  for (int i = 0; i < 2; ++i) {
    service_->simulate({.cpu = std::chrono::seconds(2)},
                       {.received = clock_.now(),
                        .deadline = Deadline::after(clock_.now(), std::chrono::minutes(2))},
                       [&burning](const auto&) { --burning; });
  }
  const auto depth = [this] {
    const std::string metrics = registry_.expose();
    const std::string name = R"(podsense_queue_depth{model="picture",version="1"} )";
    const auto at = metrics.find(name);
    return at == metrics.npos ? -1 : std::atoi(metrics.c_str() + at + name.size());
  };
  ClientContext context;
  limit(context);
  auto stream = stub_->InferStream(&context);
  v1::InferRequest request;
  request.set_model("picture");
  request.set_image(picture());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  EXPECT_TRUE(eventually([&] { return depth() == 3 || burning < 2; }));
  int most = 0;
  for (int i = 0; i < 50 && burning == 2; ++i) {
    most = std::max(most, depth());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_LE(most, 3);
  v1::InferStreamResponse answer;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(stream->Read(&answer));
    EXPECT_TRUE(answer.has_response()) << answer.error().message();
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(eventually([&] { return burning == 0; }));
}

TEST_F(PodsenseServiceTest, ListsModelsAndSaysHowItIs) {
  connect();
  ClientContext context;
  v1::ListModelsResponse models;
  ASSERT_TRUE(stub_->ListModels(&context, {}, &models).ok());
  ASSERT_EQ(models.models_size(), 8);
  const auto tabular = std::ranges::find(models.models(), "tabular", &v1::Model::name);
  ASSERT_NE(tabular, models.models().end());
  EXPECT_EQ(tabular->state(), "ready");
  EXPECT_EQ(tabular->task(), "tabular-classification");
  EXPECT_EQ(tabular->inputs(0).datatype(), "FP32");
  EXPECT_EQ(tabular->inputs(0).shape(0), -1);
  EXPECT_EQ(tabular->inputs(0).shape(1), 20);
  ClientContext second;
  v1::HealthResponse state;
  ASSERT_TRUE(stub_->Health(&second, {}, &state).ok());
  EXPECT_EQ(state.status(), "ok");
  EXPECT_TRUE(state.ready());
  EXPECT_EQ(state.version(), "1.2.3");
  draining_ = true;
  ClientContext third;
  state.Clear();
  ASSERT_TRUE(stub_->Health(&third, {}, &state).ok());
  EXPECT_EQ(state.status(), "degraded");
  EXPECT_THAT(state.problems(), testing::ElementsAre("shutting down"));
}

TEST_F(PodsenseServiceTest, HealthFollowsTheCatalog) {
  using H = health::HealthCheckResponse;
  connect({}, false);
  EXPECT_EQ(health(""), H::NOT_SERVING);
  EXPECT_EQ(health("tabular"), H::NOT_SERVING);
  EXPECT_EQ(health("liveness"), H::SERVING);
  ASSERT_TRUE(catalog_->reload());
  for (const char* name : {"", "readiness", "tabular", "tabular/1", "podsense.v1.InferenceService",
                           "inference.GRPCInferenceService"}) {
    EXPECT_EQ(health(name), H::SERVING) << name;
  }
  EXPECT_EQ(health("none"), H::SERVICE_UNKNOWN);
  EXPECT_EQ(health("tabular/2"), H::SERVICE_UNKNOWN);
}

TEST_F(PodsenseServiceTest, AWatchTellsOfChangesAndTheEnd) {
  using H = health::HealthCheckResponse;
  connect({}, false);
  ClientContext context;
  limit(context);
  health::HealthCheckRequest request;
  request.set_service("tabular");
  auto watch = health_->Watch(&context, request);
  H seen;
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), H::NOT_SERVING);
  ASSERT_TRUE(catalog_->reload());
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), H::SERVING);
  closed_ = true;
  server_->stop_accepting();
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), H::NOT_SERVING);
  EXPECT_FALSE(watch->Read(&seen));
  EXPECT_TRUE(watch->Finish().ok());
}

TEST_F(PodsenseServiceTest, ADrainEndsStreamsAndLetsCallsFinish) {
  connect();
  ClientContext context;
  limit(context);
  auto stream = stub_->InferStream(&context);
  ASSERT_TRUE(stream->Write(row(20)));
  v1::InferStreamResponse answer;
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(server_->in_flight(), 1U);
  server_->stop_accepting();
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.index(), 1U);  // of the first request that was not read
  EXPECT_EQ(answer.error().code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(answer.error().message(), "the server is shutting down; open the stream again");
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(server_->wait_idle(std::chrono::seconds(60)));
  // What is sent before the client has read the GOAWAY is still answered; then no more.
  EXPECT_TRUE(eventually([&] { return !refused(row(20)).ok(); }));
}

TEST_F(PodsenseServiceTest, ACancelledStreamEnds) {
  connect();
  ClientContext context;
  auto stream = stub_->InferStream(&context);
  ASSERT_TRUE(stream->Write(row(20)));
  v1::InferStreamResponse answer;
  ASSERT_TRUE(stream->Read(&answer));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::CANCELLED);
  EXPECT_TRUE(eventually([&] { return server_->in_flight() == 0; }));
}

TEST_F(PodsenseServiceTest, APortInUseIsAnError) {
  connect();
  const auto second = transport::Server::create({.hosts = {"127.0.0.1"}, .port = server_->port()},
                                                router_, registry_, clock_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("cannot listen on 127.0.0.1:"));
}

TEST_F(PodsenseServiceTest, CountsWhatItAnswered) {
  connect();
  v1::InferResponse response;
  ASSERT_TRUE(infer(row(20), response).ok());
  EXPECT_FALSE(refused(row(19)).ok());
  EXPECT_FALSE(refused({}).ok());
  const std::string metrics = registry_.expose();
  for (const char* labels :
       {R"(code="OK",model="tabular",protocol="grpc",version="1")",
        R"(code="INVALID_ARGUMENT",model="tabular",protocol="grpc",version="1")",
        R"(code="INVALID_ARGUMENT",model="",protocol="grpc",version="")"}) {
    const std::string line = "podsense_requests_total{" + std::string(labels) + "} 1\n";
    EXPECT_NE(metrics.find(line), metrics.npos) << line;
  }
}

}  // namespace
}  // namespace podsense::grpc
