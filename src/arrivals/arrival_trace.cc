#include "arrivals/arrival_trace.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <optional>
#include <string>

#include "text/numbers.h"
#include "text/split.h"

namespace podsense::arrivals {
namespace {

constexpr double kMinute = 60;
constexpr double kLongest = 1e7;  ///< seconds: more than a hundred days is a slip
constexpr double kMostRate = 1e6;

constexpr std::array<std::string_view, 10> kTimeColumns{
    "time",     "timestamp", "ts",    "moment",     "date",
    "datetime", "seconds",   "epoch", "@timestamp", "at"};

using Records = std::vector<text::CsvRecord>;
using Names = std::vector<std::string>;
constexpr std::size_t kNone = std::string::npos;

tl::unexpected<Error> bad_field(const text::CsvRecord& record, std::size_t field,
                                std::string_view why) {
  const bool there = field < record.fields.size();
  const std::string text = there ? "'" + record.fields[field].text.substr(0, 40) + "' " : "";
  return text::bad_csv(record.line, there ? record.fields[field].column : record.raw.size() + 1,
                       text + std::string(why));
}

constexpr std::string_view kNoMoment =
    "is no moment; accepted: seconds (0.25), seconds to nanoseconds since 1970, or "
    "2021-01-31T00:00:05.5Z, in the first column or in one that the first line calls time or "
    "timestamp; or counts with a first line minute,count";

Names lower_names(const text::CsvRecord& record) {
  Names names;
  for (const text::CsvField& field : record.fields) {
    std::string name(text::trim(field.text));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    names.push_back(std::move(name));
  }
  return names;
}

std::size_t find_name(const Names& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  return found == names.end() ? kNone : static_cast<std::size_t>(found - names.begin());
}

std::size_t time_column(const Names& names) {
  for (const std::string_view name : kTimeColumns) {
    if (const std::size_t at = find_name(names, name); at != kNone) {
      return at;
    }
  }
  return kNone;
}

// --- dates

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

/// Seconds east of UTC of Z, UTC, +01:00, +0100, +01 and nothing, which counts as UTC.
std::optional<double> parse_zone(std::string_view text) {
  text = text::trim(text);
  if (text.empty() || text == "Z" || text == "z" || text == "UTC" || text == "GMT") {
    return 0;
  }
  const double sign = text[0] == '-' ? -1 : 1;
  if (text[0] != '+' && text[0] != '-') {
    return std::nullopt;
  }
  std::string plain(text.substr(1));
  std::erase(plain, ':');
  const auto hours = digits(plain, 0, 2);
  const auto minutes = plain.size() > 2 ? digits(plain, 2, 2) : std::optional(0);
  if ((plain.size() != 2 && plain.size() != 4) || !hours || !minutes || *hours > 23 ||
      *minutes > 59) {
    return std::nullopt;
  }
  return sign * (*hours * 3600 + *minutes * 60);
}

/// Seconds since 1970 of 2021-01-31T00:00:05.25Z; a blank for the T, a comma for the point and
/// other zones are accepted, and seconds may be left out.
std::optional<double> parse_date(std::string_view text) {
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  if (!year || !month || !day || !hour || !minute || text[4] != '-' || text[7] != '-' ||
      (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':') {
    return std::nullopt;
  }
  std::string_view rest = text.substr(16);
  double second = 0;
  if (rest.starts_with(':')) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find_first_not_of("0123456789.,"), rest.size());
    std::string number(rest.substr(0, end));
    std::ranges::replace(number, ',', '.');
    const auto parsed = text::parse_number(number);
    if (!parsed || number.size() < 2) {
      return std::nullopt;
    }
    second = *parsed;
    rest.remove_prefix(end);
  }
  const auto zone = parse_zone(rest);
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(unsigned(*month)),
                                         std::chrono::day(unsigned(*day))};
  if (!date.ok() || !zone || second < 0 || second >= 61 || *hour > 23 || *minute > 59) {
    return std::nullopt;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<double>(days) * 86400 + *hour * 3600 + *minute * 60 + second - *zone;
}

// --- counts

/// Counts per minute become a rate that is constant for the minute.
Result<ArrivalTrace> from_counts(const std::vector<double>& counts,
                                 const ArrivalTraceOptions& options) {
  std::vector<Stretch> parts;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double seconds = kMinute / options.speed;
    const double rate = counts[i] * options.scale / seconds;
    if (rate > kMostRate) {
      return fail(ErrorCode::kInvalidArgument,
                  "minute " + std::to_string(i) + " asks for " + text::format_number(rate) +
                      " requests a second; accepted: 1,000,000 at most");
    }
    parts.push_back({.seconds = seconds, .from = rate, .to = rate});
  }
  const double length = kMinute / options.speed * static_cast<double>(counts.size());
  return ArrivalTrace{.shape = stretches(std::move(parts)),
                      .length = Duration(std::llround(length * 1e9))};
}

