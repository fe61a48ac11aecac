#pragma once

/// Structured logs: an event name (a constant, not a sentence) and fields. One JSON object a line
/// on stdout, or a readable line on a terminal. An error is logged once, where it is handled. Empty
/// texts are left out, texts over 1 KiB are cut, and control characters are escaped in every
/// format. Passwords and query values in URLs are masked. Never log image bytes or secrets.
///
/// A field name always has the same type, because log stores index by name. Fields are texts unless
/// kNumberFields or kBooleanFields lists them; a value of another type does not compile. Every line
/// of JSON has a `message`: the field of that name, or else the event in words with its subject.
///
/// Logging never blocks a caller after `start_writer`: one thread writes, and if nobody reads the
/// output, lines are dropped and counted. Repeated warnings and errors are written a few times per
/// second and then summarised.
///
///   log::info("model_loaded", {{"model", name}, {"seconds", 0.12}});
///
/// @threads thread-safe

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::log {

enum class Level { kTrace, kDebug, kInfo, kWarning, kError, kOff };
/// kAuto: text on a terminal, JSON elsewhere. kGcp: JSON as Google Cloud's logging reads it. kEcs:
/// JSON with the names of the Elastic Common Schema.
enum class Format { kAuto, kJson, kText, kGcp, kEcs };

inline constexpr auto kNumberFields = std::to_array<std::string_view>(
    {"attempts",   "base_bytes", "batch",     "before",       "budget_bytes",  "bytes_in",
     "bytes_out",  "count",      "cut_off",   "descriptors",  "dropped",       "errno",
     "executors",  "gain",       "in_flight", "io_threads",   "limit",         "line",
     "load_ms",    "max_batch",  "max_bytes", "objective_ms", "one_thread_ms", "overdue_ms",
     "peer_port",  "queued",     "repeats",   "run_ms",       "saved_ms",      "seconds",
     "service_ms", "spread",     "status",    "stuck",        "threads",       "threads_ms",
     "total_ms",   "taken",      "spans",     "rows",         "retry_ms"});
inline constexpr std::array<std::string_view, 2> kBooleanFields{"drained", "failed"};

enum class Kind { kText, kNumber, kBoolean };
constexpr Kind kind_of_field(std::string_view name) {
  const auto in = [name](const auto& names) {
    return std::ranges::find(names, name) != std::ranges::end(names);
  };
  return in(kNumberFields) ? Kind::kNumber : in(kBooleanFields) ? Kind::kBoolean : Kind::kText;
}

/// The name of a field of this kind.
template <Kind kKind>
class Name {
 public:
  consteval Name(const char* name) : text_(name) {
    if (kind_of_field(name) != kKind) {
      // NOLINTNEXTLINE(hicpp-exception-baseclass): an error of the compiler, never thrown
      throw "the name has another type: see kNumberFields and kBooleanFields";
    }
  }
  [[nodiscard]] constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

using Value = std::variant<std::string_view, bool, double, std::int64_t, std::uint64_t>;

/// Name and value are borrowed for the duration of the call.
struct Field {
  Field(Name<Kind::kText> name, std::string_view text) : key(name.text()), value(text) {}
  Field(Name<Kind::kBoolean> name, std::same_as<bool> auto truth)
      : key(name.text()), value(truth) {}
  template <class T>
    requires(std::is_arithmetic_v<T> && !std::same_as<T, bool>)
  Field(Name<Kind::kNumber> name, T number) : key(name.text()), value(widened(number)) {}

  std::string_view key;
  Value value;

 private:
  template <class T>
  static Value widened(T number) {
    if constexpr (std::floating_point<T>) {
      return static_cast<double>(number);
    } else if constexpr (std::signed_integral<T>) {
      return static_cast<std::int64_t>(number);
    } else {
      return static_cast<std::uint64_t>(number);
    }
  }
};
using Fields = std::initializer_list<Field>;

/// Called once by the composition root.
void configure(Level level, Format format);
/// Starts the writing thread: from now on no caller waits for the reader of stdout.
/// @errors kUnavailable: the system cannot start a thread
Result<void> start_writer();
/// Writes all queued lines; called before the process ends. False: some are unwritten after
/// `timeout`.
bool flush(Duration timeout);
/// The number of lines dropped since start.
std::uint64_t dropped();
/// @threads any, while others write
void set_level(Level level);
Level level();
std::string_view level_name(Level level);
Result<Level> parse_level(std::string_view name);  ///< trace debug info warning error off, any case
bool enabled(Level level);

void write(Level level, std::string_view event, Fields fields) noexcept;
/// Writes a line without the limit for repeats. For callers that limit the rate themselves, such as
/// the access log.
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
