#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::transport {

/// The codings of Content-Encoding.
enum class Coding : std::uint8_t { kIdentity, kGzip, kDeflate };

enum class Effort : std::uint8_t { kUsual, kLeast };

/// Compresses `text`: zlib format (RFC 1950) for kDeflate, otherwise gzip. @errors kInternal: no
/// memory
Result<std::string> compress(std::string_view text, Coding coding, Effort effort = Effort::kUsual);

/// Decompresses gzip or deflate in slices, so that an I/O thread can do other work in between. Owns
/// zlib.
/// @source RFC 1952; RFC 9110 8.4.1.2: deflate is the zlib format, RFC 1950. Some clients send raw
/// RFC 1951; both are accepted.
class Inflater {
 public:
  /// Borrows `compressed`. The output never exceeds `max_bytes`.
  Inflater(std::string_view compressed, Coding coding, std::uint64_t max_bytes);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Decompresses up to 256 KiB more of output. True when everything is decompressed.
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

/// Decompresses everything in one call: for callers that may block, or small inputs. @errors as
/// Inflater::step
Result<std::string> inflate(std::string_view compressed, Coding coding, std::uint64_t max_bytes);

}  // namespace podsense::transport
