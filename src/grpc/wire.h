#pragma once

/// gRPC's own forms above HTTP/2: message prefixes, timeouts, status texts.
/// Pure. Private to this module.
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

/// How a call's messages may be compressed, by `grpc-encoding`. @errors kUnimplemented: another
Result<transport::Coding> compression_of(std::string_view name);

/// As `grpc-encoding` has it.
std::string_view name_of(transport::Coding compression);

/// `message` behind its prefix. @errors kInternal: it cannot be written, or has 4 GiB
Result<std::string> frame(const google::protobuf::MessageLite& message,
                          transport::Coding compression = transport::Coding::kIdentity);

/// "250m", "3S". @errors kInvalidArgument: no timeout
Result<Duration> parse_timeout(std::string_view text);

/// `%XX` for what is not printable ASCII, and for '%'.
std::string percent_encode(std::string_view text);

/// Cuts a call's bytes into messages. What is not a whole message yet is kept, and counted before;
/// what a taker does not want yet is kept, and counted, too.
class MessageReader {
 public:
  /// `budget`: null: nothing is counted.
  MessageReader(std::uint64_t max_message, std::uint64_t max_inflated, MemoryBudget* budget)
      : max_message_(max_message), max_inflated_(max_inflated), budget_(budget) {}

  void set_compression(transport::Coding compression) { compression_ = compression; }

  /// One message; `bytes` live until it returns. False: give no more of them now.
  using Take = std::function<bool(std::string_view bytes)>;
  /// Hands on every message that is whole. After an error nothing more may be given.
  /// @errors kPayloadTooLarge; kOverloaded: no memory; kInvalidArgument: no message
  Result<void> feed(std::string_view bytes, const Take& take);
  /// The same with what was kept because `take` wanted no more.
  Result<void> resume(const Take& take) { return feed({}, take); }

  /// Bytes that the message that has begun still lacks; 0: its size is not known.
  [[nodiscard]] std::uint64_t missing() const;
  /// Something of a message is there.
  [[nodiscard]] bool begun() const { return !held_.empty(); }
  /// Whether the message that `take` is given came compressed.
  [[nodiscard]] bool compressed() const { return compressed_; }
  /// Of the message that `take` is given; null: too few bytes to count.
  [[nodiscard]] const std::shared_ptr<MemoryBudget::Share>& memory() const { return memory_; }

 private:
  /// What of `bytes` is used; nothing when they hold no whole message.
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
