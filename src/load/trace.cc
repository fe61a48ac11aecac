#include "load/trace.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>

#include "load/quantity.h"

namespace podsense::load {
namespace {

constexpr double kMinute = 60;
constexpr double kLongest = 1e7;  ///< seconds: more than a hundred days is a slip

tl::unexpected<Error> bad_line(std::size_t number, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument, "line " + std::to_string(number) + ": " +
                                               std::string(why) +
                                               "; accepted: one moment a line (seconds or "
                                               "2021-01-31T00:00:05Z), or counts per minute");
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  const auto part = at + count <= text.size() ? text.substr(at, count) : std::string_view();
  if (part.empty() || !std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  int value = 0;
  for (const char c : part) {
    value = value * 10 + (c - '0');
  }
  return value;
}

/// Seconds since 1970 of 2021-01-31T00:00:05.25Z; a blank for the T, no zone and Z are accepted.
std::optional<double> parse_date(std::string_view text) {
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  if (!year || !month || !day || !hour || !minute || text.size() < 19 || text[4] != '-' ||
      text[7] != '-' || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' ||
      text[16] != ':') {
    return std::nullopt;
  }
  if (text.ends_with('Z')) {
    text.remove_suffix(1);
  }
  const auto second = parse_number(text.substr(17));
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(unsigned(*month)),
                                         std::chrono::day(unsigned(*day))};
  if (!date.ok() || !second || *second < 0 || *second >= 61 || *hour > 23 || *minute > 59) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<double>(days) * 86400 + *hour * 3600 + *minute * 60 + *second;
}

std::optional<double> parse_moment(std::string_view field) {
  const auto number = parse_number(field);
  return number ? number : parse_date(field);
}

/// Counts per minute become a rate that is constant for the minute.
Result<Trace> from_counts(const std::vector<double>& counts, TraceOptions options) {
  std::vector<Stretch> parts;
  for (const double count : counts) {
    const double seconds = kMinute / options.speed;
    const double rate = count * options.scale / seconds;
    parts.push_back({.seconds = seconds, .from = rate, .to = rate});
  }
  const double length = kMinute / options.speed * static_cast<double>(counts.size());
  return Trace{.shape = stretches(std::move(parts)),
               .length = Duration(std::llround(length * 1e9))};
}

/// The column at which minutes begin when the first line is `…,1,2,3,…`; npos otherwise.
std::size_t first_minute_column(const std::vector<std::string_view>& header) {
  for (std::size_t i = 0; i + 1 < header.size(); ++i) {
    if (header[i] == "1" && header[i + 1] == "2" && i > 0 && !parse_number(header[0])) {
      return i;
    }
  }
  return std::string_view::npos;
}

Result<Trace> parse_azure(const std::vector<std::string_view>& lines, std::size_t column,
                          TraceOptions options) {
  std::vector<double> counts;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) {
      continue;
    }
    const auto fields = split(lines[i], ',');
    counts.resize(std::max(counts.size(), fields.size() > column ? fields.size() - column : 0));
    for (std::size_t k = column; k < fields.size(); ++k) {
      const auto count = parse_number(fields[k]);
      if (!count || *count < 0 || *count > 1e9) {
        return bad_line(i + 1, "'" + std::string(fields[k]) + "' is no count");
      }
      counts[k - column] += *count;
    }
  }
  if (counts.empty()) {
    return bad_line(1, "there are no counts after it");
  }
  return from_counts(counts, options);
}

Result<Trace> parse_minutes(const std::vector<std::string_view>& lines, TraceOptions options) {
  std::vector<double> counts;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i].empty()) {
      continue;
    }
    const auto fields = split(lines[i], ',');
    const auto minute = parse_number(fields[0]);
    const auto count = fields.size() == 2 ? parse_number(fields[1]) : std::nullopt;
    if (!minute || !count || *minute < 0 || *minute != std::floor(*minute) ||
        *minute * kMinute > kLongest || *count < 0 || *count > 1e9) {
      return bad_line(i + 1, "not `minute,count`");
    }
    const auto index = static_cast<std::size_t>(*minute);
    counts.resize(std::max(counts.size(), index + 1));
    counts[index] += *count;
  }
  if (counts.empty()) {
    return bad_line(1, "there are no counts after it");
  }
  return from_counts(counts, options);
}

Result<Trace> parse_moments(const std::vector<std::string_view>& lines, TraceOptions options) {
  std::vector<double> seconds;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto moment = parse_moment(split(lines[i], ',')[0]);
    if (moment) {
      seconds.push_back(*moment);
    } else if (i > 0 && !lines[i].empty()) {
      return bad_line(i + 1, "'" + std::string(lines[i].substr(0, 40)) + "' has no moment");
    }
  }
  if (seconds.empty()) {
    return bad_line(1, "there is no moment");
  }
  std::ranges::sort(seconds);
  // Dates count from the first request; seconds are taken as they are, from 0 on.
  const double zero = seconds.front() > kLongest || seconds.front() < 0 ? seconds.front() : 0;
  for (double& moment : seconds) {
    moment = (moment - zero) / options.speed;
  }
  if (seconds.back() > kLongest) {
    return fail(ErrorCode::kInvalidArgument, "the trace is longer than 100 days");
  }
  // The run has to last beyond the last request for it to belong to the run.
  const Duration length(std::llround(seconds.back() * 1e9) + 1'000'000);
  return Trace{.shape = moments(std::move(seconds)), .length = length};
}

}  // namespace

Result<Trace> parse_trace(std::string_view csv, TraceOptions options) {
  const auto lines = split(csv, '\n');
  const auto header = split(lines[0], ',');
  if (const std::size_t column = first_minute_column(header); column != std::string_view::npos) {
    return parse_azure(lines, column, options);
  }
  if (header.size() == 2 && header[0] == "minute" && header[1] == "count") {
    return parse_minutes(lines, options);
  }
  if (options.scale != 1) {
    return fail(ErrorCode::kInvalidArgument, "--trace-scale is for counts, and this has moments");
  }
  return parse_moments(lines, options);
}

}  // namespace podsense::load
