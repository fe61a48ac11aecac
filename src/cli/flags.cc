#include "cli/flags.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>

#include "base/text.h"
#include "cli/description.h"
#include "server/build_info.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::cli {
namespace {

/// "-n,--requests" → "-n, --requests"
std::string shown(const std::string& names) {
  std::string out;
  for (const std::string_view name : text::split(names, ',')) {
    out.append(out.empty() ? "" : ", ").append(name);
  }
  return out;
}

[[noreturn]] void refuse(const std::string& names, const std::string& text,
                         const std::string& accepted) {
  throw CLI::ValidationError(shown(names) + " '" + text + "'", "accepted: " + accepted);
}

std::string plain(double value) {
  return value >= 1000 ? text::format_number(value) : text::format_rate(value);
}

/// Writes a duration with its largest exact unit: 5m instead of 300 s.
std::string written(Duration duration) {
  struct Unit {
    Duration size;
    std::string_view name;
  };
  for (const Unit& unit :
       {Unit{std::chrono::hours(1), "h"}, Unit{std::chrono::minutes(1), "m"},
        Unit{std::chrono::seconds(1), "s"}, Unit{std::chrono::milliseconds(1), "ms"},
        Unit{std::chrono::microseconds(1), "us"}}) {
    if (duration >= unit.size && duration % unit.size == Duration::zero()) {
      return std::to_string(duration / unit.size) + std::string(unit.name);
    }
  }
  return std::to_string(duration.count()) + (duration == Duration::zero() ? "" : "ns");
}

/// The first word that looks like a flag but is unknown to the command; nullptr: none.
const std::string* unknown_flag(const std::vector<std::string>& words) {
  const auto found = std::ranges::find_if(words, [](const std::string& word) {
    return word.size() > 1 && word.starts_with('-') && word != "--";
  });
  return found == words.end() ? nullptr : &*found;
}

/// The error for an unknown word, with the closest known flag.
std::string unexpected_word(const CLI::App& app) {
  const std::vector<std::string> words = app.remaining();
  const std::string* const flag = unknown_flag(words);
  if (flag == nullptr) {
    return "unexpected argument '" + (words.empty() ? std::string() : words.front()) + "'; see " +
           app.get_name() + " --help";
  }
  const std::string name = flag->substr(0, flag->find('='));
  std::vector<std::string_view> known;
  for (const CLI::Option* option : app.get_options()) {
    known.insert(known.end(), option->get_lnames().begin(), option->get_lnames().end());
  }
  const std::size_t dashes = name.find_first_not_of('-');
  const std::string_view near =
      dashes == name.npos ? std::string_view() : nearest_name(name.substr(dashes), known);
  return "unknown flag '" + name + "'; " +
         (near.empty() ? "see " + app.get_name() + " --help"
                       : "did you mean --" + std::string(near) + "?");
}

std::string message_of(const CLI::App& app, const CLI::ParseError& error,
                       const std::function<std::string(const CLI::App&)>& unexpected) {
  std::string message = error.what();
  // An unknown flag is a better explanation than a missing argument, so it has priority.
  const bool strange = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr ||
                       (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
                        unknown_flag(app.remaining()) != nullptr);
  if (strange) {
    std::string more = unexpected ? unexpected(app) : std::string();
    return more.empty() ? unexpected_word(app) : more;
  }
  std::ranges::replace(message, '\n', ' ');
  return message + "; see " + app.get_name() + " --help";
}

}  // namespace

std::uint64_t whole_in(const std::string& names, const std::string& text, WholeRange range) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < range.low ||
      value > range.high) {
    refuse(names, text,
           "a whole number from " + text::format_count(range.low) + " to " +
               text::format_count(range.high));
  }
  return value;
}

double real_in(const std::string& names, const std::string& text, RealRange range) {
  const auto value = text::parse_number(text);
  if (!value || !(*value >= range.low && *value <= range.high)) {
    refuse(names, text, "a number from " + plain(range.low) + " to " + plain(range.high));
  }
  return *value;
}

