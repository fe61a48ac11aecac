#include "base/log.h"

#include <fmt/chrono.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cctype>
#include <chrono>

#include "base/text.h"

namespace podsense::log {
namespace {

constexpr std::array<std::string_view, 6> kNames{"trace",   "debug", "info",
                                                 "warning", "error", "off"};

std::atomic<Level> g_level{Level::kInfo};
std::atomic<bool> g_json{true};

/// spdlog owns the locked, line-at-a-time writing to stdout; the line itself is made here.
spdlog::logger& sink() {
  // Never destroyed: a thread that outlives `main` may still have something to say.
  static spdlog::logger& logger = *[] {
    auto* made = new spdlog::logger("podsense", std::make_shared<spdlog::sinks::stdout_sink_mt>());
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return logger;
}

void append_time(std::string& out) {
  const auto now = std::chrono::system_clock::now();
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()) % 1000;
  fmt::format_to(std::back_inserter(out), "{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                 fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms.count());
}

void append_value(std::string& out, const Value& value, bool quote) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          if (quote || v.find_first_of(" \"\n") != std::string_view::npos || v.empty()) {
            append_json_string(out, v);
          } else {
            out += v;
          }
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

}  // namespace

void configure(Level level, Format format) {
  g_level = level;
  g_json = format == Format::kJson || (format == Format::kAuto && isatty(STDOUT_FILENO) == 0);
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

void write(Level level, std::string_view event, Fields fields) {
  if (!enabled(level)) {
    return;
  }
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
  sink().log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace podsense::log
