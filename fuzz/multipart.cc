// Forms, base64, query strings and media types. The first byte chooses; the rest is the input.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/form.h"

namespace {

namespace protocol = podsense::protocol;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

bool is_inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_form(std::string_view body, std::string_view boundary) {
  const auto parts = protocol::parse_multipart(body, boundary);
  const auto request = protocol::classify_from_form(body, boundary);
  require(parts || !request);
  if (!parts) {
    require(!parts.error().message.empty());
    return;
  }
  require(parts->size() <= 64);
  const std::string delimiter = "\r\n--" + std::string(boundary) + "--";
  for (const protocol::FormPart& part : *parts) {
    require(!part.name.empty());
    require(is_inside(part.name, body) && is_inside(part.filename, body));
    require(is_inside(part.content_type, body) && is_inside(part.data, body));
    require(part.data.find(delimiter) == std::string_view::npos);
  }
  if (request) {
    require(!request->empty() && request->size() <= protocol::kMaxPictures);
    for (const auto& picture : *request) {
      const auto top_k = picture->top_k.value_or(1);
      require(!picture->image.empty() && top_k >= 1 && top_k <= 1000);
    }
  }
}

std::string encode_base64(std::string_view bytes) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char byte : bytes) {
    bits = bits << 8U | static_cast<unsigned char>(byte);
    for (count += 8; count >= 6; count -= 6) {
      out += kAlphabet[bits >> (count - 6) & 63U];
    }
  }
  if (count > 0) {
    out += kAlphabet[bits << (6 - count) & 63U];
  }
  return out;
}

void check_base64(std::string_view text) {
  require(protocol::decode_base64(encode_base64(text)).value() == text);
  const auto bytes = protocol::decode_base64(text);
  if (bytes) {
    require(protocol::decode_base64(encode_base64(*bytes)).value() == *bytes);
    require(bytes->size() <= text.size() / 4 * 3 + 2);
  }
}

void check_query(std::string_view text) {
  const auto query = protocol::parse_query(text);
  if (!query) {
    return;
  }
  require(query->size() <= 32);
  protocol::ClassifyRequest classify;
  protocol::RowsRequest rows;
  protocol::SimulateRequest simulate;
  if (protocol::apply_query(*query, classify)) {
    require(classify.top_k.value_or(1) >= 1 && classify.top_k.value_or(1) <= protocol::kMaxTopK);
  }
  static_cast<void>(protocol::apply_query(*query, rows));
  if (protocol::apply_query(*query, simulate) && simulate.cpu) {
    require(simulate.cpu->count() >= 0 && podsense::to_ms(*simulate.cpu) <= protocol::kMaxCpuMs);
  }
}

void check_media_type(std::string_view text) {
  const std::string type = protocol::media_type(text);
  require(type.empty() || protocol::media_type(type) == type);
  const auto boundary = protocol::media_parameter(text, "boundary");
  require(!boundary || boundary->size() <= text.size());
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      check_form(rest, "b");
      break;
    case 1: {  // up to a NUL: the boundary
      const std::size_t end = std::min(rest.find('\0'), rest.size());
      check_form(rest.substr(std::min(end + 1, rest.size())), rest.substr(0, end));
      break;
    }
    case 2:
      check_base64(rest);
      break;
    case 3:
      check_query(rest);
      break;
    default:
      check_media_type(rest);
  }
  return 0;
}
