// Everything that `podsense simulate SCENARIO --runs 10` can write, on standard output; for
// same_bytes.py.

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "foresight/simulate.h"

namespace {

podsense::Result<std::string> read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return podsense::fail(podsense::ErrorCode::kInvalidArgument, "cannot read " + path.string());
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

int main(int argc, char** argv) {
  using namespace podsense::foresight;  // NOLINT(google-build-using-namespace): one file
  const std::filesystem::path path(argc > 1 ? argv[1] : "");
  const auto text = read(path);
  const auto scenario = text.and_then([&](const std::string& whole) {
    return read_scenario({.name = "scenario", .text = whole, .overrides = {}},
                         [&](const std::string& name) { return read(path.parent_path() / name); });
  });
  if (!scenario) {
    std::cerr << scenario.error().message << '\n';
    return 2;
  }
  const Simulation simulation = simulate(
      *scenario, {.runs = 10, .threads = 4, .explain = true, .dump_hpa = true, .pod_loads = true});
  std::cout << simulation_json(*scenario, simulation) << simulation_text(*scenario, simulation)
            << simulation_html(*scenario, simulation);
  for (const RunResult& run : simulation.runs) {
    std::cout << run.hpa_case;
  }
}
