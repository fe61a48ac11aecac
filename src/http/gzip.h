#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::http {

/// Undoes gzip in slices, so that an I/O thread can do other work in between. Owns zlib.
/// @source RFC 1952
class Inflater {
 public:
  /// Borrows `compressed`; what comes out never grows beyond `max_bytes`.
  Inflater(std::string_view compressed, std::uint64_t max_bytes);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// At most 256 KiB of output more. True when all is done.
  /// @errors kInvalidArgument: not gzip, corrupt or truncated; kPayloadTooLarge
  Result<bool> step();
  std::string take() { return std::move(out_); }

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  std::uint64_t max_bytes_;
  std::string out_;
};

}  // namespace podsense::http
