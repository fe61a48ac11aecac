#pragma once

/// Flags for all subcommands: numbers and durations with ranges, choices, and common parsing, help
/// and error messages.

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

/// Adds an integer flag. The error for a wrong value contains the range. `target`: an integer that
/// can hold the range, or an optional of it.
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

/// These throw CLI::ValidationError with flag, value and range.
std::uint64_t whole_in(const std::string& names, const std::string& text, WholeRange range);
double real_in(const std::string& names, const std::string& text, RealRange range);
Duration duration_in(const std::string& names, const std::string& text, DurationRange range);

/// Parses the arguments. Answers -h, --help, -v and --version, and reports errors in one line on
/// stderr that starts with the command's name. Returns the exit code if the command should exit.
/// @param unexpected returns a hint for an unknown flag or word, or ""; may be empty
std::optional<int> parse(CLI::App& app, std::vector<std::string> arguments,
                         const std::function<std::string(const CLI::App&)>& unexpected = {});
/// Adds -h, --help, -v and --version; called by `parse`.
void add_common_flags(CLI::App& app);
std::vector<std::string> to_words(std::span<const char* const> arguments);

/// The version in one line, for people and as JSON.
std::string version_text();
std::string version_json();

/// Writes one line to stderr: "podsense COMMAND: MESSAGE". Returns the exit code: 2 if the user can
/// fix it with other flags or files, else 1.
int report_error(std::string_view command, const Error& error);

/// Flushes stdout. False, with a line on stderr: it could not be written (full disk, reader gone).
bool output_written(std::string_view command);
/// Writes `text` to the file `path`; "-": to stdout. False, with a line on stderr: it could not be
/// written.
bool write_output(std::string_view command, const std::string& path, std::string_view text);
/// The same, of a text too long to be held.
bool write_output(std::string_view command, const std::string& path,
                  const std::function<void(std::ostream&)>& write);

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
