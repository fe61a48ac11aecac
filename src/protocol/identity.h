#pragma once

/// Who a request is: its id.

#include <string>
#include <string_view>

namespace podsense::protocol {

/// 32 hexadecimal digits, unique in practice. @threads thread-safe (a generator per thread)
std::string new_request_id();
/// The same in place of what `id` holds, in its memory.
void renew_request_id(std::string& id);

/// 1 to 128 of [A-Za-z0-9._:/+=@-]: fit for a header and a log line as it is.
bool valid_request_id(std::string_view id);

}  // namespace podsense::protocol