/// The column at which minutes begin when the first line is `…,1,2,3,…`.
std::size_t first_minute_column(const Names& names) {
  for (std::size_t i = 1; i + 1 < names.size(); ++i) {
    if (names[i] == "1" && names[i + 1] == "2" && !text::parse_number(names[0])) {
      return i;
    }
  }
  return kNone;
}

std::optional<double> parse_count(const text::CsvRecord& record, std::size_t field) {
  const auto count = field < record.fields.size()
                         ? text::parse_number(text::trim(record.fields[field].text))
                         : std::nullopt;
  return count && *count >= 0 && *count <= 1e9 ? count : std::nullopt;
}

constexpr std::string_view kNoCount = "is no count; accepted: 0 to 1,000,000,000";

Result<ArrivalTrace> parse_azure(const Records& records, std::size_t column,
                                 const ArrivalTraceOptions& options) {
  std::vector<double> counts;
  for (auto record = records.begin() + 1; record != records.end(); ++record) {
    for (std::size_t k = column; k < record->fields.size(); ++k) {
      const auto count = parse_count(*record, k);
      if (!count) {
        return bad_field(*record, k, kNoCount);
      }
      counts.resize(std::max(counts.size(), k - column + 1));
      counts[k - column] += *count;
    }
  }
  if (counts.empty()) {
    return text::bad_csv(1, 1, "there are no counts after the first line");
  }
  return from_counts(counts, options);
}

struct CountColumns {
  std::size_t minute = kNone;
  std::size_t count = kNone;
};

Result<ArrivalTrace> parse_minutes(const Records& records, CountColumns columns,
                                   const ArrivalTraceOptions& options) {
  std::vector<std::pair<std::size_t, double>> minutes;
  for (auto record = records.begin() + 1; record != records.end(); ++record) {
    const auto minute = parse_count(*record, columns.minute);
    if (!minute || *minute != std::floor(*minute) || *minute * kMinute > kLongest) {
      return bad_field(*record, columns.minute, "is no minute; accepted: whole numbers from 0");
    }
    const auto count = parse_count(*record, columns.count);
    if (!count) {
      return bad_field(*record, columns.count, kNoCount);
    }
    minutes.emplace_back(static_cast<std::size_t>(*minute), *count);
  }
  if (minutes.empty()) {
    return text::bad_csv(1, 1, "there are no counts after the first line");
  }
  const std::size_t first = options.keep_offset ? 0 : std::ranges::min_element(minutes)->first;
  std::vector<double> counts;
  for (const auto& [minute, count] : minutes) {
    counts.resize(std::max(counts.size(), minute - first + 1));
    counts[minute - first] += count;
  }
  return from_counts(counts, options);
}

// --- moments

struct Moment {
  double seconds = 0;
  bool is_date = false;
};

/// Where moments are in a file.
struct TimeColumn {
  std::size_t at = 0;
  std::size_t names = 0;  ///< of a first line; 0: there is none
};

/// What follows the comma in `2021-01-31 00:00:05,123 - INFO`, as Python logs it, or `…:05,123Z`:
/// milli-, micro- or nanoseconds, and a zone; nothing where the field is something of its own.
std::optional<std::string> comma_fraction(std::string_view text) {
  const std::size_t count = std::min(text.find_first_not_of("0123456789"), text.size());
  if (count != 3 && count != 6 && count != 9) {
    return std::nullopt;
  }
  const std::string_view zone = text.substr(count, text.find(' ', count) - count);
  return parse_zone(zone) ? std::optional("," + std::string(text.substr(0, count + zone.size())))
                          : std::nullopt;
}

/// The comma before a fraction of seconds ends a field unless that is quoted: then the fraction is
/// the next one.
Result<std::string> with_fraction(const text::CsvRecord& record, TimeColumn column) {
  const text::CsvField& field = record.fields[column.at];
  const std::size_t next = column.at + 1;
  std::string text(text::trim(field.text));
  const bool whole = text.size() == 19 && digits(text, 17, 2);
  if (field.quoted || !whole || next >= record.fields.size() || record.fields[next].quoted) {
    return text;
  }
  const auto fraction = comma_fraction(record.fields[next].text);
  if (!fraction || (column.names > 0 && record.fields.size() != column.names + 1)) {
    return text;
  }
  const std::string& after = record.fields[next].text;
  const bool bare = after.find_first_not_of("0123456789") == after.npos;
  if (column.names == 0 && bare && next + 1 < record.fields.size()) {
    return bad_field(record, next,
                     "may be a fraction of the second, or a column: put the time into quotes, or "
                     "name the columns in a first line");
  }
  return text + *fraction;
}

/// "0,1;a": a decimal comma, and semicolons between fields.
bool has_semicolons(const text::CsvRecord& record) {
  const auto all_digits = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  };
  if (record.fields.size() < 2 || !all_digits(record.fields[0].text)) {
    return false;
  }
  const std::string_view second = record.fields[1].text;
  const std::size_t sign = second.find(';');
  return sign != second.npos && all_digits(second.substr(0, sign));
}

