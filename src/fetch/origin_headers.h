#pragma once

/// Headers that go to one origin alone, such as the token of a private bucket. Read from a file, so
/// that they stand in no configuration that is printed.

#include <string>
#include <vector>

#include "fetch/fetch.h"

namespace podsense::fetch {

struct OriginHeader {
  std::string origin;  ///< as CheckedUrl::origin
  std::string line;    ///< "Name: value"
};

/// Options::headers_file; none where it is empty. A line is an origin, a name and a value,
/// `https://bucket.example.com Authorization: Bearer abc`; empty ones and those that begin with '#'
/// are passed over.
/// @errors kInvalidArgument: unreadable, over 64 KiB, or a line that is none or whose origin the
///         policy refuses, named by its number and never quoted
Result<std::vector<OriginHeader>> read_headers(const Options& options);

}  // namespace podsense::fetch
