#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "protocol/form.h"
#include "protocol/json_syntax.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

constexpr std::uint8_t kSkip = 0xFD;
constexpr std::uint8_t kPad = 0xFE;
constexpr std::uint8_t kBad = 0xFF;

constexpr auto kSextet = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(kBad);
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  table['-'] = 62;
  table['_'] = 63;
  table['='] = kPad;
  for (const char c : {' ', '\t', '\n', '\v', '\f', '\r'}) {
    table[static_cast<unsigned char>(c)] = kSkip;
  }
  return table;
}();

// Four table look-ups combined with OR give three bytes in memory order; kNotPlain marks characters
// that are not sextets.
static_assert(std::endian::native == std::endian::little, "kQuad holds bytes in memory order");
constexpr std::uint32_t kNotPlain = 0x8000'0000U;
using Table = std::array<std::uint32_t, 256>;
constexpr auto kQuad = [] {
  std::array<Table, 4> tables{};
  for (std::size_t c = 0; c < 256; ++c) {
    const std::uint32_t v = kSextet[c];
    const bool plain = v < 64;
    tables[0][c] = plain ? v << 2U : kNotPlain;
    tables[1][c] = plain ? (v >> 4U) | ((v & 15U) << 12U) : kNotPlain;
    tables[2][c] = plain ? ((v >> 2U) << 8U) | ((v & 3U) << 22U) : kNotPlain;
    tables[3][c] = plain ? v << 16U : kNotPlain;
  }
  return tables;
}();

struct Fault {
  std::size_t offset;
  const char* why;  ///< null: the character at `offset` is invalid
};

class Decoder {
 public:
  /// `out` must have room for 3 bytes for each 4 of `text`, plus 7.
  Decoder(std::string_view text, char* out) : text_(text), begin_(out), out_(out) {}

  std::optional<Fault> run() {
    while (at_ < text_.size() && !ended_) {
      plain_quads();
      if (auto fault = one_quad()) {
        return fault;
      }
    }
    return ended_ ? padding() : std::nullopt;
  }

  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(out_ - begin_); }

 private:
  void plain_quads() {
    const auto* in = reinterpret_cast<const unsigned char*>(text_.data());
    std::size_t at = at_;
    char* out = out_;
    while (text_.size() - at >= 4) {
      const std::uint32_t three =
          kQuad[0][in[at]] | kQuad[1][in[at + 1]] | kQuad[2][in[at + 2]] | kQuad[3][in[at + 3]];
      if ((three & kNotPlain) != 0) {
        break;
      }
      std::memcpy(out, &three, sizeof three);
      at += 4;
      out += 3;
    }
    at_ = at;
    out_ = out;
  }

  /// Reads up to four sextets with white space in between, or the first padding character.
  std::optional<Fault> one_quad() {
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (; at_ < text_.size() && count < 4; ++at_) {
      const std::uint8_t v = kSextet[static_cast<unsigned char>(text_[at_])];
      if (v < 64) {
        bits = bits << 6U | v;
        ++count;
      } else if (v == kPad) {
        if (count < 2) {
          return Fault{at_, "padding in the wrong place"};
        }
        pads_wanted_ = 4 - count;
        ended_ = true;
        break;
      } else if (v != kSkip) {
        return Fault{at_, nullptr};
      }
    }
    if (count == 1) {
      return Fault{text_.size(), "the text ends inside a byte"};
    }
    if (count > 1) {
      bits <<= 6U * (4 - count);
      for (unsigned i = 0; i + 1 < count; ++i) {
        *out_++ = static_cast<char>(bits >> (16U - 8U * i) & 0xFFU);
      }
    }
    return std::nullopt;
  }

  std::optional<Fault> padding() {
    std::size_t pads = 0;
    for (; at_ < text_.size(); ++at_) {
      const std::uint8_t v = kSextet[static_cast<unsigned char>(text_[at_])];
      if (v == kPad && pads < pads_wanted_) {
        ++pads;
      } else if (v != kSkip) {
        return Fault{at_, v == kBad ? nullptr : "nothing may follow the padding"};
      }
    }
    if (pads < pads_wanted_) {
      return Fault{text_.size(), "the padding is incomplete"};
    }
    return std::nullopt;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  char* begin_;
  char* out_;
  std::size_t pads_wanted_ = 0;
  bool ended_ = false;
};

std::string describe(std::string_view text, const Fault& fault) {
  const std::string at = " at offset ";
  if (fault.why != nullptr) {
    return fault.why + at;
  }
  const char c = text[fault.offset];
  if (c > ' ' && c < 0x7F) {
    return in_quotes(text.substr(fault.offset, 1)) + at;
  }
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  return std::string{'0', 'x', kHex[byte >> 4U], kHex[byte & 15U]} + at;
}

}  // namespace

Result<std::string> decode_base64_field(std::string_view field, std::string_view text,
                                        std::size_t skip) {
  const std::string_view encoded = text.substr(skip);
  std::optional<Fault> fault;
  std::string out;
  out.resize_and_overwrite(encoded.size() / 4 * 3 + 7, [&](char* data, std::size_t) {
    Decoder decoder(encoded, data);
    fault = decoder.run();
    return decoder.size();
  });
  if (fault) {
    return invalid(std::string(field) + " is not base64: " + describe(encoded, *fault) +
                   std::to_string(fault->offset + skip));
  }
  return out;
}

Result<std::string> decode_base64(std::string_view text) {
  return decode_base64_field("the text", text, 0);
}

}  // namespace podsense::protocol
