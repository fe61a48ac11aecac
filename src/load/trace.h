#pragma once

/// Recorded load, to be sent again. Two forms of CSV, told apart by their first line:
///
///   moments   one request a line, its time first: seconds (0.25), or a date
///   (2021-01-31T00:00:05.5Z) counts    requests per minute: `minute,count` lines, or the form of
///   the Azure Functions dataset,
///             one function a line and columns 1, 2, … 1440, which are added up
///
/// @source Azure Functions Trace 2019 (invocations_per_function_md): HashOwner, HashApp,
/// HashFunction, Trigger, then a column per minute of the day

#include <memory>
#include <string_view>

#include "base/error.h"
#include "load/arrivals.h"

namespace podsense::load {

struct TraceOptions {
  double speed = 1;  ///< 2: in half the time
  double scale = 1;  ///< counts only: times so many
};
struct Trace {
  std::unique_ptr<Shape> shape;
  Duration length{};  ///< up to the last request, or the end of the last minute
};

/// @errors kInvalidArgument names the line
Result<Trace> parse_trace(std::string_view csv, TraceOptions options);

}  // namespace podsense::load
