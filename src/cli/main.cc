#include <array>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string_view>

#include "base/text.h"
#include "cli/commands.h"
#include "metrics/descriptions.h"
#include "server/app.h"
#include "server/build_info.h"
#include "server/config.h"

namespace podsense::cli {
namespace {

constexpr std::string_view kUsage = R"(podsense: serves ONNX models

  podsense serve [--models DIR] [--http-port N] [--admin-port N] …   the model server
  podsense load URL --qps N --seconds N …                            the load generator
  podsense simulate hpa …                 what an autoscaler decides, and why
  podsense check [URL] [--models DIR]     probes a server; opens every model of a repository
  podsense top [HOST:PORT…]               a live view of pods from their /metrics
  podsense config-reference               every setting, as a Markdown page
  podsense metrics-reference              every metric, as a Markdown page
  podsense version

`podsense serve --help` lists the settings, `--print-config` what is in force and why.
)";

int serve(std::span<const char* const> arguments) {
  const auto environment = server::process_environment();
  const auto loaded = server::load_config({.arguments = arguments, .environment = environment});
  if (!loaded) {
    std::cerr << loaded.error().message << '\n';
    return 2;
  }
  if (loaded->action == server::Action::kHelp) {
    std::cout << server::serve_help();
    return 0;
  }
  if (loaded->action == server::Action::kPrintConfig) {
    std::cout << server::print_config(*loaded);
    return 0;
  }
  const auto ended = server::serve(*loaded);
  if (!ended) {
    std::cerr << "podsense: " << ended.error().message << '\n';
    return ended.error().code == ErrorCode::kInvalidArgument ? 2 : 1;
  }
  return *ended;
}

int run(std::span<const char* const> arguments) {
  const std::string_view command = arguments.empty() ? "help" : arguments[0];
  const auto rest = arguments.empty() ? arguments : arguments.subspan(1);
  if (command == "serve") {
    return serve(rest);
  }
  if (command == "check") {
    return check(rest);
  }
  if (command == "load") {
    return load(rest);
  }
  if (command == "top") {
    return top(rest);
  }
  if (command == "simulate") {
    return simulate(rest);
  }
  if (command == "metrics-reference") {
    std::cout << metrics::reference_markdown();
    return 0;
  }
  if (command == "config-reference") {
    std::cout << server::config_reference_markdown();
    return 0;
  }
  if (command == "version" || command == "--version") {
    const server::BuildInfo build = server::build_info();
    std::cout << "podsense " << build.version << " (" << build.commit << ", " << build.compiler
              << ")\n";
    return 0;
  }
  if (command == "help" || command == "--help" || command == "-h") {
    std::cout << kUsage;
    return arguments.empty() ? 2 : 0;
  }
  constexpr std::array<std::string_view, 9> kCommands{
      "serve",   "load", "simulate", "check", "top", "config-reference", "metrics-reference",
      "version", "help"};
  const std::string_view near = nearest_name(command, kCommands);
  std::cerr << "podsense: there is no command '" << command << "'"
            << (near.empty() ? "" : "; did you mean ") << near << (near.empty() ? "" : "?")
            << "\n\n"
            << kUsage;
  return 2;
}

}  // namespace
}  // namespace podsense::cli

int main(int argc, char** argv) {
  // Before any thread exists and before the first call into ONNX Runtime, whose official builds
  // otherwise report model names to their maker.
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);  // NOLINT(concurrency-mt-unsafe): no thread exists yet
  return podsense::cli::run(std::span(argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)));
}
