#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string>
#include <string_view>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "server/build_info.h"
#include "server/opening_wall.h"

namespace podsense::cli {
namespace {

struct Command {
  std::string_view name;
  int (*run)(std::span<const char* const> arguments);
};
constexpr std::array<Command, 12> kCommands{
    {{.name = "serve", .run = serve},
     {.name = "load", .run = load},
     {.name = "bench", .run = bench},
     {.name = "simulate", .run = simulate},
     {.name = "plan", .run = plan},
     {.name = "check", .run = check},
     {.name = "top", .run = top},
     {.name = "config-reference", .run = config_reference},
     {.name = "metrics-reference", .run = metrics_reference},
     {.name = "completion", .run = completion},
     {.name = "man", .run = man},
     {.name = "version", .run = version}}};

std::string overview() {
  Description all{.name = "COMMAND",
                  .summary = "podsense serves ONNX models, loads servers and checks them",
                  .footer = "`podsense help COMMAND` says more of a command."};
  for (const Description& one : describe_all()) {
    all.flags.push_back({.names = {one.name}, .help = one.summary, .group = kCommandsGroup});
  }
  all.flags.push_back(
      {.names = {"help"}, .help = "this, or help of a command", .group = kCommandsGroup});
  return help_text(all, help_columns());
}

const Command* find(std::string_view name) {
  const auto* const found = std::ranges::find(kCommands, name, &Command::name);
  return found == kCommands.end() ? nullptr : found;
}

int unknown(std::string_view name) {
  std::vector<std::string_view> names{"help"};
  for (const Command& command : kCommands) {
    names.push_back(command.name);
  }
  const std::string_view near = nearest_name(name, names);
  std::cerr << "podsense: there is no command '" << name << "'"
            << (near.empty() ? "" : "; did you mean ") << near << (near.empty() ? "" : "?")
            << "; see podsense help\n";
  return 2;
}

/// The error for a flag instead of a command; names the commands that have this flag.
int flag_without_command(std::string_view word) {
  const std::string_view name = word.substr(0, word.find('='));
  std::cerr << "podsense: '" << name << "' comes before any command";
  for (const Description& command : describe_all()) {
    if (std::ranges::any_of(command.flags, [name](const FlagText& flag) {
          return std::ranges::find(flag.names, name) != flag.names.end();
        })) {
      std::cerr << "; did you mean podsense " << command.name << " " << name << "?";
      break;
    }
  }
  std::cerr << "; see podsense help\n";
  return 2;
}

/// @param words the command, and optionally its subcommand
int help(std::span<const char* const> words) {
  const auto asks = [&words](std::string_view one) { return words.front() == one; };
  if (words.empty() || asks("help") || asks("--help") || asks("-h")) {
    std::cout << overview();
    return output_written("podsense") ? 0 : 1;
  }
  std::string name;
  for (const std::string_view word : words) {
    name.append(name.empty() ? "" : " ").append(word);
  }
  const auto all = describe_all();
  const auto found = std::ranges::find(all, name, &Description::name);
  if (found == all.end()) {
    return unknown(name);
  }
  std::cout << help_text(*found, help_columns());
  return output_written("podsense") ? 0 : 1;
}

int run(std::span<const char* const> arguments) {
  if (arguments.empty()) {
    std::cerr << overview();
    return 2;
  }
  const std::string_view name = arguments[0];
  const auto rest = arguments.subspan(1);
  if (name == "help" || name == "--help" || name == "-h") {
    return help(rest);
  }
  if (name == "--version" || name == "-v") {
    return version(rest);
  }
  if (name == server::kTrialCommand) {
    return server::run_trial(rest);
  }
  if (name.starts_with('-')) {
    return flag_without_command(name);
  }
  const Command* const command = find(name);
  return command == nullptr ? unknown(name) : command->run(rest);
}

/// Opens /dev/null for closed standard descriptors. Otherwise a client's connection could get such
/// a number and receive printed output.
void hold_standard_descriptors() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) < 0) {
      ::open("/dev/null", O_RDWR);  // gets the lowest free number, this one
    }
  }
}

}  // namespace
}  // namespace podsense::cli

int main(int argc, char** argv) {
  podsense::cli::hold_standard_descriptors();
  // Before any thread exists and before the first call of ONNX Runtime, whose official builds send
  // telemetry with model names otherwise.
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);  // NOLINT(concurrency-mt-unsafe): no thread exists yet
  return podsense::cli::run(std::span(argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)));
}
