#pragma once

/// Parses a request's target and Host, RFC 9112 3.2 and RFC 3986. Pure. Private to this module.

#include <string_view>

#include "base/error.h"

namespace podsense::transport {

struct Target {
  std::string_view path;   ///< not empty
  std::string_view query;  ///< without '?'
};

/// Accepts origin-form (`/path?query`), absolute-form (`http://host/path?query`) and `*`. The
/// result borrows from `target`.
/// @errors kInvalidArgument: anything else
Result<Target> parse_target(std::string_view target);

/// Whether `host` is a valid Host value, `uri-host [ ":" port ]`; it may be empty.
bool valid_host(std::string_view host);

/// The host without its port; an IPv6 address also without its brackets.
std::string_view host_name(std::string_view host);

}  // namespace podsense::transport
