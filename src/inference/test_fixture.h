#pragma once

/// The fixture of this module's tests.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <optional>

#include "base/source_dir_testing.h"
#include "base/temp_folder_testing.h"
#include "inference/backends_testing.h"
#include "inference/catalog.h"
#include "inference/service.h"

namespace podsense::inference {

/// A repository of tiny real models in a temporary folder, and everything needed to serve it.
class InferenceTest : public testing::Test {
 protected:
  void SetUp() override {
    put_simulated("simulated", 2);
    put_model("tabular", 1, "tabular.onnx");
  }
  /// As in the server: an executor that still holds an answered task must not hold the last
  /// reference to its model, because the queue's destructor would deadlock on that executor.
  void TearDown() override {
    if (scheduler_) {
      scheduler_->stop();
    }
  }

  void write(const std::filesystem::path& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void put_simulated(const std::string& name, int cpu_ms) const {
    write(name + "/model.yaml",
          "task: simulated\nsimulated: {cpu_ms: " + std::to_string(cpu_ms) + "}\n");
    write(name + "/1/.keep", "");
  }
  void put_model(const std::string& name, int version, const std::string& file) const {
    const std::filesystem::path folder = root_ / name / std::to_string(version);
    std::filesystem::create_directories(folder);
    std::filesystem::copy_file(source_dir() / "src/model/testdata/tiny" / file,
                               folder / "model.onnx",
                               std::filesystem::copy_options::overwrite_existing);
  }

  void open() {
    backends_ = test_backends();
    scheduler_.emplace(batching::Scheduler::Options{.executors = 2}, clock_);
    catalog_.emplace(CatalogOptions{.repository = {.root = root_}, .serve = serve_}, *backends_,
                     *scheduler_, registry_, clock_);
    service_.emplace(ServiceOptions{}, *catalog_, nullptr, registry_, clock_);
  }
  /// Also waits until it is decided which models' requests may share runs.
  ReloadReport reload() {
    ReloadReport report = catalog_->reload().value();
    catalog_->wait_for_checks();
    return report;
  }

  [[nodiscard]] Context context() const {
    return {.received = clock_.now(),
            .deadline = Deadline::after(clock_.now(), std::chrono::seconds(20))};
  }
  Result<protocol::RowsAnswer> predict(std::size_t columns, std::string version = "",
                                       std::string name = "tabular") {
    std::promise<Result<protocol::RowsAnswer>> promise;
    auto answer = promise.get_future();
    service_->predict({.model = {.name = std::move(name), .version = std::move(version)},
                       .values = std::vector<float>(columns, 0.5F),
                       .rows = 1,
                       .columns = columns},
                      context(), [&](auto result) { promise.set_value(std::move(result)); });
    return answer.get();
  }
  Result<protocol::SimulateAnswer> simulate(std::optional<Duration> cpu) {
    auto promise = std::make_shared<std::promise<Result<protocol::SimulateAnswer>>>();
    auto answer = promise->get_future();
    service_->simulate({.cpu = cpu}, context(),
                       [promise](auto result) { promise->set_value(std::move(result)); });
    return answer.get();
  }

  const TempFolder folder_;
  const std::filesystem::path root_ = folder_ / "models";
  SteadyClock clock_;
  metrics::Registry registry_;
  ServeOptions serve_;
  std::unique_ptr<const model::Backends> backends_;
  std::optional<batching::Scheduler> scheduler_;
  std::optional<Catalog> catalog_;
  std::optional<Service> service_;
};

}  // namespace podsense::inference
