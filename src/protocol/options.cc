#include "protocol/options.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "protocol/form.h"
#include "protocol/json_syntax.h"

namespace podsense::protocol {

Result<std::string> name_option(std::string_view field, std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return invalid(std::string(field) + " " + std::string(why) + "; it must be at most " +
                   std::to_string(kMaxNameLength) + " printable characters");
  };
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  const auto starts_character = [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  };
  if (std::ranges::any_of(text, is_control)) {
    return refuse("holds a control character");
  }
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    return refuse("is not UTF-8");
  }
  const auto length = std::ranges::count_if(text, starts_character);
  if (static_cast<std::size_t>(length) > kMaxNameLength) {
    return refuse("is " + std::to_string(length) + " characters long");
  }
  return std::string(text);
}

Result<std::uint32_t> top_k_option(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > kMaxTopK) {
    return invalid("top_k is " + in_quotes(text) + "; " + std::string(kTopKRule));
  }
  return value;
}

std::optional<Duration> cpu_from_ms(double ms) {
  if (!(ms >= 0 && ms <= kMaxCpuMs)) {
    return std::nullopt;
  }
  return Duration(std::llround(ms * 1e6));
}

Result<Duration> cpu_option(std::string_view text) {
  double ms = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (const auto cpu = cpu_from_ms(ms); whole && cpu) {
    return *cpu;
  }
  return invalid("cpu_ms is " + in_quotes(text) + "; " + std::string(kCpuRule));
}

std::string list_of(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view name : names) {
    if (!out.empty()) {
      out += ", ";
    }
    out += name;
  }
  return out;
}

tl::unexpected<Error> too_many_pictures() {
  return fail(ErrorCode::kPayloadTooLarge, "the request holds more than " +
                                               std::to_string(kMaxPictures) +
                                               " pictures; send them in several requests");
}

tl::unexpected<Error> unknown_name(std::string_view kind, std::string_view name,
                                   std::span<const std::string_view> accepted) {
  std::string message = "unknown " + std::string(kind) + " " + in_quotes(name);
  if (const std::string_view near = nearest_name(name, accepted); !near.empty()) {
    message += "; did you mean '" + std::string(near) + "'?";
  } else {
    message += "; accepted are: " + list_of(accepted);
  }
  return invalid(std::move(message));
}

}  // namespace podsense::protocol
