#include "cli/bench_target.h"

#include <fstream>
#include <iterator>
#include <system_error>

#include "cli/flags.h"
#include "cli/load_oip.h"

namespace podsense::cli {

namespace fs = std::filesystem;

void add_target_flags(CLI::App& app, BenchTarget& flags) {
  app.add_option("model", flags.path, "a file *.onnx or *.ort, or a model repository (models)")
      ->type_name("FILE|DIR");
  app.add_option("--models", flags.models, "the model repository, as for other commands")
      ->type_name("DIR");
  app.add_option("--model", flags.model, "which of its models, if it has several")
      ->type_name("NAME");
  add_whole(app, "--batch", flags.batch, {.low = 1, .high = 4096},
            "rows in a request, if the model takes several (1)");
  app.add_option("--image", flags.image, "send this picture, or those of a folder, to /predict")
      ->type_name("FILE|DIR");
  app.add_option("--body", flags.body,
                 "send this JSON to /v2/models/NAME/infer, if the model rejects random numbers")
      ->type_name("FILE");
  app.add_option("--config", flags.config,
                 "configuration file of the server, as for podsense serve")
      ->type_name("FILE");
}

Result<void> check_target(const BenchTarget& flags) {
  const int ways =
      (flags.batch > 1 ? 1 : 0) + (flags.image.empty() ? 0 : 1) + (flags.body.empty() ? 0 : 1);
  if (ways > 1) {
    return fail(ErrorCode::kInvalidArgument, "give one of --batch, --image and --body");
  }
  if (!flags.path.empty() && !flags.models.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + flags.path + "' and --models both name the model: give only one");
  }
  return {};
}

Result<BenchModel> model_of(const BenchTarget& flags, const BenchFolder& folder) {
  std::error_code error;
  if (!flags.path.empty() && !fs::is_directory(flags.path, error)) {
    if (!fs::exists(flags.path, error)) {
      return fail(ErrorCode::kInvalidArgument, "there is no '" + flags.path + "'");
    }
    if (!flags.model.empty()) {
      return fail(ErrorCode::kInvalidArgument, "--model chooses a model of a repository, and '" +
                                                   flags.path + "' is one model: leave it out");
    }
    return folder.repository_of(flags.path);
  }
  const std::string& given = flags.path.empty() ? flags.models : flags.path;
  return choose_model(given.empty() ? "models" : given, flags.model);
}

Result<load::LoadOptions> options_for(const BenchTarget& flags, const std::string& url,
                                      const std::string& model, const std::string& tool) {
  load::LoadOptions options;
  options.url = url;
  options.quiet = true;
  options.tool = tool;
  if (!flags.image.empty()) {
    options.url += "/predict?model=" + model;
    options.image = flags.image;
  } else if (!flags.body.empty()) {
    std::ifstream file(flags.body, std::ios::binary);
    options.url += "/v2/models/" + model + "/infer";
    options.content_type = "application/json";
    options.body.emplace(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (!file || options.body->empty()) {
      return fail(ErrorCode::kInvalidArgument, "--body: cannot read " + flags.body.string());
    }
  } else if (auto made = use_oip({.form = "binary", .model = model, .batch = flags.batch}, options);
             !made) {
    return fail(std::move(made.error()));
  }
  return options;
}

}  // namespace podsense::cli
