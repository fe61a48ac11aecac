#pragma once

/// OTLP's protobuf messages, encoded by hand: there are only a dozen fields, and another module
/// owns protobuf. Internal to this module.
/// @source opentelemetry-proto 1.x, opentelemetry/proto/trace/v1/trace.proto and
///         collector/trace/v1/trace_service.proto; protobuf's encoding guide

#include <memory>
#include <string>
#include <vector>

#include "trace/trace.h"

namespace podsense::trace {

/// An ExportTraceServiceRequest with the spans of finished requests.
std::string encode(const Options& options, const std::vector<std::shared_ptr<Request>>& requests);

/// The number of spans that `encode` writes for `request`.
std::size_t span_count(const Request& request);

/// Spans that a collector rejected in a successful response, and why.
/// @source opentelemetry-proto, ExportTracePartialSuccess
struct PartialSuccess {
  std::uint64_t rejected = 0;
  std::string message;
};
PartialSuccess read_partial_success(std::string_view body);

}  // namespace podsense::trace
