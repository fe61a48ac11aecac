#include "protocol/oip_data.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/utf8.h"
#include "protocol/json_body.h"
#include "protocol/json_syntax.h"
#include "protocol/oip_checks.h"
#include "protocol/oip_codec.h"
#include "protocol/oip_numbers.h"
#include "protocol/options.h"

namespace podsense::protocol {
namespace {

constexpr std::size_t kLengthBytes = 4;  ///< before each text

/// Parses elements that are numbers.
template <class Number>
struct NumberElement {
  using Value = Number;
  static std::string rule(DataType type) {
    if constexpr (std::integral<Number>) {
      return integer_rule<Number>(type);
    } else {
      return std::same_as<Number, float> ? "it must be a number within ±3.4028235e+38 (FP32)"
                                         : "it must be a number within ±1.7976931348623157e+308 "
                                           "(FP64)";
    }
  }
  static const char* read(const char* at, Number*& out) {
    auto outcome = numbers::Read::kOk;
    at = numbers::read(at, *out, outcome);
    ++out;
    return outcome == numbers::Read::kOk ? at : nullptr;
  }
};

struct BoolElement {
  using Value = std::uint8_t;
  static std::string rule(DataType /*type*/) { return "it must be true or false (BOOL)"; }
  static const char* read(const char* at, std::uint8_t*& out) {
    if (std::memcmp(at, "true", 4) == 0) {
      *out++ = 1;
      return at + 4;
    }
    *out++ = 0;
    return std::memcmp(at, "false", 5) == 0 ? at + 5 : nullptr;
  }
};

const char* skip_space(const char* at) {
  while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') {
    ++at;
  }
  return at;
}

unsigned hex_value(const char* digits) {
  unsigned value = 0;
  return std::from_chars(digits, digits + 4, value, 16).ptr == digits + 4 ? value : ~0U;
}

/// Decodes a \u escape from its 'u' on; null: invalid.
const char* unescape_unicode(const char* at, std::string& out) {
  unsigned point = hex_value(at + 1);
  at += 5;
  if (point > 0xFFFF || (point >= 0xDC00 && point <= 0xDFFF)) {
    return nullptr;
  }
  if (point >= 0xD800) {
    if (point <= 0xDBFF) {
      const unsigned low = at[0] == '\\' && at[1] == 'u' ? hex_value(at + 2) : 0;
      if (low < 0xDC00 || low > 0xDFFF) {
        return nullptr;
      }
      point = 0x10000 + ((point - 0xD800) << 10U) + (low - 0xDC00);
      at += 6;
    }
  }
  append_utf8(out, point);
  return at;
}

/// Decodes an escape after its backslash.
const char* unescape(const char* at, std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
  if (*at == 'u') {
    return unescape_unicode(at, out);
  }
  const std::size_t which = kNames.find(*at);
  if (which == std::string_view::npos) {
    return nullptr;
  }
  out += kMeant[which];
  return at + 1;
}

/// Reads a string from its opening quote to past the closing one. The parser of the whole body has
/// checked that it is closed and valid UTF-8.
const char* read_string(const char* at, std::string& out) {
  if (*at != '"') {
    return nullptr;
  }
  ++at;
  for (;;) {
    const char* plain = at;
    while (*at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) {
      ++at;
    }
    out.append(plain, at);
    if (*at == '"') {
      return at + 1;
    }
    if (*at != '\\') {
      return nullptr;
    }
    at = unescape(at + 1, out);
    if (at == nullptr) {
      return nullptr;
    }
  }
}

/// Parses nested brackets; `Sink` reads the elements.
template <class Sink>
class ArrayReader {
 public:
  ArrayReader(const DataPlace& place, Sink& sink) : place_(place), sink_(sink) {}

  Result<void> run() {
    const char* const begin = place_.text.data();
    const char* const end = begin + place_.text.size();
    if (level(begin, 0) != end && !error_) {
      error_ = syntax_error(place_.json).value();
    }
    if (error_) {
      return fail(std::move(*error_));
    }
    return {};
  }

