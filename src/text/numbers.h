#pragma once

/// Numbers with units as people write them on a command line, and as a report prints them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace podsense::text {

/// The whole text as a finite decimal number.
std::optional<double> parse_number(std::string_view text);
/// A number as files have them (.5, 5., +1, 007) as JSON wants it; nothing where it is none, or not
/// finite.
std::optional<std::string> json_number(std::string_view text);
/// 250us, 50ms, 1.5s, 3m, 1h, 2m30s; a bare number is seconds. Not negative, at most 1,000 hours.
std::optional<Duration> parse_duration(std::string_view text);

/// Three digits with the unit that suits: 812 µs, 49.6 ms, 1.20 s.
std::string format_duration(Duration duration);
/// 1,234,567
std::string format_count(std::uint64_t count);
/// A rate or number with as many decimals as it needs for three digits.
std::string format_number(double value);
/// A share of one in percent, with three digits: 12.5 %
std::string format_share(double share);
/// The same to a tenth of a percent: 99.9 %
std::string format_share_tenths(double share);
/// The shortest decimal that reads back to the same number.
std::string format_rate(double value);
/// 1.25 MB (decimal units)
std::string format_bytes(std::uint64_t bytes);

}  // namespace podsense::text
