#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "protocol/oip_checks.h"
#include "protocol/oip_data.h"
#include "protocol/oip_numbers.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

template <class Number>
void write_numbers(std::string& out, std::span<const std::byte> data) {
  constexpr std::size_t kLongest = 26;  // -1.7976931348623157e+308 and a comma
  constexpr std::size_t kBlock = 4096;
  const std::size_t count = data.size() / sizeof(Number);
  for (std::size_t done = 0; done < count;) {
    const std::size_t block = std::min(kBlock, count - done);
    const std::size_t had = out.size();
    out.resize_and_overwrite(had + block * kLongest, [&](char* text, std::size_t) {
      char* at = text + had;
      for (std::size_t i = 0; i < block; ++i) {
        Number value;
        std::memcpy(&value, data.data() + (done + i) * sizeof(Number), sizeof value);
        at = write_json_number(at, value);
        *at++ = ',';
      }
      return static_cast<std::size_t>(at - text);
    });
    // Estimate the total size from the first block, to allocate once.
    if (done == 0 && count > block) {
      const std::size_t usual = (out.size() - had) / block + 1;
      out.reserve(out.size() + (count - block) * usual + kBlock * kLongest);
    }
    done += block;
  }
}

void write_bools(std::string& out, std::span<const std::byte> data) {
  for (const std::byte value : data) {
    out += value == std::byte{0} ? "false," : "true,";
  }
}

Result<void> write_texts(std::string& out, std::span<const std::byte> data) {
  bool is_utf8 = true;
  for_each_text(data, [&](std::string_view text) {
    is_utf8 = is_utf8 && simdjson::validate_utf8(text.data(), text.size());
    append_json_string(out, text);
    out += ',';
  });
  if (!is_utf8) {
    return invalid(
        "holds bytes that are not UTF-8, which has no JSON form; ask for it as binary data "
        "(binary_data)");
  }
  return {};
}

}  // namespace

Result<void> write_json_data(std::string& out, DataType type, std::span<const std::byte> data) {
  out += '[';
  Result<void> written;
  switch (type) {
    case DataType::kBool:
      write_bools(out, data);
      break;
    case DataType::kUint8:
      write_numbers<std::uint8_t>(out, data);
      break;
    case DataType::kUint16:
      write_numbers<std::uint16_t>(out, data);
      break;
    case DataType::kUint32:
      write_numbers<std::uint32_t>(out, data);
      break;
    case DataType::kUint64:
      write_numbers<std::uint64_t>(out, data);
      break;
    case DataType::kInt8:
      write_numbers<std::int8_t>(out, data);
      break;
    case DataType::kInt16:
      write_numbers<std::int16_t>(out, data);
      break;
    case DataType::kInt32:
      write_numbers<std::int32_t>(out, data);
      break;
    case DataType::kInt64:
      write_numbers<std::int64_t>(out, data);
      break;
    case DataType::kFp32:
      write_numbers<float>(out, data);
      break;
    case DataType::kFp64:
      write_numbers<double>(out, data);
      break;
    case DataType::kBytes:
      written = write_texts(out, data);
      break;
    case DataType::kFp16:
    case DataType::kBf16:
      return invalid(no_json_form(type));
  }
  if (out.back() == ',') {
    out.back() = ']';
  } else {
    out += ']';
  }
  return written;
}

}  // namespace podsense::protocol