Duration duration_in(const std::string& names, const std::string& text, DurationRange range) {
  const auto value = text::parse_duration(text);
  if (!value || *value < range.low || *value > range.high) {
    refuse(names, text,
           "a duration from " + written(range.low) + " to " + written(range.high) +
               ", written as 250us, 50ms, 1.5s, 5m, 1h or plain seconds");
  }
  return *value;
}

CLI::Option* add_choice(CLI::App& app, const std::string& names, std::string& target,
                        const std::vector<std::string>& choices, const std::string& help) {
  std::string accepted;
  for (const std::string& choice : choices) {
    accepted += (accepted.empty() ? "" : "|") + choice;
  }
  return app
      .add_option_function<std::string>(
          names,
          [&target, names, choices](const std::string& text) {
            if (std::ranges::find(choices, text) == choices.end()) {
              std::string list;
              for (const std::string& choice : choices) {
                list += (list.empty() ? "" : ", ") + choice;
              }
              refuse(names, text, list);
            }
            target = text;
          },
          help)
      ->type_name(accepted);
}

std::string version_text() {
  const server::BuildInfo build = server::build_info();
  return "podsense " + std::string(build.version) + " (" + build.commit + ", " + build.compiler +
         ")\n";
}

std::string version_json() {
  const server::BuildInfo build = server::build_info();
  std::string out = R"({"version":)";
  append_json_string(out, build.version);
  out += R"(,"commit":)";
  append_json_string(out, build.commit);
  out += R"(,"compiler":)";
  append_json_string(out, build.compiler);
  return out + "}\n";
}

std::vector<std::string> to_words(std::span<const char* const> arguments) {
  return {arguments.begin(), arguments.end()};
}

void add_common_flags(CLI::App& app) {
  app.set_help_flag("-h,--help", "this text")->group("Other");
  app.set_version_flag(
         "-v,--version", [] { return std::string(); }, "version and build")
      ->group("Other");
}

std::optional<int> parse(CLI::App& app, std::vector<std::string> arguments,
                         const std::function<std::string(const CLI::App&)>& unexpected) {
  add_common_flags(app);
  // The same as `podsense help COMMAND`.
  if (arguments.size() == 1 && arguments.front() == "help") {
    arguments.front() = "--help";
  }
  std::ranges::reverse(arguments);  // CLI11 needs the last one first
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    std::cout << help_text(describe(app), help_columns());
    return output_written(app.get_name()) ? 0 : 1;
  } catch (const CLI::CallForVersion&) {
    std::cout << version_text();
    return output_written(app.get_name()) ? 0 : 1;
  } catch (const CLI::ParseError& error) {
    std::cerr << app.get_name() << ": " << message_of(app, error, unexpected) << '\n';
    return 2;
  }
  return std::nullopt;
}

int report_error(std::string_view command, const Error& error) {
  std::string message = error.message;
  std::ranges::replace(message, '\n', ' ');
  std::cerr << command << ": " << message << '\n';
  const bool usage = error.code == ErrorCode::kInvalidArgument ||
                     error.code == ErrorCode::kUnimplemented ||
                     error.code == ErrorCode::kPermissionDenied;
  return usage ? 2 : 1;
}

bool output_written(std::string_view command) {
  std::cout.flush();
  if (!std::cout) {
    std::cerr << command << ": cannot write to standard output\n";
    return false;
  }
  return true;
}

bool write_output(std::string_view command, const std::string& path, std::string_view text) {
  return write_output(command, path, [text](std::ostream& out) { out << text; });
}

bool write_output(std::string_view command, const std::string& path,
                  const std::function<void(std::ostream&)>& write) {
  if (path == "-") {
    write(std::cout);
    return output_written(command);
  }
  std::ofstream file(path, std::ios::binary);
  write(file);
  file.close();
  if (!file) {
    std::cerr << command << ": cannot write " << path << '\n';
  }
  return static_cast<bool>(file);
}

}  // namespace podsense::cli
