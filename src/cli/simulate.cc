#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "foresight/vectors.h"

namespace podsense::cli {
namespace {

constexpr std::string_view kUsage = R"(podsense simulate: what would happen, before it does

  podsense simulate hpa --vectors FILE [--kubernetes VERSION] [--explain]

`podsense simulate hpa --help` has the options.
)";

constexpr const char* kHpaDescription =
    "Takes the decisions of a HorizontalPodAutoscaler, as Kubernetes' own controller does";

int refuse(const std::string& message) {
  std::cerr << "podsense simulate hpa: " << message << '\n';
  return 2;
}

int replay_file(const std::string& path, const foresight::VectorOptions& options) {
  std::ios::sync_with_stdio(false);
  std::ifstream file;
  const bool is_stdin = path == "-";
  if (!is_stdin) {
    file.open(path);
    if (!file) {
      return refuse("--vectors: cannot read " + path);
    }
  }
  const auto done = foresight::replay_lines(is_stdin ? std::cin : file,
                                            is_stdin ? "standard input" : path, options, std::cout);
  std::cout.flush();
  return done ? 0 : refuse(done.error().message);
}

int simulate_hpa(std::span<const char* const> arguments) {
  CLI::App app(kHpaDescription, "podsense simulate hpa");
  std::string vectors;
  std::string version(foresight::version_name(foresight::kNewestVersion));
  foresight::VectorOptions options;
  app.add_option(
         "--vectors", vectors,
         "cases, one JSON object a line (- for standard input); one JSON line a look comes out")
      ->required();
  app.add_option("--kubernetes", version, "version of the controller, for cases that name none")
      ->capture_default_str();
  app.add_flag("--explain", options.explain, "with the arithmetic of each look in words");
  std::vector<const char*> argv{"hpa"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto parsed = foresight::parse_version(version);
  if (!parsed) {
    return refuse("--kubernetes: " + parsed.error().message);
  }
  options.version = *parsed;
  return replay_file(vectors, options);
}

}  // namespace

int simulate(std::span<const char* const> arguments) {
  const std::string_view what = arguments.empty() ? "" : arguments[0];
  if (what == "hpa") {
    return simulate_hpa(arguments.subspan(1));
  }
  const bool is_help = what == "--help" || what == "-h";
  if (!is_help && !what.empty()) {
    std::cerr << "podsense simulate: '" << what << "' is not known; accepted: hpa\n\n";
  }
  (is_help ? std::cout : std::cerr) << kUsage;
  return is_help ? 0 : 2;
}

}  // namespace podsense::cli