Result<Moment> parse_moment(const text::CsvRecord& record, TimeColumn column) {
  const auto refused = [&] { return bad_field(record, column.at, kNoMoment); };
  if (column.at >= record.fields.size()) {
    return refused();
  }
  if (has_semicolons(record)) {
    return bad_field(record, 1,
                     "has a semicolon: fields are separated by commas, and numbers have "
                     "points; accepted: 0.25,…");
  }
  auto text = with_fraction(record, column);
  if (!text) {
    return fail(std::move(text.error()));
  }
  const bool joined = text->find(',') != text->npos && !record.fields[column.at].quoted;
  const std::size_t fields = record.fields.size() - (joined ? 1 : 0);
  if (column.names > 0 && fields != column.names) {
    const std::size_t from = std::min(column.names, record.fields.size());
    return text::bad_csv(record.line,
                         fields > column.names ? record.fields[from].column : record.raw.size() + 1,
                         "the record has " + std::to_string(record.fields.size()) +
                             " fields, the first line " + std::to_string(column.names));
  }
  if (const auto number = text::parse_number(*text)) {
    return Moment{.seconds = *number};
  }
  const auto date = parse_date(*text);
  return date ? Result<Moment>(Moment{.seconds = *date, .is_date = true}) : refused();
}

/// What one second is in numbers of this size: since 1970 it is 1.7e9 seconds, 1.7e12 ms, …
/// 0: they are no moments since 1970.
double epoch_unit(double largest) {
  constexpr double kSince1973 = 1e8;
  for (const double unit : {1e9, 1e6, 1e3, 1.0}) {
    if (largest >= kSince1973 * unit) {
      return unit;
    }
  }
  return 0;
}

Result<std::vector<double>> read_moments(const Records& records, TimeColumn column, bool& dates) {
  std::vector<double> seconds;
  for (auto record = records.begin() + (column.names > 0 ? 1 : 0); record != records.end();
       ++record) {
    auto moment = parse_moment(*record, column);
    if (!moment) {
      return fail(std::move(moment.error()));
    }
    if (!seconds.empty() && moment->is_date != dates) {
      return bad_field(*record, column.at,
                       dates ? "is a number among dates" : "is a date among numbers");
    }
    dates = moment->is_date;
    seconds.push_back(moment->seconds);
  }
  if (seconds.empty()) {
    return text::bad_csv(1, 1, "there is no moment");
  }
  std::ranges::sort(seconds);
  return seconds;
}

Result<ArrivalTrace> parse_moments(const Records& records, TimeColumn column,
                                   const ArrivalTraceOptions& options) {
  if (options.scale != 1) {
    return fail(ErrorCode::kInvalidArgument, "--trace-scale is for counts, and this has moments");
  }
  bool dates = false;
  auto seconds = read_moments(records, column, dates);
  if (!seconds) {
    return fail(std::move(seconds.error()));
  }
  const double unit = dates ? 1 : epoch_unit(seconds->back());
  const bool plain = unit == 0;
  if (options.keep_offset && !plain) {
    return fail(ErrorCode::kInvalidArgument,
                "--keep-offset is for moments in seconds from 0 on, and these are dates");
  }
  if (options.keep_offset && seconds->front() < 0) {
    return fail(ErrorCode::kInvalidArgument, "--keep-offset: there are moments before 0");
  }
  const double zero = options.keep_offset ? 0 : seconds->front();
  for (double& moment : *seconds) {
    moment = (moment - zero) / (plain ? 1 : unit) / options.speed;
  }
  if (seconds->back() > kLongest) {
    return fail(ErrorCode::kInvalidArgument, "the trace is longer than 100 days");
  }
  // The run has to last beyond the last request for it to belong to the run.
  const Duration length(std::llround(seconds->back() * 1e9) + 1'000'000);
  return ArrivalTrace{.shape = moments(std::move(*seconds)), .length = length};
}

}  // namespace

Result<ArrivalTrace> parse_arrival_trace(std::string_view csv, ArrivalTraceOptions options) {
  auto records = text::parse_csv(csv);
  if (!records) {
    return fail(std::move(records.error()));
  }
  if (records->empty()) {
    return text::bad_csv(1, 1, "there is no moment");
  }
  const Names names = lower_names(records->front());
  if (options.header != text::HeaderLine::kNo) {
    const std::size_t azure = first_minute_column(names);
    const CountColumns counts{.minute = find_name(names, "minute"),
                              .count = find_name(names, "count")};
    if (azure != kNone) {
      return parse_azure(*records, azure, options);
    }
    if (counts.minute != kNone && counts.count != kNone) {
      return parse_minutes(*records, counts, options);
    }
  }
  const std::size_t named = options.header == text::HeaderLine::kNo ? kNone : time_column(names);
  const bool header = options.header == text::HeaderLine::kYes || named != kNone;
  return parse_moments(
      *records, {.at = named == kNone ? 0 : named, .names = header ? names.size() : 0}, options);
}

}  // namespace podsense::arrivals
