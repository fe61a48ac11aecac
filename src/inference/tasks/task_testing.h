#pragma once

/// Helpers for the tests of tasks: open tiny models, assign their tasks, serve them.

#include <memory>
#include <string>
#include <string_view>

#include "inference/tasks/registry.h"
#include "inference/test_fixture.h"
#include "model/model_testing.h"

namespace podsense::inference {

class TaskTest : public InferenceTest {
 protected:
  void SetUp() override {}  // no models but the test's own

  /// The tiny model `file` with this manifest; null, and a test failure, if it is refused.
  static std::shared_ptr<const ModelTask> task(std::string_view file, std::string_view yaml = {}) {
    auto made = assign(file, yaml);
    EXPECT_TRUE(made) << file << ": " << made.error().message;
    return made.value_or(nullptr);
  }
  static std::string_view name(std::string_view file, std::string_view yaml = {}) {
    const auto made = task(file, yaml);
    return made == nullptr ? "refused" : made->kind().name();
  }
  static std::string refused(std::string_view file, std::string_view yaml = {}) {
    const auto made = assign(file, yaml);
    return made ? "accepted as " + std::string((*made)->kind().name()) : made.error().message;
  }

  /// Serves the tiny model `file` as `name`.
  void put(const std::string& name, const std::string& file, const std::string& yaml = {}) const {
    put_model(name, 1, file);
    write(name + "/model.yaml", yaml);
  }

  Result<protocol::ClassifyAnswer> classify(const std::string& model, std::string picture,
                                            std::optional<std::uint32_t> top_k = {},
                                            bool thumbnail = false) {
    std::promise<Result<protocol::ClassifyAnswer>> promise;
    protocol::ClassifyRequest request{.model = {.name = model}, .image = std::move(picture)};
    request.thumbnail = thumbnail;
    if (top_k) {
      request.top_k = *top_k;
    }
    service_->classify(std::move(request), context(),
                       [&](auto result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }
  static std::string picture(const std::string& file) {
    return model::testing::read_file(source_dir() / "src/image/testdata" / file);
  }

 private:
  static Result<std::shared_ptr<const ModelTask>> assign(std::string_view file,
                                                         std::string_view yaml) {
    static const auto backends = test_backends();
    const auto manifest = model::parse_manifest(yaml, "/nonexistent");
    if (!manifest) {
      return fail(manifest.error());
    }
    const auto model = backends->load(model::testing::candidate(file, *manifest));
    return model ? assign_task(**model)
                 : Result<std::shared_ptr<const ModelTask>>(fail(model.error()));
  }
};

}  // namespace podsense::inference
