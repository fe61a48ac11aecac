#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "cli/commands.h"
#include "cli/flags.h"
#include "metrics/descriptions.h"
#include "server/build_info.h"
#include "server/config.h"

/// Commands that print reference documentation.
namespace podsense::cli {
namespace {

constexpr const char* kVersion = "prints version and build";
constexpr const char* kCompletion =
    "prints a script that completes commands and flags in a shell\n\n"
    "  source <(podsense completion bash)\n"
    "  podsense completion zsh > ~/.zfunc/_podsense\n"
    "  podsense completion fish > ~/.config/fish/completions/podsense.fish\n";
constexpr const char* kMan =
    "prints a man page, or writes all of them\n\n"
    "  podsense man load | man -l -\n"
    "  podsense man --output /usr/local/share/man/man1\n";
constexpr const char* kConfig = "prints every setting, as a Markdown page";
constexpr const char* kMetrics = "prints every metric, as a Markdown page";

int print(std::string_view name, const std::string& text) {
  std::cout << text;
  return output_written(name) ? 0 : 1;
}

/// A command without flags of its own that prints one text.
int print_reference(const char* description, const char* name, std::string (*text)(),
                    std::span<const char* const> arguments) {
  CLI::App app(description, name);
  const auto done = parse(app, to_words(arguments));
  return done ? *done : print(name, text());
}

struct VersionFlags {
  bool json = false;
};
void add_flags(CLI::App& app, VersionFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_flag("--json", flags.json, "as JSON");
}

struct CompletionFlags {
  std::string shell;
};
void add_flags(CLI::App& app, CompletionFlags& flags) {
  app.option_defaults()->group("Flags");
  add_choice(app, "shell", flags.shell, {"bash", "zsh", "fish"}, "bash, zsh or fish")->required();
}

struct ManFlags {
  std::vector<std::string> command;
  std::string output;
};
void add_flags(CLI::App& app, ManFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("command", flags.command, "of this command; nothing: of the program itself")
      ->type_name(kCommandValue);
  app.add_option("--output", flags.output, "write all pages into this folder")->type_name("DIR");
}

template <class Flags>
Description described(const char* text, const char* name) {
  Flags flags;
  CLI::App app(text, name);
  add_flags(app, flags);
  add_common_flags(app);
  return describe(app);
}

Description described_plain(const char* text, const char* name) {
  CLI::App app(text, name);
  add_common_flags(app);
  return describe(app);
}

/// Writes the man pages (section 1) of all commands.
Result<void> write_pages(const std::filesystem::path& folder) {
  const auto commands = describe_all();
  const std::string version = server::build_info().version;
  const auto write = [&folder](const std::string& name, const std::string& page) {
    std::ofstream file(folder / (name + ".1"), std::ios::binary);
    file << page;
    file.close();
    return static_cast<bool>(file);
  };
  bool good = write("podsense", overview_man_page(commands, version));
  for (const Description& command : commands) {
    std::string name = "podsense-" + command.name;
    std::ranges::replace(name, ' ', '-');
    good = good && write(name, man_page(command, version));
  }
  if (!good) {
    return fail(ErrorCode::kInvalidArgument,
                "cannot write into '" + folder.string() + "'; accepted: a folder that exists");
  }
  return {};
}

}  // namespace

int version(std::span<const char* const> arguments) {
  constexpr const char* kName = "podsense version";
  VersionFlags flags;
  CLI::App app(kVersion, kName);
  add_flags(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  return print(kName, flags.json ? version_json() : version_text());
}

int completion(std::span<const char* const> arguments) {
  constexpr const char* kName = "podsense completion";
  CompletionFlags flags;
  CLI::App app(kCompletion, kName);
  add_flags(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  const Shell shell = flags.shell == "bash"  ? Shell::kBash
                      : flags.shell == "zsh" ? Shell::kZsh
                                             : Shell::kFish;
  return print(kName, completion_script(shell, describe_all()));
}

int man(std::span<const char* const> arguments) {
  constexpr const char* kName = "podsense man";
  ManFlags flags;
  CLI::App app(kMan, kName);
  add_flags(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  if (!flags.output.empty()) {
    const auto written = write_pages(flags.output);
    return written ? 0 : report_error(kName, written.error());
  }
  const auto commands = describe_all();
  const std::string version = server::build_info().version;
  std::string name;
  for (const std::string& word : flags.command) {
    name += (name.empty() ? "" : " ") + word;
  }
  if (name.empty()) {
    return print(kName, overview_man_page(commands, version));
  }
  const auto found = std::ranges::find(commands, name, &Description::name);
  if (found == commands.end()) {
    return report_error(kName, fail(ErrorCode::kInvalidArgument,
                                    "there is no command '" + name + "'; see podsense help")
                                   .value());
  }
  return print(kName, man_page(*found, version));
}

int config_reference(std::span<const char* const> arguments) {
  return print_reference(kConfig, "podsense config-reference", server::config_reference_markdown,
                         arguments);
}

int metrics_reference(std::span<const char* const> arguments) {
  return print_reference(
      kMetrics, "podsense metrics-reference",
      [] { return std::string(metrics::reference_markdown()); }, arguments);
}

std::vector<Description> describe_all() {
  std::vector<Description> all;
  for (const auto& some : {describe_serve(), describe_load(), describe_bench(), describe_simulate(),
                           describe_plan(), describe_check(), describe_top()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  all.push_back(described_plain(kConfig, "podsense config-reference"));
  all.push_back(described_plain(kMetrics, "podsense metrics-reference"));
  all.push_back(described<CompletionFlags>(kCompletion, "podsense completion"));
  all.push_back(described<ManFlags>(kMan, "podsense man"));
  all.push_back(described<VersionFlags>(kVersion, "podsense version"));
  return all;
}

}  // namespace podsense::cli
