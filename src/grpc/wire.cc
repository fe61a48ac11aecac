#include "grpc/wire.h"

#include <google/protobuf/message_lite.h>

#include <array>
#include <charconv>
#include <limits>

namespace podsense::grpc {
namespace {

/// Messages up to this size are not counted: the connection's memory covers them.
constexpr std::uint64_t kUncounted = 4U << 10U;
constexpr std::size_t kMostTimeoutDigits = 8;

void write_prefix(char* at, bool compressed, std::size_t size) {
  at[0] = compressed ? 1 : 0;
  for (int i = 0; i < 4; ++i) {
    at[1 + i] = static_cast<char>(size >> static_cast<unsigned>(24 - 8 * i) & 255U);
  }
}

std::uint32_t read_size(std::string_view prefix) {
  std::uint32_t size = 0;
  for (std::size_t i = 1; i < kPrefixSize; ++i) {
    size = size << 8U | static_cast<unsigned char>(prefix[i]);
  }
  return size;
}

}  // namespace

Result<transport::Coding> compression_of(std::string_view name) {
  if (name.empty() || name == "identity") {
    return transport::Coding::kIdentity;
  }
  if (name == "gzip") {
    return transport::Coding::kGzip;
  }
  if (name == "deflate") {
    return transport::Coding::kDeflate;
  }
  return fail(ErrorCode::kUnimplemented, "grpc-encoding is '" + std::string(name.substr(0, 32)) +
                                             "'; accepted: identity, gzip, deflate");
}

std::string_view name_of(transport::Coding compression) {
  return compression == transport::Coding::kGzip      ? "gzip"
         : compression == transport::Coding::kDeflate ? "deflate"
                                                      : "identity";
}

Result<std::string> frame(const google::protobuf::MessageLite& message,
                          transport::Coding compression) {
  const std::size_t size = message.ByteSizeLong();
  if (size > std::numeric_limits<std::int32_t>::max()) {
    return fail(ErrorCode::kInternal, "the answer has more than 2 GiB");
  }
  std::string out;
  // libstdc++ 12 passes the capacity instead of the size.
  out.resize_and_overwrite(kPrefixSize + size, [&](char* at, std::size_t /*capacity*/) {
    write_prefix(at, false, size);
    message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(at + kPrefixSize));
    return kPrefixSize + size;
  });
  if (compression == transport::Coding::kIdentity) {
    return out;
  }
  auto small = transport::compress(std::string_view(out).substr(kPrefixSize), compression);
  if (!small) {
    return small;
  }
  std::array<char, kPrefixSize> prefix{};
  write_prefix(prefix.data(), true, small->size());
  return std::string(prefix.data(), prefix.size()) + *small;
}

Result<Duration> parse_timeout(std::string_view text) {
  std::int64_t count = 0;
  const auto bad = [&] {
    return fail(ErrorCode::kInvalidArgument,
                "grpc-timeout is '" + std::string(text.substr(0, 32)) +
                    "'; it must be up to 8 digits and one of H, M, S, m, u, n");
  };
  if (text.size() < 2 || text.size() > kMostTimeoutDigits + 1) {
    return bad();
  }
  const std::string_view digits = text.substr(0, text.size() - 1);
  const auto [stop, error] = std::from_chars(digits.begin(), digits.end(), count);
  if (error != std::errc() || stop != digits.end() || count < 0) {
    return bad();
  }
  switch (text.back()) {
    case 'H':
      return std::chrono::hours(count);
    case 'M':
      return std::chrono::minutes(count);
    case 'S':
      return std::chrono::seconds(count);
    case 'm':
      return std::chrono::milliseconds(count);
    case 'u':
      return std::chrono::microseconds(count);
    case 'n':
      return std::chrono::nanoseconds(count);
    default:
      return bad();
  }
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

std::uint64_t MessageReader::missing() const {
  if (held_.size() < kPrefixSize) {
    return 0;
  }
  const std::uint64_t whole = kPrefixSize + std::uint64_t{read_size(held_)};
  return whole - std::min<std::uint64_t>(whole, held_.size());
}

Result<void> MessageReader::count(std::uint64_t size) {
  memory_.reset();
  if (size <= kUncounted || budget_ == nullptr) {
    return {};
  }
  memory_ = std::make_shared<MemoryBudget::Share>(MemoryBudget::share(budget_, MemoryUse::kBodies));
  return memory_->grow_to(2 * size);  // for the bytes, and for the message parsed from them
}

/// Counts the kept bytes after the first message.
Result<void> MessageReader::count_waiting() {
  const std::uint64_t first =
      held_.size() < kPrefixSize ? kPrefixSize : kPrefixSize + std::uint64_t{read_size(held_)};
  const std::uint64_t rest = held_.size() - std::min<std::uint64_t>(first, held_.size());
  if (rest > kUncounted) {
    return waiting_.grow_to(rest);
  }
  waiting_.give_back();
  return {};
}

Result<std::string> MessageReader::inflate(std::string_view bytes) const {
  return transport::inflate(bytes, compression_, max_inflated_);
}

Result<std::optional<std::size_t>> MessageReader::next(std::string_view bytes, const Take& take,
                                                       bool& more) {
  if (bytes.size() < kPrefixSize) {
    return std::nullopt;
  }
  const std::uint64_t size = read_size(bytes);
  if (size > max_message_) {
    return fail(ErrorCode::kPayloadTooLarge, "the message has " + std::to_string(size) +
                                                 " bytes; accepted are up to " +
                                                 std::to_string(max_message_));
  }
  if (bytes[0] > 1 || bytes[0] < 0 ||
      (bytes[0] == 1 && compression_ == transport::Coding::kIdentity)) {
    return fail(ErrorCode::kInternal,
                bytes[0] == 1 ? "the message is compressed, and grpc-encoding does not say how"
                              : "the message's prefix begins with neither 0 nor 1");
  }
  const std::size_t whole = kPrefixSize + size;
  if (bytes.size() < whole) {
    return std::nullopt;
  }
  const std::string_view message = bytes.substr(kPrefixSize, size);
  compressed_ = bytes[0] == 1;
  if (compressed_) {
    const auto plain = inflate(message);
    if (!plain) {
      return fail(plain.error());
    }
    more = take(*plain);
  } else {
    more = take(message);
  }
  return whole;
}

Result<void> MessageReader::feed(std::string_view bytes, const Take& take) {
  const bool was_held = !held_.empty();
  if (was_held) {
    held_ += bytes;
    bytes = held_;
  }
  bool more = true;
  std::size_t used = 0;
  while (more && used < bytes.size()) {
    const std::string_view rest = bytes.substr(used);
    if (rest.size() >= kPrefixSize && !(was_held && used == 0 && memory_)) {
      if (auto counted = count(read_size(rest)); !counted && read_size(rest) <= max_message_) {
        return counted;
      }
    }
    const auto one = next(rest, take, more);
    if (!one) {
      return fail(one.error());
    }
    if (!*one) {
      break;
    }
    used += **one;
    memory_.reset();
  }
  if (was_held) {
    held_.erase(0, used);
  } else {
    held_.assign(bytes.substr(used));
  }
  if (held_.empty() && held_.capacity() > kUncounted) {
    std::string().swap(held_);
  } else if (held_.size() >= kPrefixSize) {
    held_.reserve(std::min<std::uint64_t>(kPrefixSize + std::uint64_t{read_size(held_)},
                                          kPrefixSize + max_message_));
  }
  return count_waiting();
}

}  // namespace podsense::grpc
