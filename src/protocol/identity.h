#pragma once

/// Request ids.

#include <string>
#include <string_view>

namespace podsense::protocol {

/// A new id of 32 hexadecimal digits, unique in practice. @threads thread-safe (a generator per
/// thread)
std::string new_request_id();
/// Replaces `id` by a new id and reuses its memory.
void renew_request_id(std::string& id);

/// Whether `id` has 1 to 128 characters of [A-Za-z0-9._:/+=@-], which are safe in headers and logs.
bool valid_request_id(std::string_view id);

}  // namespace podsense::protocol
