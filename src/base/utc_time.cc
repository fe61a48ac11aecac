#include "base/utc_time.h"

#include <algorithm>
#include <string_view>

namespace podsense {
namespace {

using std::chrono::sys_seconds;

void append_digits(std::string& out, int value, int digits) {
  const auto at = out.size();
  out.resize(at + static_cast<std::size_t>(digits));
  for (auto i = out.size(); i > at; value /= 10) {
    out[--i] = static_cast<char>('0' + value % 10);
  }
}

void append_seconds(std::string& out, sys_seconds time) {
  constexpr int kLastYear = 9999;
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  append_digits(out, std::clamp(static_cast<int>(date.year()), 0, kLastYear), 4);
  out += '-';
  append_digits(out, static_cast<int>(static_cast<unsigned>(date.month())), 2);
  out += '-';
  append_digits(out, static_cast<int>(static_cast<unsigned>(date.day())), 2);
  out += 'T';
  append_digits(out, static_cast<int>(clock.hours().count()), 2);
  out += ':';
  append_digits(out, static_cast<int>(clock.minutes().count()), 2);
  out += ':';
  append_digits(out, static_cast<int>(clock.seconds().count()), 2);
}

}  // namespace

void append_utc(std::string& out, std::chrono::system_clock::time_point time) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(ms);
  append_seconds(out, seconds);
  out += '.';
  append_digits(out, static_cast<int>((ms - seconds).count()), 3);
  out += 'Z';
}

std::string utc_text(std::int64_t unix_seconds) {
  // From before year 0 to the end of year 9999, the years that append_seconds can tell apart.
  constexpr std::int64_t kFirst = -63'000'000'000;
  constexpr std::int64_t kLast = 253'402'300'799;
  std::string out;
  append_seconds(out, sys_seconds(std::chrono::seconds(std::clamp(unix_seconds, kFirst, kLast))));
  return out += 'Z';
}

}  // namespace podsense