 private:
  /// Parses from '[' to past its ']'; null: error_ is set.
  const char* level(const char* at, std::size_t depth) {
    at = skip_space(at + 1);
    if (*at != '[') {
      return leaf(at, depth);
    }
    if (depth + 1 >= place_.shape.size() || (leaf_depth_ != kUnknown && depth >= leaf_depth_)) {
      return refuse(at, depth, 0, nesting_rule());
    }
    const auto wanted = static_cast<std::uint64_t>(place_.shape[depth]);
    std::uint64_t count = 0;
    for (;;) {
      index_[depth] = count;
      if (count == wanted) {
        return wrong_count(depth, wanted, std::nullopt);
      }
      at = *at == '[' ? level(at, depth + 1) : refuse(at, depth, count, nesting_rule());
      if (at == nullptr) {
        return nullptr;
      }
      ++count;
      at = skip_space(at);
      if (*at == ']') {
        break;
      }
      if (*at != ',') {
        return broken();
      }
      at = skip_space(at + 1);
    }
    return count == wanted ? at + 1 : wrong_count(depth, wanted, count);
  }

  const char* leaf(const char* at, std::size_t depth) {
    if (leaf_depth_ != kUnknown && leaf_depth_ != depth) {
      return refuse(at, depth, 0, nesting_rule());
    }
    leaf_depth_ = depth;
    const std::uint64_t wanted = *element_count(place_.shape.subspan(depth));
    std::uint64_t count = 0;
    if (*at == ']') {
      return wanted == 0 ? at + 1 : wrong_count(depth, wanted, count);
    }
    for (;;) {
      if (count == wanted) {
        return at_value(at) ? wrong_count(depth, wanted, std::nullopt) : broken();
      }
      const char* const next = sink_.read(at);
      if (next == nullptr) {
        return refuse(at, depth, count, sink_.rule());
      }
      ++count;
      at = next;
      if (*at != ',') {
        at = skip_space(at);
        if (*at == ']') {
          break;
        }
        if (*at != ',') {
          return broken();
        }
      }
      ++at;
      if (static_cast<unsigned char>(*at) <= ' ') {
        at = skip_space(at);
      }
    }
    return count == wanted ? at + 1 : wrong_count(depth, wanted, count);
  }

  static bool at_value(const char* at) {
    return *at == '"' || *at == '-' || *at == '[' || *at == '{' || numbers::is_digit(*at) ||
           *at == 't' || *at == 'f' || *at == 'n';
  }

  const char* broken() {
    error_ = syntax_error(place_.json).value();
    return nullptr;
  }

  [[nodiscard]] std::string where(std::size_t depth) const {
    std::string out = "inputs[" + std::to_string(place_.input) + "].data";
    for (std::size_t i = 0; i < depth; ++i) {
      out += '[' + std::to_string(index_[i]) + ']';
    }
    return out;
  }

  const char* refuse(const char* at, std::size_t depth, std::uint64_t index,
                     std::string_view rule) {
    error_ = refuse_at(place_.json, static_cast<std::size_t>(at - place_.json.data()),
                       where(depth) + '[' + std::to_string(index) + ']', rule, Sink::kFirst)
                 .value();
    return nullptr;
  }

  [[nodiscard]] std::string nesting_rule() const {
    return "data must be flat, or nested as the shape " + shape_text(place_.shape) + " says";
  }

  /// Without `got`: too many to count.
  const char* wrong_count(std::size_t depth, std::uint64_t wanted,
                          std::optional<std::uint64_t> got) {
    std::string message = wrong_element_count(where(depth), got, wanted, place_.shape);
    // The parser has not checked the text after this point, so a syntax error there has priority.
    if (auto fault = json_fault(place_.json)) {
      message = std::move(fault->message);
    }
    error_ = Error{.code = ErrorCode::kInvalidArgument, .message = std::move(message)};
    return nullptr;
  }

  static constexpr std::size_t kUnknown = ~std::size_t{0};
  const DataPlace& place_;
  Sink& sink_;
  std::array<std::uint64_t, kMaxDimensions> index_{};
  std::size_t leaf_depth_ = kUnknown;  ///< nesting depth of elements minus one; equal for all
  std::optional<Error> error_;
};

template <class Element>
struct FixedSink {
  static constexpr char kFirst = '\0';
  typename Element::Value* out;
  DataType type;
  const char* read(const char* at) { return Element::read(at, out); }
  [[nodiscard]] std::string rule() const { return Element::rule(type); }
};

/// Appends a text; the memory must have room.
void append_text(OwnedData& out, std::string_view text) {
  std::byte* const at = out.memory.get() + out.size;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    at[i] = static_cast<std::byte>(text.size() >> (8 * i) & 0xFFU);
  }
  std::ranges::copy(std::as_bytes(std::span(text)), at + kLengthBytes);
  out.size += kLengthBytes + text.size();
}

