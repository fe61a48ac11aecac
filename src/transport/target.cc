#include "transport/target.h"

#include <algorithm>

#include "base/ascii.h"

namespace podsense::transport {
namespace {

/// *( unreserved / pct-encoded / sub-delims ), RFC 3986 3.2.2.
bool is_registered_name(std::string_view name) {
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (c == '%') {
      if (name.size() - i < 3 || ascii::hex_value(name[i + 1]) < 0 ||
          ascii::hex_value(name[i + 2]) < 0) {
        return false;
      }
      i += 2;
    } else if (!ascii::is_alphanumeric(c) && !std::string_view("-._~!$&'()*+,;=").contains(c)) {
      return false;
    }
  }
  return true;
}

/// A host in brackets: an IPv6 address, checked loosely, or a future form that nobody uses.
bool is_bracketed(std::string_view text) {
  return text.size() > 2 && std::ranges::all_of(text, [](char c) {
           return ascii::hex_value(c) >= 0 || c == ':' || c == '.';
         });
}

struct HostParts {
  std::string_view name;
  std::string_view rest;  ///< after the name: ":port", or something invalid
  bool bracketed = false;
};

HostParts split(std::string_view host) {
  if (host.starts_with('[')) {
    const auto close = host.find(']');
    if (close == std::string_view::npos) {
      return {.name = {}, .rest = host};
    }
    return {.name = host.substr(1, close - 1), .rest = host.substr(close + 1), .bracketed = true};
  }
  const auto colon = std::min(host.find(':'), host.size());
  return {.name = host.substr(0, colon), .rest = host.substr(colon)};
}

/// Parses absolute-form. Only http and https are accepted, as nothing else is served.
Result<Target> parse_absolute(std::string_view target) {
  const auto wrong = [] {
    return fail(ErrorCode::kInvalidArgument,
                "the request's target is neither a path, such as /predict, nor a whole http URL");
  };
  const auto scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos) {
    return wrong();
  }
  const std::string_view scheme = target.substr(0, scheme_end);
  if (!ascii::equal_ignoring_case(scheme, "http") && !ascii::equal_ignoring_case(scheme, "https")) {
    return wrong();
  }
  const std::string_view rest = target.substr(scheme_end + 3);
  const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  if (!valid_host(authority) || host_name(authority).empty()) {
    return wrong();
  }
  const std::string_view local = rest.substr(authority_end);
  const auto question = std::min(local.find('?'), local.size());
  Target parsed{.path = local.substr(0, question), .query = local.substr(question)};
  if (parsed.path.empty()) {
    parsed.path = "/";
  }
  parsed.query.remove_prefix(parsed.query.empty() ? 0 : 1);
  return parsed;
}

}  // namespace

bool valid_host(std::string_view host) {
  const HostParts parts = split(host);
  const bool name_right =
      parts.bracketed ? is_bracketed(parts.name) : is_registered_name(parts.name);
  if (!name_right || parts.rest.empty()) {
    return name_right;
  }
  return parts.rest.front() == ':' && parts.rest.size() <= 6 &&
         std::ranges::all_of(parts.rest.substr(1), ascii::is_digit);
}

std::string_view host_name(std::string_view host) {
  return split(host).name;
}

Result<Target> parse_target(std::string_view target) {
  // Control characters and spaces are invalid; clients never send a fragment.
  if (!std::ranges::all_of(target, [](char c) { return c > ' ' && c <= '~' && c != '#'; })) {
    return fail(ErrorCode::kInvalidArgument,
                "the request's target holds a character that a URL may not have as it is; "
                "percent-encode it");
  }
  if (target == "*") {
    return Target{.path = target, .query = {}};
  }
  if (!target.starts_with('/')) {
    return parse_absolute(target);
  }
  const auto question = target.find('?');
  return Target{.path = target.substr(0, question),
                .query = question == std::string_view::npos ? "" : target.substr(question + 1)};
}

}  // namespace podsense::transport
