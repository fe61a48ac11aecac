#include "protocol/json_body.h"

#include <bit>
#include <charconv>
#include <cstring>

#include "protocol/json_syntax.h"
#include "protocol/parameters.h"

namespace podsense::protocol {
namespace {

/// A thread keeps its parser and buffer for bodies up to this size.
constexpr std::size_t kKeptBytes = std::size_t{1} << 20U;

constexpr std::string_view kNumberRule = "it must be a finite number, or null where it is missing";
constexpr std::string_view kFloatRule = "it must be within ±3.4028235e+38 (32-bit float)";
constexpr std::string_view kSpace = " \t\r\n";

/// Whether `token` is another language's spelling of NaN or infinity, which JSON does not have.
bool is_non_finite(std::string_view token) {
  if (token.starts_with('-') || token.starts_with('+')) {
    token.remove_prefix(1);
  }
  return same_name(token, "nan") || same_name(token, "inf") || same_name(token, "infinity");
}

}  // namespace

std::string_view Reader::load(std::string_view json) {
  const std::size_t needed = json.size() + simdjson::SIMDJSON_PADDING;
  if (needed > capacity_) {
    capacity_ = std::bit_ceil(std::max<std::size_t>(needed, 4096));
    buffer_ = std::make_unique_for_overwrite<char[]>(capacity_);
  }
  std::copy(json.begin(), json.end(), buffer_.get());
  std::memset(buffer_.get() + json.size(), ' ', simdjson::SIMDJSON_PADDING);
  return {buffer_.get(), json.size()};
}

void Reader::release_if_large() {
  if (capacity_ > kKeptBytes) {
    *this = Reader();
  }
}

Reader& thread_reader() {
  thread_local Reader reader;
  return reader;
}

tl::unexpected<Error> syntax_error(std::string_view json) {
  auto fault = json_fault(json);
  return invalid(fault ? std::move(fault->message) : "the body is not valid JSON");
}

tl::unexpected<Error> refuse_at(std::string_view json, std::size_t at, const std::string& where,
                                std::string_view rule, char wanted) {
  const std::string_view rest = json.substr(at);
  const char first = rest.empty() ? '\0' : rest.front();
  std::string noun;
  if (first == wanted) {
    return syntax_error(json);
  }
  if (first == '"') {
    noun = "a string";
  } else if (first == '{' || first == '[') {
    if (auto fault = json_fault(json); fault && fault->too_deep) {
      return invalid(std::move(fault->message));
    }
    noun = first == '{' ? "an object" : "an array";
  } else {
    const std::string_view token = first_token(rest);
    const bool is_word = token == "true" || token == "false" || token == "null";
    if (!is_word && !is_non_finite(token) && !is_json_number(token)) {
      return syntax_error(json);
    }
    noun = token.size() <= 40 ? std::string(token) : std::string(token.substr(0, 37)) + "...";
  }
  return invalid(where + " is " + noun + "; " + std::string(rule));
}

double nearest_double(std::string_view token, double otherwise) {
  double nearest = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), nearest);
  return error == std::errc() ? nearest : otherwise;
}

tl::unexpected<Error> refuse(std::string_view json, ondemand::value& value, const ValuePlace& place,
                             std::string_view rule, char wanted) {
  const char* at = value.raw_json_token().data();
  return refuse_at(json, static_cast<std::size_t>(at - json.data()), place.text(), rule, wanted);
}

tl::unexpected<Error> refuse_number(std::string_view json, ondemand::value& value,
                                    const ValuePlace& place) {
  const char* at = value.raw_json_token().data();
  const std::string_view rest = json.substr(static_cast<std::size_t>(at - json.data()));
  return refuse(json, value, place, is_json_number(first_token(rest)) ? kFloatRule : kNumberRule);
}

tl::unexpected<Error> not_an_object(std::string_view json, const Shape& shape) {
  const std::string example(shape.example);
  const std::size_t start = json.find_first_not_of(kSpace);
  if (start == std::string_view::npos) {
    return invalid("the body is empty; it must be a JSON object such as " + example);
  }
  if (json[start] == '{' || json_fault(json)) {
    return syntax_error(json);
  }
  return invalid("the body is not a JSON object; it must be one such as " + example);
}

}  // namespace podsense::protocol
