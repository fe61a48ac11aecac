#include "base/log.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <chrono>
#include <string>

#include "base/log_writer.h"
#include "base/text.h"

namespace podsense::log {
namespace {

constexpr std::array<std::string_view, 6> kNames{"trace",   "debug", "info",
                                                 "warning", "error", "off"};
/// Longer values are cut: a request's path or a library's message may be of any length.
constexpr std::size_t kMaxValue = 1024;

std::atomic<Level> g_level{Level::kInfo};
std::atomic<bool> g_json{true};

/// Never destroyed: a thread that outlives `main` may still have something to say.
Writer& writer() {
  static Writer& the_one = *new Writer(STDOUT_FILENO);
  return the_one;
}

Repeats& repeats() {
  static Repeats& the_one = *new Repeats;
  return the_one;
}

std::int64_t this_second() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void append_time(std::string& out) {
  const auto now = std::chrono::system_clock::now();
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()) % 1000;
  fmt::format_to(std::back_inserter(out), "{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                 fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms.count());
}

/// At a character's begin, so that no half of one is left.
std::string_view cut(std::string_view text) {
  if (text.size() <= kMaxValue) {
    return text;
  }
  std::size_t end = kMaxValue;
  while (end > kMaxValue - 4 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) {
    --end;
  }
  return text.substr(0, end);
}

/// Nothing in it could be taken for another field, line or terminal command.
bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '=';
  });
}

void append_text(std::string& out, std::string_view text, bool quote) {
  const std::string_view shown = cut(text);
  if (quote || !is_plain(shown)) {
    append_json_string(out, shown);
  } else {
    out += shown;
  }
  if (shown.size() < text.size()) {
    out.insert(out.size() - (out.back() == '"' ? 1 : 0), "…");
  }
}

void append_value(std::string& out, const Value& value, bool quote) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          append_text(out, v, quote);
        } else if constexpr (std::is_same_v<T, bool>) {
          out += v ? "true" : "false";
        } else {
          append_json_number(out, v);
        }
      },
      value.get());
}

bool is_empty(const Value& value) {
  const auto* text = std::get_if<std::string_view>(&value.get());
  return text != nullptr && text->empty();
}

std::string make_line(Level level, std::string_view event, Fields fields) {
  const std::string_view name = kNames[static_cast<std::size_t>(level)];
  std::string line;
  line.reserve(256);
  if (g_json.load(std::memory_order_relaxed)) {
    line += R"({"ts":")";
    append_time(line);
    line += R"(","level":")";
    line += name;
    line += R"(","event":)";
    append_json_string(line, event);
    for (const Field& field : fields) {
      if (is_empty(field.value)) {
        continue;
      }
      line += ',';
      append_json_string(line, field.key);
      line += ':';
      append_value(line, field.value, true);
    }
    line += '}';
  } else {
    append_time(line);
    fmt::format_to(std::back_inserter(line), " {:<7} {}", name, event);
    for (const Field& field : fields) {
      if (is_empty(field.value)) {
        continue;
      }
      line += ' ';
      line += field.key;
      line += '=';
      append_value(line, field.value, false);
    }
  }
  line += '\n';
  return line;
}

/// What makes two lines the same fault again: the event and what its texts say of the cause.
std::string kind_of(std::string_view event, Fields fields) {
  std::string kind(event);
  for (const Field& field : fields) {
    const auto* text = std::get_if<std::string_view>(&field.value.get());
    if (text != nullptr && (field.key == "reason" || field.key == "message" ||
                            field.key == "model" || field.key == "version")) {
      kind += '\n';
      kind += text->substr(0, 128);
    }
  }
  return kind;
}

void write_summed_up(const std::vector<Repeats::Sum>& sums) {
  for (const Repeats::Sum& sum : sums) {
    record(
        Level::kWarning, "log_lines_summed_up",
        {{"of", std::string_view(sum.kind).substr(0, sum.kind.find('\n'))}, {"count", sum.count}});
  }
}

std::string dropped_line(std::uint64_t count) {
  return make_line(Level::kWarning, "log_lines_dropped", {{"count", count}});
}

void idle() {
  write_summed_up(repeats().ended(this_second()));
}

}  // namespace

void configure(Level level, Format format) {
  g_level = level;
  g_json = format == Format::kJson || (format == Format::kAuto && isatty(STDOUT_FILENO) == 0);
}

Result<void> start_writer() {
  return writer().start({.dropped_line = &dropped_line, .idle = &idle});
}

bool flush(Duration timeout) {
  return writer().flush(timeout);
}

std::uint64_t dropped() {
  return writer().dropped();
}

void set_level(Level level) {
  g_level = level;
}

Level level() {
  return g_level.load(std::memory_order_relaxed);
}

std::string_view level_name(Level level) {
  return kNames[static_cast<std::size_t>(level)];
}

Result<Level> parse_level(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (lower == "warn") {
    lower = "warning";
  }
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == lower) {
      return static_cast<Level>(i);
    }
  }
  return fail(ErrorCode::kInvalidArgument, "'" + std::string(name) +
                                               "' is no log level; accepted: trace, debug, info, "
                                               "warning, error, off");
}

bool enabled(Level level) {
  return level >= g_level.load(std::memory_order_relaxed);
}

void record(Level level, std::string_view event, Fields fields) noexcept {
  if (!enabled(level)) {
    return;
  }
  try {
    writer().add(make_line(level, event, fields));
  } catch (const std::exception&) {  // no memory for the line
    writer().count_dropped();
  }
}

void write(Level level, std::string_view event, Fields fields) noexcept {
  if (!enabled(level)) {
    return;
  }
  if (level >= Level::kWarning) {
    try {
      const Repeats::Verdict verdict = repeats().note(kind_of(event, fields), this_second());
      write_summed_up(verdict.ended);
      if (!verdict.write) {
        return;
      }
    } catch (const std::exception&) {
      record(level, event, fields);  // no memory to count it: the line is worth more
      return;
    }
  }
  record(level, event, fields);
}

}  // namespace podsense::log
