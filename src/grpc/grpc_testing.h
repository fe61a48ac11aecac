#pragma once

/// Shared by this module's tests: tiny real models, a real server and a real channel.

#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/source_dir_testing.h"
#include "base/temp_folder_testing.h"
#include "grpc/services.h"
#include "inference/backends_testing.h"
#include "inference/catalog.h"
#include "inference/service.h"
#include "transport/server.h"

namespace podsense::grpc {

class GrpcTest : public testing::Test {
 protected:
  void SetUp() override {
    put("tabular", "tabular.onnx");
    put("sum", "sum_two_inputs.onnx");
    put("texts", "strings.onnx");
    put("bools", "not_bool.onnx");
    put("longs", "int64_double.onnx");
    put("picture", "conv_softmax.onnx");
    put("bytes", "image_u8_nhwc.onnx");
    std::ofstream(root_ / "picture/model.yaml") << "task: image-classification\n";
    std::filesystem::create_directories(root_ / "simulated/1");
    std::ofstream(root_ / "simulated/1/.keep") << "";
    std::ofstream(root_ / "simulated/model.yaml") << "task: simulated\nsimulated: {cpu_ms: 1}\n";
  }
  void TearDown() override {
    channel_.reset();
    if (server_) {
      server_->stop_accepting();
      server_->wait_idle(std::chrono::seconds(5));
    }
    server_.reset();
    services_.reset();
    control_.reset();
    if (scheduler_) {
      scheduler_->stop();
    }
  }

  void put(const std::string& name, const std::string& file) const {
    std::filesystem::create_directories(root_ / name / "1");
    std::filesystem::copy_file(source_dir() / "src/model/testdata/tiny" / file,
                               root_ / name / "1/model.onnx",
                               std::filesystem::copy_options::overwrite_existing);
  }

  /// Call before `open`: the server then requires these keys; empty: none.
  void protect(const std::string& api_keys, const std::string& control_tokens) {
    const auto file = [this](const std::string& name, const std::string& text) {
      return text.empty() ? std::filesystem::path() : folder_.write(name, text + "\n");
    };
    auto guard = access::Guard::create(
        {.api_keys = file("keys", api_keys), .control_tokens = file("tokens", control_tokens)});
    ASSERT_TRUE(guard) << guard.error().message;
    guard_ = std::move(*guard);
  }

  /// Starts a server on a free port and opens a channel to it; loads the models unless `load` is
  /// false.
  void open(GrpcOptions options = {}, bool load = true,
            transport::ServerOptions server_options = {}) {
    backends_ = inference::test_backends();
    scheduler_.emplace(batching::Scheduler::Options{.executors = 2}, clock_);
    catalog_.emplace(inference::CatalogOptions{.repository = {.root = root_}}, *backends_,
                     *scheduler_, registry_, clock_);
    control_.emplace(inference::ControlOptions{}, *catalog_, clock_);
    service_.emplace(inference::ServiceOptions{}, *catalog_, nullptr, registry_, clock_);
    if (load) {
      ASSERT_TRUE(catalog_->reload());
      ASSERT_TRUE(control_->start());
    }
    options.access_log = AccessLog::kOff;
    options.version = "1.2.3";
    services_.emplace(std::move(options), Sources{.service = *service_,
                                                  .clock = clock_,
                                                  .draining = [this] { return draining_; },
                                                  .closed = [this] { return closed_.load(); },
                                                  .guard = guard_.get(),
                                                  .control = &*control_});
    services_->add_to(router_);
    server_options.hosts = {"127.0.0.1"};
    server_options.access_log = AccessLog::kOff;
    auto created = transport::Server::create(std::move(server_options), router_, registry_, clock_);
    ASSERT_TRUE(created) << created.error().message;
    server_ = std::move(*created);
    server_->start();
    channel_ = new_channel();
  }

  [[nodiscard]] std::shared_ptr<::grpc::Channel> new_channel() const {
    ::grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);  // a connection of its own
    arguments.SetMaxReceiveMessageSize(-1);
    return ::grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                       ::grpc::InsecureChannelCredentials(), arguments);
  }

  static void limit(::grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  }

  /// Waits until `holds` returns true; false after a minute.
  static bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 6000; ++i) {
      if (holds()) {
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  const TempFolder folder_;
  const std::filesystem::path root_ = folder_ / "models";
  SteadyClock clock_;
  metrics::Registry registry_;
  std::unique_ptr<const model::Backends> backends_;
  std::optional<batching::Scheduler> scheduler_;
  std::optional<inference::Catalog> catalog_;
  std::optional<inference::Control> control_;
  std::optional<inference::Service> service_;
  bool draining_ = false;
  std::unique_ptr<access::Guard> guard_;
  std::atomic<bool> closed_{false};
  std::optional<Services> services_;
  transport::Router router_;
  std::unique_ptr<transport::Server> server_;
  std::shared_ptr<::grpc::Channel> channel_;
};

}  // namespace podsense::grpc
