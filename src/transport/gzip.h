#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::transport {

/// How bytes are coded, as Content-Encoding says.
enum class Coding : std::uint8_t { kIdentity, kGzip, kDeflate };

enum class Effort : std::uint8_t { kUsual, kLeast };

/// `text` in the zlib format (RFC 1950) for kDeflate, as gzip otherwise. @errors kInternal: no
/// memory
Result<std::string> compress(std::string_view text, Coding coding, Effort effort = Effort::kUsual);

/// Undoes gzip or deflate in slices, so that an I/O thread can do other work in between. Owns zlib.
/// @source RFC 1952; RFC 9110 8.4.1.2: deflate is the zlib format, RFC 1950. Some clients send
///         RFC 1951 alone; both are taken.
class Inflater {
 public:
  /// Borrows `compressed`; what comes out never grows beyond `max_bytes`.
  Inflater(std::string_view compressed, Coding coding, std::uint64_t max_bytes);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// At most 256 KiB of output more. True when all is done.
  /// @errors kInvalidArgument: another format, corrupt or truncated; kPayloadTooLarge
  Result<bool> step();
  [[nodiscard]] std::size_t size() const { return out_.size(); }
  std::string take() { return std::move(out_); }

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  Coding coding_;
  std::uint64_t max_bytes_;
  std::string out_;
};

/// All of it at once: for who may block, or has little. @errors as Inflater::step
Result<std::string> inflate(std::string_view compressed, Coding coding, std::uint64_t max_bytes);

}  // namespace podsense::transport
