#pragma once

/// Recorded load, to be sent again. Two forms of CSV:
///
///   moments   one request a line, with its time: seconds (0.25), seconds, milliseconds,
///             microseconds or nanoseconds since 1970, or a date (2021-01-31T00:00:05.5+01:00;
///             2021-01-31 00:00:05,123 as Python logs it: 3, 6 or 9 digits). It is in the first
///             column, or in the one that a header calls time, timestamp, ts, moment, date,
///             datetime, seconds or epoch.
///   counts    requests per minute: columns `minute` and `count`, or the form of the Azure
///   Functions
///             dataset, one function a line and columns 1, 2, … 1440, which are added up
///
/// @source Azure Functions Trace 2019 (invocations_per_function_md): HashOwner, HashApp,
/// HashFunction, Trigger, then a column per minute of the day; RFC 3339 for dates

#include <memory>
#include <string_view>

#include "arrivals/arrivals.h"
#include "base/error.h"
#include "text/csv.h"

namespace podsense::arrivals {

struct ArrivalTraceOptions {
  double speed = 1;  ///< 2: in half the time
  double scale = 1;  ///< counts only: times so many
  text::HeaderLine header = text::HeaderLine::kGuess;
  bool keep_offset = false;  ///< moments in seconds: from 0 on, not from the first of them
};
struct ArrivalTrace {
  std::unique_ptr<ArrivalShape> shape;
  Duration length{};  ///< up to the last request, or the end of the last minute
};

/// @errors kInvalidArgument names line and column
Result<ArrivalTrace> parse_arrival_trace(std::string_view csv, ArrivalTraceOptions options);

}  // namespace podsense::arrivals
