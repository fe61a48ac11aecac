#pragma once

/// The host of a URL: normalised for comparisons and for the fetch. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "fetch/address.h"

namespace podsense::fetch {

struct Host {
  std::string name;      ///< lower case, no trailing dot, IPv6 canonical and without brackets
  std::string url_form;  ///< for URLs: with brackets, and with a name's trailing dot if it had one
  std::optional<Address> literal;

  /// `text`: the host from libcurl, which converts all numeric spellings of IPv4 addresses that it
  /// knows (octal, hexadecimal, short) to four decimal numbers. Other hosts that end in a number
  /// are refused, because resolvers interpret them differently.
  /// @errors kInvalidArgument
  static Result<Host> parse(std::string_view text);
};

/// Encodes an internationalised name for DNS, by non-transitional UTS 46 ("faß.de" becomes
/// "xn--fa-hia.de"). ASCII names are unchanged.
/// @errors kInvalidArgument: not UTF-8, or a name that IDNA 2008 does not allow (symbols must be
/// written in punycode)
/// @source WHATWG URL, "domain to ASCII"
Result<std::string> ascii_host(std::string_view name);

/// An exact host, or a domain with all its subdomains.
class HostPattern {
 public:
  /// "example.com", ".example.com", "192.0.2.7", "2001:db8::1" (brackets allowed)
  /// @errors kInvalidArgument
  static Result<HostPattern> parse(std::string_view text);
  /// `host`: Host::name
  [[nodiscard]] bool matches(std::string_view host) const;

 private:
  std::string name_;  // without the leading dot
  bool below_ = false;
};

/// Whether the name has one label or a suffix for local networks: localhost, .local, .internal, ...
bool is_local_name(std::string_view host);

}  // namespace podsense::fetch
