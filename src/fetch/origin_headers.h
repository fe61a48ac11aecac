#pragma once

/// Headers for a single origin, such as the token of a private bucket. They are in a file, so that
/// printed configuration does not contain them.

#include <string>
#include <vector>

#include "fetch/fetch.h"

namespace podsense::fetch {

struct OriginHeader {
  std::string origin;  ///< as CheckedUrl::origin
  std::string line;    ///< "Name: value"
};

/// Reads Options::headers_file; empty if there is none. A line has an origin, a name and a value:
/// `https://bucket.example.com Authorization: Bearer abc`. Empty lines and lines that start with
/// '#' are ignored.
/// @errors kInvalidArgument: unreadable, over 64 KiB, an invalid line, or an origin that the policy
/// refuses; the message contains the line's number but never its text
Result<std::vector<OriginHeader>> read_headers(const Options& options);

}  // namespace podsense::fetch
