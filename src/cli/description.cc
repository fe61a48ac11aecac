#include "cli/description.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "text/split.h"

namespace podsense::cli {
namespace {

constexpr std::size_t kUsualColumns = 80;
constexpr std::size_t kLeastColumns = 40;
constexpr std::size_t kMostColumns = 120;  ///< longer lines are hard to read
constexpr std::size_t kHelpColumn = 28;
/// For every command with a duration flag.
constexpr const char* kDurations = "Durations: 250us, 50ms, 90s, 5m; a bare number is seconds.\n";

std::size_t shown_width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

/// Writes words and breaks lines between them.
class Writer {
 public:
  explicit Writer(std::size_t columns) : columns_(columns) {}

  /// Indents continuation lines by `indent` blanks.
  void indent(std::size_t indent) { indent_ = indent; }
  /// Moves to this column; starts a new line if it is already passed.
  void tab(std::size_t column) {
    if (column_ + 2 > column) {
      new_line();
    }
    out_.append(column - column_, ' ');
    column_ = column;
    at_word_ = false;
  }
  void words(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find(' '), text.size());
      word(text.substr(0, end));
      const std::size_t next = text.find_first_not_of(' ', end);
      text = next == text.npos ? std::string_view() : text.substr(next);
    }
  }
  void new_line() {
    out_ += '\n';
    column_ = 0;
    at_word_ = false;
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void word(std::string_view text) {
    const std::size_t width = shown_width(text);
    if (at_word_ && column_ + 1 + width > columns_) {
      new_line();
      out_.append(indent_, ' ');
      column_ = indent_;
    } else if (at_word_) {
      out_ += ' ';
      ++column_;
    }
    out_ += text;
    column_ += width;
    at_word_ = true;
  }

  const std::size_t columns_;
  std::size_t indent_ = 0;
  std::size_t column_ = 0;
  bool at_word_ = false;
  std::string out_;
};

std::string names_text(const FlagText& flag) {
  std::string text;
  for (const std::string& name : flag.names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text + (flag.value.empty() || flag.is_positional() ? "" : " " + flag.value);
}

std::string usage_line(const Description& description) {
  std::string line = "podsense " + description.name;
  for (const FlagText& flag : description.flags) {
    if (flag.is_positional() && flag.group != kCommandsGroup) {
      std::string word = flag.names.front();
      std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::toupper(c); });
      line += " [" + word + "]";
    }
  }
  return line + " [flags]";
}

/// Flags by group, in the order in which groups first occur.
std::vector<std::pair<std::string, std::vector<const FlagText*>>> by_group(
    const Description& description) {
  std::vector<std::pair<std::string, std::vector<const FlagText*>>> groups;
  for (const FlagText& flag : description.flags) {
    auto group = std::ranges::find(groups, flag.group, [](const auto& one) { return one.first; });
    if (group == groups.end()) {
      groups.emplace_back(flag.group, std::vector<const FlagText*>());
      group = groups.end() - 1;
    }
    group->second.push_back(&flag);
  }
  return groups;
}

}  // namespace

std::vector<std::string> FlagText::choices() const {
  std::vector<std::string> all;
  // FILE|DIR is not a choice: choices are in lower case.
  if (value.find('|') != value.npos &&
      std::ranges::none_of(value, [](unsigned char c) { return std::isupper(c) != 0; })) {
    for (const std::string_view one : text::split(value, '|')) {
      all.emplace_back(one);
    }
  }
  return all;
}

Description describe(const CLI::App& app) {
  Description description{
      .name = app.get_name().starts_with("podsense ") ? app.get_name().substr(9) : app.get_name(),
      .footer = app.get_footer()};
  const std::string text = app.get_description();
  const std::size_t end = std::min(text.find('\n'), text.size());
  description.summary = text.substr(0, end);
  description.text = text.substr(std::min(end + 1, text.size()));
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) {
      continue;  // hidden
    }
    FlagText flag{.help = option->get_description(), .group = option->get_group()};
    for (const std::string& name : option->get_snames()) {
      flag.names.push_back("-" + name);
    }
    for (const std::string& name : option->get_lnames()) {
      flag.names.push_back("--" + name);
    }
    if (flag.names.empty()) {
      flag.names.push_back(option->get_name());
    }
    if (option->get_expected_max() > 0) {
      flag.value = option->get_type_name();
    }
    if (const std::string preset = option->get_default_str();
        !preset.empty() && !flag.value.empty()) {
      flag.help += " (" + preset + ")";
    }
    description.flags.push_back(std::move(flag));
  }
  if (std::ranges::find(description.flags, "DURATION", &FlagText::value) !=
      description.flags.end()) {
    description.footer.insert(0, kDurations);
  }
  return description;
}

std::size_t help_columns() {
  std::size_t columns = kUsualColumns;
  winsize size{};
  if (isatty(STDOUT_FILENO) == 1 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
      size.ws_col > 0) {
    columns = size.ws_col;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets it
  } else if (const char* const text = std::getenv("COLUMNS"); text != nullptr) {
    const std::string_view digits(text);
    std::from_chars(digits.data(), digits.data() + digits.size(), columns);
  }
  return std::clamp(columns, kLeastColumns, kMostColumns);
}

std::string wrapped(std::string_view text, std::size_t columns) {
  Writer out(columns);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text = text.substr(std::min(end + 1, text.size()));
    const std::size_t blanks = line.find_first_not_of(' ');
    if (blanks == line.npos) {
      out.new_line();
      continue;
    }
    if (blanks > 0) {
      // Indented lines are examples: they keep their inner blanks if they fit.
      Writer example(columns);
      if (shown_width(line) <= columns) {
        out.indent(0);
        std::string kept(line);
        std::ranges::replace(kept, ' ', '\x01');
        out.words(kept);
      } else {
        out.tab(blanks + 2 > columns ? 0 : std::max<std::size_t>(blanks, 2));
        out.indent(blanks + 4);
        out.words(line.substr(blanks));
      }
    } else {
      out.indent(0);
      out.words(line);
    }
    out.new_line();
  }
  std::string done = out.take();
  std::ranges::replace(done, '\x01', ' ');
  return done;
}

std::string help_text(const Description& description, std::size_t columns) {
  const std::size_t column = std::min(kHelpColumn, columns / 3);
  Writer out(columns);
  out.words(description.summary);
  out.new_line();
  out.new_line();
  out.indent(4);
  out.words("usage: " + usage_line(description));
  out.new_line();
  std::string text = out.take();
  text += wrapped(description.text, columns);
  for (const auto& [group, flags] : by_group(description)) {
    Writer rows(columns);
    rows.new_line();
    rows.words(group + ":");
    rows.new_line();
    for (const FlagText* flag : flags) {
      rows.tab(2);
      rows.indent(4);
      rows.words(names_text(*flag));
      if (!flag->help.empty()) {
        rows.tab(column);
        rows.indent(column);
        rows.words(flag->help);
      }
      rows.new_line();
    }
    text += rows.take();
  }
  if (!description.footer.empty()) {
    text += "\n" + wrapped(description.footer, columns);
  }
  return text;
}

}  // namespace podsense::cli
