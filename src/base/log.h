#pragma once

/// Structured logs: an event name (a constant, not a sentence) and fields. One JSON object a line
/// on stdout, or a readable line on a terminal. An error is logged once, where it stops travelling.
/// An empty text is left out, a text over 1 KiB is cut, and control characters are escaped in every
/// format. Never log image bytes, URL queries or secrets.
///
/// Logging never holds a thread: once `start_writer` was called one thread writes, and when nobody
/// reads, lines are dropped and counted. Warnings and errors that repeat are written a few times a
/// second and then summed up.
///
///   log::info("model_loaded", {{"model", name}, {"seconds", 0.12}});
///
/// @threads thread-safe

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::log {

enum class Level { kTrace, kDebug, kInfo, kWarning, kError, kOff };
enum class Format { kAuto, kJson, kText };  ///< kAuto: text on a terminal, JSON elsewhere

/// Borrowed for the duration of the call.
class Value {
 public:
  Value(std::string_view s) : value_(s) {}
  Value(const std::string& s) : value_(std::string_view(s)) {}
  Value(const char* s) : value_(std::string_view(s)) {}
  Value(bool b) : value_(b) {}
  Value(std::floating_point auto d) : value_(static_cast<double>(d)) {}
  Value(std::signed_integral auto i) : value_(static_cast<std::int64_t>(i)) {}
  Value(std::unsigned_integral auto u) : value_(static_cast<std::uint64_t>(u)) {}
  [[nodiscard]] const auto& get() const { return value_; }

 private:
  std::variant<std::string_view, bool, double, std::int64_t, std::uint64_t> value_;
};

struct Field {
  std::string_view key;
  Value value;
};
using Fields = std::initializer_list<Field>;

/// Called once by the composition root.
void configure(Level level, Format format);
/// From here on no caller waits for whoever reads stdout. @errors kUnavailable: no thread
Result<void> start_writer();
/// Before the process ends. False: after `timeout` nobody has read what is left.
bool flush(Duration timeout);
/// Lines that nobody will read, since start.
std::uint64_t dropped();
/// @threads any, while others write
void set_level(Level level);
Level level();
std::string_view level_name(Level level);
Result<Level> parse_level(std::string_view name);  ///< trace debug info warning error off, any case
bool enabled(Level level);

void write(Level level, std::string_view event, Fields fields) noexcept;
/// A line that is written however often it comes: its caller counts, as the access log does.
void record(Level level, std::string_view event, Fields fields) noexcept;
inline void debug(std::string_view event, Fields fields = {}) {
  write(Level::kDebug, event, fields);
}
inline void info(std::string_view event, Fields fields = {}) {
  write(Level::kInfo, event, fields);
}
inline void warning(std::string_view event, Fields fields = {}) {
  write(Level::kWarning, event, fields);
}
inline void error(std::string_view event, Fields fields = {}) {
  write(Level::kError, event, fields);
}

}  // namespace podsense::log
