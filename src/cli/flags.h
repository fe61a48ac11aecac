#pragma once

/// Flags of every subcommand: numbers and durations with the range that is accepted, choices, and
/// one way to parse, to help and to say what is wrong.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::cli {

struct WholeRange {
  std::uint64_t low = 0;
  std::uint64_t high = UINT64_MAX;
};
struct RealRange {
  double low = 0;
  double high = 0;
};
struct DurationRange {
  Duration low{};
  Duration high = std::chrono::hours(1000);
};

/// Anything but a whole number of the range is a wrong flag, with the range in the error. `target`
/// is an integer that holds the range, or an optional of one.
template <class T>
CLI::Option* add_whole(CLI::App& app, const std::string& names, T& target, WholeRange range,
                       const std::string& help);
template <class T>
CLI::Option* add_real(CLI::App& app, const std::string& names, T& target, RealRange range,
                      const std::string& help);
/// @param range  {0, …}: zero is accepted
template <class T>
CLI::Option* add_duration(CLI::App& app, const std::string& names, T& target, DurationRange range,
                          const std::string& help);
CLI::Option* add_choice(CLI::App& app, const std::string& names, std::string& target,
                        const std::vector<std::string>& choices, const std::string& help);

/// Throw CLI::ValidationError, which names flag, value and range.
std::uint64_t whole_in(const std::string& names, const std::string& text, WholeRange range);
double real_in(const std::string& names, const std::string& text, RealRange range);
Duration duration_in(const std::string& names, const std::string& text, DurationRange range);

/// Parses; -h, --help, -v and --version are answered here, and so is what is wrong: in one line on
/// stderr that begins with the command's name. The exit code where the command is done with that.
/// @param unexpected  says more of a flag or word that the command does not know, or nothing; may
///                    be empty
std::optional<int> parse(CLI::App& app, std::vector<std::string> arguments,
                         const std::function<std::string(const CLI::App&)>& unexpected = {});
/// -h, --help, -v and --version; `parse` adds them.
void add_common_flags(CLI::App& app);
std::vector<std::string> to_words(std::span<const char* const> arguments);

/// One line, for people and for programs.
std::string version_text();
std::string version_json();

/// One line on stderr: "podsense COMMAND: MESSAGE". The exit code: 2 where the user can mend it by
/// other flags or files, else 1.
int report_error(std::string_view command, const Error& error);

/// Flushes standard output. False, with a line on stderr, where it could not be written (a full
/// disk, a reader that went away).
bool output_written(std::string_view command);
/// Writes `text` to the file `path`, "-": to standard output. False, with a line on stderr, where
/// it could not be written.
bool write_output(std::string_view command, const std::string& path, std::string_view text);

// --- implementation

template <class T>
CLI::Option* add_whole(CLI::App& app, const std::string& names, T& target, WholeRange range,
                       const std::string& help) {
  return app
      .add_option_function<std::string>(
          names,
          [&target, names, range](const std::string& text) {
            using Number = std::remove_cvref_t<decltype(std::optional(target).value())>;
            target = static_cast<Number>(whole_in(names, text, range));
          },
          help)
      ->type_name("N");
}
template <class T>
CLI::Option* add_real(CLI::App& app, const std::string& names, T& target, RealRange range,
                      const std::string& help) {
  return app
      .add_option_function<std::string>(
          names,
          [&target, names, range](const std::string& text) {
            target = real_in(names, text, range);
          },
          help)
      ->type_name("NUMBER");
}
template <class T>
CLI::Option* add_duration(CLI::App& app, const std::string& names, T& target, DurationRange range,
                          const std::string& help) {
  return app
      .add_option_function<std::string>(
          names,
          [&target, names, range](const std::string& text) {
            target = duration_in(names, text, range);
          },
          help)
      ->type_name("DURATION");
}

}  // namespace podsense::cli
