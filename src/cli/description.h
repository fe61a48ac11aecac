#pragma once

/// The description of a command, from which help, man page and shell completion are generated.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace podsense::cli {

struct FlagText {
  std::vector<std::string>
      names;          ///< with dashes, short names first; for a positional one bare word
  std::string value;  ///< FILE, N, DURATION, json|binary, …; empty: a switch
  std::string help;
  std::string group;

  [[nodiscard]] bool is_positional() const { return !names.front().starts_with('-'); }
  [[nodiscard]] bool takes_file() const { return value.find("FILE") != value.npos; }
  [[nodiscard]] bool takes_folder() const { return value.find("DIR") != value.npos; }
  /// The choices of a value such as json|binary; empty: not a choice.
  [[nodiscard]] std::vector<std::string> choices() const;
};

/// The value of a positional that is a command, optionally with a subcommand.
inline constexpr const char* kCommandValue = "COMMAND";
/// The group of the commands in the overview.
inline constexpr const char* kCommandsGroup = "Commands";

struct Description {
  std::string name;     ///< "load", "load merge"
  std::string summary;  ///< one line
  std::string text;     ///< paragraphs; indented lines are not wrapped
  std::vector<FlagText> flags;
  std::string footer;
};

/// Makes the description of an app; the first line of its text is the summary.
Description describe(const CLI::App& app);

/// @param columns maximum line length, except for longer words
std::string help_text(const Description& description, std::size_t columns);
/// The width of stdout's terminal, else COLUMNS, else 80; at least 40.
std::size_t help_columns();
/// Wraps `text` at blanks. Lines with leading blanks keep them; their continuation lines are
/// indented further.
std::string wrapped(std::string_view text, std::size_t columns);

/// A man page of section 1, in roff.
std::string man_page(const Description& description, std::string_view version);
/// The man page of the program, which lists the others.
std::string overview_man_page(std::span<const Description> commands, std::string_view version);

enum class Shell { kBash, kZsh, kFish };
/// A shell script that completes commands, flags, choices and files.
std::string completion_script(Shell shell, std::span<const Description> described);

}  // namespace podsense::cli
