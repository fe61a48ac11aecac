#include <algorithm>
#include <iostream>
#include <string_view>

#include "base/secrets.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "server/app.h"
#include "server/config.h"
#include "server/setting_texts.h"
#include "text/split.h"

namespace podsense::cli {
namespace {

constexpr const char* kName = "podsense serve";

constexpr const char* kText = R"(
Each flag also has an environment variable (--http-port: PODSENSE_HTTP_PORT) and a YAML key (docs/reference/configuration.md). Flags have priority over the environment, which has priority over the file. SIZE: 10485760, 10MB, 10MiB. DURATION: 30 (seconds), 500ms, 1m30s. Lists: a,b,c.
)";

}  // namespace

std::vector<Description> describe_serve() {
  Description serve{.name = "serve", .summary = "serves the models of a repository", .text = kText};
  serve.flags = {{.names = {"-h", "--help"}, .help = "this text", .group = "General"},
                 {.names = {"-v", "--version"}, .help = "version and build", .group = "General"},
                 {.names = {"--config"},
                  .value = "FILE",
                  .help = "read settings from this YAML file (env PODSENSE_CONFIG)",
                  .group = "General"},
                 {.names = {"--print-config"},
                  .help = "print the effective settings as YAML, each with its source",
                  .group = "General"}};
  for (server::SettingText& setting : server::setting_texts()) {
    FlagText flag{.value = std::move(setting.value),
                  .help = std::move(setting.meaning),
                  .group = std::move(setting.section)};
    for (std::string& name : setting.flags) {
      flag.names.push_back(std::move(name));
    }
    serve.flags.push_back(std::move(flag));
  }
  return {serve};
}

int serve(std::span<const char* const> arguments) {
  const auto says = [&arguments](std::string_view text) {
    return std::ranges::any_of(arguments, [text](std::string_view one) { return one == text; });
  };
  if (says("-v") || says("--version")) {
    std::cout << version_text();
    return output_written(kName) ? 0 : 1;
  }
  if (says("-h") || says("--help") || (arguments.size() == 1 && says("help"))) {
    std::cout << help_text(describe_serve().front(), help_columns());
    return output_written(kName) ? 0 : 1;
  }
  const auto environment = server::process_environment();
  const auto loaded = server::load_config({.arguments = arguments, .environment = environment});
  if (!loaded) {
    for (const std::string_view fault : text::split(loaded.error().message, '\n')) {
      std::cerr << kName << ": " << without_secrets(fault) << '\n';
    }
    return 2;
  }
  if (loaded->action == server::Action::kPrintConfig) {
    std::cout << server::print_config(*loaded);
    return output_written(kName) ? 0 : 1;
  }
  const auto ended = server::serve(*loaded);
  if (!ended) {
    std::cerr << kName << ": " << without_secrets(ended.error().message) << '\n';
    return ended.error().code == ErrorCode::kInvalidArgument ? 2 : 1;
  }
  return *ended;
}

}  // namespace podsense::cli
