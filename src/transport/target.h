#pragma once

/// What a request is for: its target and its Host, as RFC 9112 3.2 and RFC 3986 have them. Pure.
/// Private to this module.

#include <string_view>

#include "base/error.h"

namespace podsense::transport {

struct Target {
  std::string_view path;   ///< not empty
  std::string_view query;  ///< without '?'
};

/// Takes origin-form (`/path?query`), absolute-form (`http://host/path?query`) and `*`. What is
/// given back borrows from `target`.
/// @errors kInvalidArgument: anything else
Result<Target> parse_target(std::string_view target);

/// `uri-host [ ":" port ]`, which may be empty.
bool valid_host(std::string_view host);

/// The host without its port, and an IPv6 address without its brackets.
std::string_view host_name(std::string_view host);

}  // namespace podsense::transport
