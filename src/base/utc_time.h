#pragma once

/// Writes times in RFC 3339, UTC, also for times before 1970.

#include <chrono>
#include <cstdint>
#include <string>

namespace podsense {

/// Appends "2026-11-22T08:05:00.123Z", rounded down to the millisecond. Years before 0 and after
/// 9999, which RFC 3339 cannot express, are written as 0000 and 9999.
void append_utc(std::string& out, std::chrono::system_clock::time_point time);

/// "2026-11-22T08:05:00Z" from seconds since 1970.
std::string utc_text(std::int64_t unix_seconds);

}  // namespace podsense
