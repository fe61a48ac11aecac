#pragma once

/// gRPC's encodings on top of HTTP/2: message prefixes, timeouts, status texts. Pure. Private to
/// this module.
/// @source gRPC over HTTP2, PROTOCOL-HTTP2.md

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory_budget.h"
#include "transport/gzip.h"

namespace google::protobuf {
class MessageLite;
}

namespace podsense::grpc {

/// A compressed flag, then the message's size in four bytes.
inline constexpr std::size_t kPrefixSize = 5;

/// Parses `grpc-encoding`. @errors kUnimplemented: unsupported compression
Result<transport::Coding> compression_of(std::string_view name);

/// The name in `grpc-encoding`.
std::string_view name_of(transport::Coding compression);

/// `message` with its prefix. @errors kInternal: it cannot be serialised, or exceeds 2 GiB
Result<std::string> frame(const google::protobuf::MessageLite& message,
                          transport::Coding compression = transport::Coding::kIdentity);

/// Parses "250m" or "3S". @errors kInvalidArgument: not a timeout
Result<Duration> parse_timeout(std::string_view text);

/// `%XX` for what is not printable ASCII, and for '%'.
std::string percent_encode(std::string_view text);

/// Splits a call's bytes into messages. Keeps incomplete messages, and messages that the receiver
/// does not accept yet; counts their memory first.
class MessageReader {
 public:
  /// `budget` null: nothing is counted.
  MessageReader(std::uint64_t max_message, std::uint64_t max_inflated, MemoryBudget* budget)
      : max_message_(max_message), max_inflated_(max_inflated), budget_(budget) {}

  void set_compression(transport::Coding compression) { compression_ = compression; }

  /// Receives one message; `bytes` are valid until it returns. False: accepts no more for now.
  using Take = std::function<bool(std::string_view bytes)>;
  /// Passes each complete message to `take`. Do not call it again after an error.
  /// @errors kPayloadTooLarge; kOverloaded: no memory; kInvalidArgument: invalid compressed data;
  /// kInternal: malformed prefix, or compressed without grpc-encoding
  Result<void> feed(std::string_view bytes, const Take& take);
  /// Like `feed`, for the messages kept because `take` returned false.
  Result<void> resume(const Take& take) { return feed({}, take); }

  /// Bytes missing to complete the current message; 0: its size is unknown.
  [[nodiscard]] std::uint64_t missing() const;
  /// Whether a message has begun.
  [[nodiscard]] bool begun() const { return !held_.empty(); }
  /// Whether the message passed to `take` was compressed.
  [[nodiscard]] bool compressed() const { return compressed_; }
  /// The memory of the message passed to `take`; null: too few bytes to count.
  [[nodiscard]] const std::shared_ptr<MemoryBudget::Share>& memory() const { return memory_; }

 private:
  /// The number of bytes used; nothing if `bytes` contain no complete message.
  Result<std::optional<std::size_t>> next(std::string_view bytes, const Take& take, bool& more);
  Result<void> count(std::uint64_t size);
  Result<void> count_waiting();
  Result<std::string> inflate(std::string_view bytes) const;

  const std::uint64_t max_message_;
  const std::uint64_t max_inflated_;
  MemoryBudget* const budget_;
  transport::Coding compression_ = transport::Coding::kIdentity;
  bool compressed_ = false;
  std::string held_;
  std::shared_ptr<MemoryBudget::Share> memory_;
  MemoryBudget::Share waiting_ = MemoryBudget::share(budget_, MemoryUse::kBodies);
};

}  // namespace podsense::grpc
