#include <algorithm>

#include "base/ascii.h"
#include "protocol/form.h"
#include "protocol/parameters.h"

namespace podsense::protocol {
namespace {

/// Offset of the closing quote of the quoted string that starts at `text[0]`,
/// or npos.
std::size_t closing_quote(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return ascii::equal_ignoring_case(a, b);
}

std::string_view first_segment(std::string_view header) {
  return ascii::trim(header.substr(0, header.find(';')));
}

Parameters::Parameters(std::string_view header) {
  const std::size_t semicolon = header.find(';');
  rest_ = semicolon == std::string_view::npos ? std::string_view() : header.substr(semicolon);
}

std::optional<Parameter> Parameters::next() {
  rest_ = ascii::trim(rest_);
  while (rest_.starts_with(';')) {
    rest_ = ascii::trim(rest_.substr(1));
  }
  if (rest_.empty()) {
    return std::nullopt;
  }
  Parameter out;
  const std::size_t equals = rest_.find('=');
  out.name = ascii::trim(rest_.substr(0, equals));
  if (equals == std::string_view::npos || !ascii::is_token(out.name)) {
    malformed_ = true;
    return std::nullopt;
  }
  rest_ = ascii::trim(rest_.substr(equals + 1));
  if (rest_.starts_with('"')) {
    const std::size_t quote = closing_quote(rest_);
    if (quote == std::string_view::npos) {
      malformed_ = true;
      return std::nullopt;
    }
    out.value = rest_.substr(1, quote - 1);
    out.was_quoted = true;
    rest_ = ascii::trim(rest_.substr(quote + 1));
    malformed_ = !rest_.empty() && rest_.front() != ';';
  } else {
    const std::size_t end = std::min(rest_.find(';'), rest_.size());
    out.value = ascii::trim(rest_.substr(0, end));
    rest_ = rest_.substr(end);
  }
  return malformed_ ? std::nullopt : std::optional(out);
}

std::string media_type(std::string_view content_type) {
  const std::string_view essence = first_segment(content_type);
  const std::size_t slash = essence.find('/');
  if (slash == std::string_view::npos || !ascii::is_token(essence.substr(0, slash)) ||
      !ascii::is_token(essence.substr(slash + 1))) {
    return {};
  }
  return ascii::lower(essence);
}

bool is_json(std::string_view media_type) {
  return media_type == "application/json" || media_type == "text/json" ||
         media_type.ends_with("+json");
}

bool may_be_json(std::string_view media_type) {
  return media_type.empty() || media_type == "application/x-www-form-urlencoded" ||
         media_type == "text/plain" || is_json(media_type);
}

std::optional<std::string> media_parameter(std::string_view content_type, std::string_view name) {
  Parameters parameters(content_type);
  while (const auto parameter = parameters.next()) {
    if (!same_name(parameter->name, name)) {
      continue;
    }
    std::string out;
    for (std::size_t i = 0; i < parameter->value.size(); ++i) {
      if (parameter->was_quoted && parameter->value[i] == '\\') {
        ++i;
      }
      out += parameter->value[i];
    }
    return out;
  }
  return std::nullopt;
}

}  // namespace podsense::protocol
