#pragma once

/// How many connections a run over HTTP/2 has, and what each carries. Private to the module.

#include "load/clients/http2_transport.h"
#include "load/clients/http_transport.h"
#include "load/job.h"

namespace podsense::load {

/// Adds the target to `job.make`, and its connections to what the report says. An open loop begins
/// with a few connections of many streams each; the workers of a closed loop fill as many as they
/// need, each with one of its own unless `options.streams` says more.
void add_http2(Http2TransportOptions transport, const LoadOptions& options, Job& job);

/// The same requests as over HTTP/1.1, over HTTP/2.
/// @errors kInvalidArgument: a method or header that HTTP/2 does not have
Result<void> add_http2(const HttpTransportOptions& http, const LoadOptions& options, Job& job);

}  // namespace podsense::load
