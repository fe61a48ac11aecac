#pragma once

/// What a command says of itself, once: its help, its man page and the shells' completion are all
/// made from it.

#include <CLI/CLI.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace podsense::cli {

struct FlagText {
  std::vector<std::string>
      names;          ///< with their dashes, short ones first; a positional: one bare word
  std::string value;  ///< FILE, N, DURATION, json|binary, …; empty: a switch
  std::string help;
  std::string group;

  [[nodiscard]] bool is_positional() const { return !names.front().starts_with('-'); }
  [[nodiscard]] bool takes_file() const { return value.find("FILE") != value.npos; }
  [[nodiscard]] bool takes_folder() const { return value.find("DIR") != value.npos; }
  /// Of a value such as json|binary; empty where it is no choice.
  [[nodiscard]] std::vector<std::string> choices() const;
};

/// Of a positional that is a command and perhaps its subcommand.
inline constexpr const char* kCommandValue = "COMMAND";
/// Of the rows that name commands, in the overview.
inline constexpr const char* kCommandsGroup = "Commands";

struct Description {
  std::string name;     ///< "load", "load merge"
  std::string summary;  ///< one line
  std::string text;     ///< paragraphs, and indented lines that stay as they are
  std::vector<FlagText> flags;
  std::string footer;
};

/// Of an app whose first line of description is its summary.
Description describe(const CLI::App& app);

/// @param columns  no line is longer, but for words that are
std::string help_text(const Description& description, std::size_t columns);
/// Columns of standard output's terminal, else COLUMNS, else 80; 40 at least.
std::size_t help_columns();
/// `text` broken at blanks; lines that begin with blanks keep them, and the rest goes further in.
std::string wrapped(std::string_view text, std::size_t columns);

/// Section 1, in roff.
std::string man_page(const Description& description, std::string_view version);
/// The page of the program itself, which names the others.
std::string overview_man_page(std::span<const Description> commands, std::string_view version);

enum class Shell { kBash, kZsh, kFish };
/// A script for the shell that completes commands, flags, choices and files.
std::string completion_script(Shell shell, std::span<const Description> described);

}  // namespace podsense::cli
