#pragma once

/// OTLP's protobuf messages, written by hand: a dozen fields need no generated code, and protobuf
/// belongs to another module. Internal to this module.
/// @source opentelemetry-proto 1.x, opentelemetry/proto/trace/v1/trace.proto and
///         collector/trace/v1/trace_service.proto; protobuf's encoding guide

#include <memory>
#include <string>
#include <vector>

#include "trace/trace.h"

namespace podsense::trace {

/// An ExportTraceServiceRequest of finished requests.
std::string encode(const Options& options, const std::vector<std::shared_ptr<Request>>& requests);

/// Spans that `encode` writes for it.
std::size_t span_count(const Request& request);

/// The spans that a collector says it refused in an answer of success, and why.
/// @source opentelemetry-proto, ExportTracePartialSuccess
struct PartialSuccess {
  std::uint64_t rejected = 0;
  std::string message;
};
PartialSuccess read_partial_success(std::string_view body);

}  // namespace podsense::trace
