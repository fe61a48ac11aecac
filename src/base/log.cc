#include "base/log.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <chrono>
#include <string>

#include "base/ascii.h"
#include "base/log_line.h"
#include "base/log_writer.h"

namespace podsense::log {
namespace {

constexpr std::array<std::string_view, 6> kNames{"trace",   "debug", "info",
                                                 "warning", "error", "off"};
std::atomic<Level> g_level{Level::kInfo};
std::atomic<Format> g_format{Format::kJson};

/// Never destroyed: threads that outlive `main` may still log.
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

std::string make_line(Level level, std::string_view event, Fields fields) {
  return line_of({.format = g_format.load(std::memory_order_relaxed),
                  .level = level,
                  .event = event,
                  .time = std::chrono::system_clock::now()},
                 fields);
}

/// Two lines of the same kind report the same fault: the event and its texts about the cause are
/// equal.
std::string kind_of(std::string_view event, Fields fields) {
  std::string kind(event);
  for (const Field& field : fields) {
    const auto* text = std::get_if<std::string_view>(&field.value);
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
  const Format automatic = isatty(STDOUT_FILENO) == 0 ? Format::kJson : Format::kText;
  g_format = format == Format::kAuto ? automatic : format;
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
  std::string lower = ascii::lower(name);
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
      record(level, event, fields);  // no memory to count it: write the line anyway
      return;
    }
  }
  record(level, event, fields);
}

}  // namespace podsense::log
