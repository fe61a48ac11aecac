#pragma once

/// The host of a URL as it is compared and as it is fetched. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "fetch/address.h"

namespace podsense::fetch {

struct Host {
  std::string name;  ///< lower case, no trailing dot, IPv6 canonical and without brackets
  std::string
      url_form;  ///< as it stands in a URL: brackets, and a name's trailing dot if it had one
  std::optional<Address> literal;

  /// `text`: the host as libcurl gives it, so any numeric spelling of an IPv4 address that it knows
  /// (octal, hexadecimal, short) arrives as four decimal numbers. One that still ends in a number
  /// is refused rather than left to a resolver's taste.
  /// @errors kInvalidArgument
  static Result<Host> parse(std::string_view text);
};

/// A name with letters of any script as it is asked for in DNS: mapped and encoded as UTS 46 says,
/// not transitionally ("faß.de" is "xn--fa-hia.de"). ASCII names come back as they are.
/// @errors kInvalidArgument: not UTF-8, or no name that IDNA 2008 allows (symbols: write punycode)
/// @source WHATWG URL, "domain to ASCII"
Result<std::string> ascii_host(std::string_view name);

/// An exact host, or a domain with all names below it.
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

/// One label, or under a suffix that never leads out of a site: localhost, .local, .internal, ...
bool is_local_name(std::string_view host);

}  // namespace podsense::fetch
