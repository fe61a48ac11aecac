#pragma once

/// A server with one tiny real model, `tabular`, and one I/O thread.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "base/source_dir_testing.h"
#include "base/temp_folder_testing.h"
#include "http/api.h"
#include "inference/backends_testing.h"
#include "inference/service.h"
#include "transport/server.h"

namespace podsense::http {

class TinyServerTest : public testing::Test {
 protected:
  void start(std::string_view manifest = "") {
    namespace fs = std::filesystem;
    fs::create_directories(root_ / "tabular/1");
    fs::copy_file(source_dir() / "src/model/testdata/tiny/tabular.onnx",
                  root_ / "tabular/1/model.onnx", fs::copy_options::overwrite_existing);
    if (!manifest.empty()) {
      std::ofstream(root_ / "tabular/model.yaml") << manifest;
    }
    ASSERT_TRUE(catalog_.reload());
    add_inference_routes(router_, service_, {});
    server_ = transport::Server::create(
                  {.hosts = {"127.0.0.1"}, .threads = 1, .access_log = AccessLog::kOff}, router_,
                  registry_, clock_)
                  .value();
    server_->start();
  }
  void TearDown() override {
    if (server_) {
      server_->announce_close();
      server_->stop_accepting();
      server_->wait_idle(std::chrono::seconds(5));
      server_.reset();
    }
    scheduler_.stop();
  }

  const TempFolder folder_;
  const std::filesystem::path& root_ = folder_.path();
  SteadyClock clock_;
  metrics::Registry registry_;
  std::unique_ptr<const model::Backends> backends_ = inference::test_backends();
  batching::Scheduler scheduler_{{.executors = 1}, clock_};
  inference::Catalog catalog_{
      {.repository = {.root = root_}}, *backends_, scheduler_, registry_, clock_};
  inference::Service service_{{}, catalog_, nullptr, registry_, clock_};
  transport::Router router_;
  std::unique_ptr<transport::Server> server_;
};

}  // namespace podsense::http
