#pragma once

/// Who a request is: its id and its place in a trace.

#include <string>
#include <string_view>

namespace podsense::http {

/// 32 hexadecimal digits, unique in practice. @threads thread-safe (a generator per thread)
std::string new_request_id();

/// 1 to 128 of [A-Za-z0-9._:/+=@-]: fit for a header and a log line as it is.
bool valid_request_id(std::string_view id);

/// The `traceparent` for what this server does on behalf of `parent`: the same trace, a span of its
/// own. Empty when `parent` is not a valid one.
/// @source W3C Trace Context, section 3.2
std::string child_traceparent(std::string_view parent);

}  // namespace podsense::http
