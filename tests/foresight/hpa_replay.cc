// `podsense simulate hpa --kubernetes VERSION --vectors -` without the rest of podsense.

#include <iostream>
#include <span>
#include <string_view>

#include "foresight/vectors.h"

int main(int argc, char** argv) {
  using namespace podsense::foresight;  // NOLINT(google-build-using-namespace): one file
  VectorOptions options;
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  for (std::size_t i = 1; i + 1 < arguments.size(); ++i) {
    if (std::string_view(arguments[i]) == "--kubernetes") {
      const auto version = parse_version(arguments[i + 1]);
      options.version = version ? *version : options.version;
    }
  }
  std::ios::sync_with_stdio(false);
  const auto done = replay_lines(std::cin, "standard input", options, std::cout);
  if (!done) {
    std::cerr << done.error().message << '\n';
  }
  return done ? 0 : 2;
}