struct TextSink {
  /// a value that starts correctly but is refused is a syntax error
  static constexpr char kFirst = '"';
  OwnedData& out;
  std::string text;
  const char* read(const char* at) {
    text.clear();
    const char* const end = read_string(at, text);
    if (end != nullptr) {
      append_text(out, text);
    }
    return end;
  }
  [[nodiscard]] static std::string rule() { return "it must be a string (BYTES)"; }
};

/// An element takes at least two bytes of text: `1,`.
std::uint64_t most_elements(const DataPlace& place) {
  return std::min<std::uint64_t>(place.count, place.text.size() / 2);
}

template <class Element>
Result<OwnedData> read_fixed(const DataPlace& place) {
  using Value = typename Element::Value;
  // One more, because an element is written before it can be refused.
  const std::size_t room = (most_elements(place) + 1) * sizeof(Value);
  OwnedData out{.memory = std::make_unique_for_overwrite<std::byte[]>(room),
                .size = place.count * sizeof(Value)};
  FixedSink<Element> sink{.out = static_cast<Value*>(static_cast<void*>(out.memory.get())),
                          .type = place.type};
  if (auto read = ArrayReader(place, sink).run(); !read) {
    return fail(std::move(read.error()));
  }
  return out;
}

Result<OwnedData> read_texts(const DataPlace& place) {
  // The JSON of a text, with `"",`, plus kLengthBytes per element is never shorter than its packed
  // form.
  OwnedData out{.memory = std::make_unique_for_overwrite<std::byte[]>(
                    place.text.size() + kLengthBytes * (most_elements(place) + 1))};
  TextSink sink{.out = out, .text = {}};
  if (auto read = ArrayReader(place, sink).run(); !read) {
    return fail(std::move(read.error()));
  }
  return out;
}

}  // namespace

std::string no_json_form(DataType type) {
  return std::string(data_type_name(type)) +
         " has no JSON form; send and ask for it as binary data (binary_data_size, binary_data)";
}

void own(InputTensor& tensor, OwnedData data) {
  tensor.storage = std::move(data.memory);
  tensor.data = {tensor.storage.get(), data.size};
}

OwnedData one_text(std::string_view text) {
  OwnedData out{.memory = std::make_unique_for_overwrite<std::byte[]>(kLengthBytes + text.size())};
  append_text(out, text);
  return out;
}

Result<OwnedData> read_json_data(const DataPlace& place) {
  switch (place.type) {
    case DataType::kBool:
      return read_fixed<BoolElement>(place);
    case DataType::kUint8:
      return read_fixed<NumberElement<std::uint8_t>>(place);
    case DataType::kUint16:
      return read_fixed<NumberElement<std::uint16_t>>(place);
    case DataType::kUint32:
      return read_fixed<NumberElement<std::uint32_t>>(place);
    case DataType::kUint64:
      return read_fixed<NumberElement<std::uint64_t>>(place);
    case DataType::kInt8:
      return read_fixed<NumberElement<std::int8_t>>(place);
    case DataType::kInt16:
      return read_fixed<NumberElement<std::int16_t>>(place);
    case DataType::kInt32:
      return read_fixed<NumberElement<std::int32_t>>(place);
    case DataType::kInt64:
      return read_fixed<NumberElement<std::int64_t>>(place);
    case DataType::kFp32:
      return read_fixed<NumberElement<float>>(place);
    case DataType::kFp64:
      return read_fixed<NumberElement<double>>(place);
    case DataType::kBytes:
      return read_texts(place);
    case DataType::kFp16:
    case DataType::kBf16:
      break;
  }
  return invalid("inputs[" + std::to_string(place.input) + "]: " + no_json_form(place.type));
}

}  // namespace podsense::protocol
