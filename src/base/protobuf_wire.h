#pragma once

/// Writes protobuf's wire format, for modules that send only a dozen fields of a public message and
/// need no generated code.
/// @source protobuf.dev/programming-guides/encoding

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace podsense {

/// Appends the fields of one message, in the order of the calls.
class WireMessage {
 public:
  /// Bytes, a string or an embedded message.
  void bytes(unsigned field, std::string_view value) {
    key(field, 2);
    append_varint(out_, value.size());
    out_ += value;
  }
  /// A string; proto3 leaves out empty ones.
  void text(unsigned field, std::string_view value) {
    if (!value.empty()) {
      bytes(field, value);
    }
  }
  void message(unsigned field, const WireMessage& value) { bytes(field, value.out_); }
  /// int32, int64, uint32, uint64, bool, enum.
  void number(unsigned field, std::uint64_t value) {
    key(field, 0);
    append_varint(out_, value);
  }
  /// sint32, sint64.
  void signed_number(unsigned field, std::int64_t value) { number(field, zigzag(value)); }
  void fixed64(unsigned field, std::uint64_t value) {
    key(field, 1);
    for (unsigned byte = 0; byte < 8; ++byte) {
      out_ += static_cast<char>(value >> (8 * byte));
    }
  }
  void real(unsigned field, double value) { fixed64(field, std::bit_cast<std::uint64_t>(value)); }
  /// A packed repeated sint32 or sint64; nothing if `values` is empty.
  template <class Numbers>
  void packed_signed(unsigned field, const Numbers& values) {
    std::string packed;
    for (const std::int64_t value : values) {
      append_varint(packed, zigzag(value));
    }
    text(field, packed);
  }
  [[nodiscard]] const std::string& encoded() const { return out_; }
  [[nodiscard]] std::string take() { return std::move(out_); }

  static void append_varint(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) {
      out += static_cast<char>((value & 0x7FU) | 0x80U);
    }
    out += static_cast<char>(value);
  }

 private:
  static std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1U) ^ static_cast<std::uint64_t>(value >> 63U);
  }
  void key(unsigned field, unsigned wire_type) { append_varint(out_, (field << 3U) | wire_type); }
  std::string out_;
};

}  // namespace podsense
