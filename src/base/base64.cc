#include "base/base64.h"

namespace podsense {

std::string encode_base64(std::string_view bytes, Padding padding) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (const char c : bytes) {
    held = (held << 8U) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) {
      out += kLetters[(held >> (bits - 6)) & 63U];
    }
  }
  if (bits > 0) {
    out += kLetters[(held << (6 - bits)) & 63U];
  }
  while (padding == Padding::kEquals && out.size() % 4 != 0) {
    out += '=';
  }
  return out;
}

}  // namespace podsense
