#include "fetch/host.h"

#include <curl/curl.h>
#include <idn2.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/ascii.h"

namespace podsense::fetch {
namespace {

constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;

// RFC 6761, 6762 (with its appendix G), 8375; .internal is reserved by ICANN and used by clouds;
// .svc is used for Kubernetes services.
constexpr auto kLocalSuffixes =
    std::to_array<std::string_view>({"localhost", "localdomain", "local", "internal", "intranet",
                                     "private", "corp", "home", "lan", "home.arpa", "svc"});

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

tl::unexpected<Error> bad(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

/// `name`: lower case, no trailing dot
Result<void> check_name(std::string_view name) {
  if (!std::ranges::all_of(name, name_char)) {
    return bad("the host has a character other than letters, digits, '-', '_' and '.'");
  }
  if (name.empty() || name.size() > kMaxName) {
    return bad("the host is not a name of 1 to 253 characters");
  }
  for (std::size_t start = 0; start <= name.size();) {
    const auto dot = std::min(name.find('.', start), name.size());
    if (dot == start || dot - start > kMaxLabel) {
      return bad("the host has a part that is not 1 to 63 characters long");
    }
    start = dot + 1;
  }
  return {};
}

/// Whether the last label is a decimal or hexadecimal number, as in no top-level domain.
/// @source WHATWG URL, "ends in a number checker"
bool ends_in_number(std::string_view name) {
  const auto last = name.substr(name.rfind('.') + 1);
  const auto digits = last.starts_with("0x") ? last.substr(2) : last;
  const std::string_view allowed = last.starts_with("0x") ? "0123456789abcdef" : "0123456789";
  return digits.find_first_not_of(allowed) == std::string_view::npos;
}

/// Reads a numeric host like libcurl, which does not recognise one with a trailing dot.
std::optional<Address> read_number(const std::string& name) {
  if (const auto plain = Address::parse(name)) {
    return plain;
  }
  const std::unique_ptr<CURLU, decltype([](CURLU* url) { curl_url_cleanup(url); })> url(curl_url());
  char* host = nullptr;
  if (!url ||
      curl_url_set(url.get(), CURLUPART_URL, ("http://" + name + "/").c_str(), 0) != CURLUE_OK ||
      curl_url_get(url.get(), CURLUPART_HOST, &host, 0) != CURLUE_OK) {
    return std::nullopt;
  }
  auto address = Address::parse(host);
  curl_free(host);
  return address;
}

Host literal_host(const Address& address) {
  std::string text = address.text();
  std::string url_form = address.v6 ? "[" + text + "]" : text;
  return {.name = std::move(text), .url_form = std::move(url_form), .literal = address};
}

}  // namespace

Result<Host> Host::parse(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) {
    const auto address = Address::parse(text.substr(1, text.size() - 2));
    if (!address || !address->v6) {
      return bad("the host is not an IPv6 address in brackets");
    }
    return literal_host(*address);
  }
  Host host;
  host.name = ascii::lower(text);
  host.url_form = host.name;
  if (host.name.ends_with('.')) {
    host.name.pop_back();
  }
  if (auto good = check_name(host.name); !good) {
    return fail(std::move(good.error()));
  }
  if (ends_in_number(host.name)) {
    const auto address = read_number(host.name);
    if (!address) {
      return bad("the host ends in a number but is not an IPv4 address");
    }
    return literal_host(*address);
  }
  return host;
}

Result<std::string> ascii_host(std::string_view name) {
  if (std::ranges::all_of(name, [](unsigned char c) { return c < 0x80; })) {
    return std::string(name);
  }
  char* found = nullptr;
  const int code =
      idn2_to_ascii_8z(std::string(name).c_str(), &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, decltype([](char* text) { idn2_free(text); })> owner(found);
  if (code != IDN2_OK || found == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "the host is not a valid international name; write it in punycode (xn--...)",
                idn2_strerror(code));
  }
  std::string in_ascii = ascii::lower(found);
  // The mapping can produce characters that end a host in a URL.
  if (!std::ranges::all_of(in_ascii, name_char)) {
    return bad("the host has a character other than letters, digits, '-', '_' and '.'");
  }
  return in_ascii;
}

Result<HostPattern> HostPattern::parse(std::string_view text) {
  HostPattern pattern;
  pattern.below_ = text.starts_with('.');
  const auto body = text.substr(pattern.below_ ? 1 : 0);
  const bool bare_v6 = body.contains(':') && !body.starts_with('[');
  const auto ascii = ascii_host(body);
  if (!ascii) {
    return fail(ascii.error());
  }
  const auto host = Host::parse(bare_v6 ? "[" + *ascii + "]" : *ascii);
  if (!host || (pattern.below_ && host->literal)) {
    return bad("'" + std::string(text) +
               "' is not a host; write example.com, .example.com (with all below it) or an "
               "address");
  }
  pattern.name_ = host->name;
  return pattern;
}

bool HostPattern::matches(std::string_view host) const {
  if (host == name_) {
    return true;
  }
  return below_ && host.size() > name_.size() && host.ends_with(name_) &&
         host[host.size() - name_.size() - 1] == '.';
}

bool is_local_name(std::string_view host) {
  if (!host.contains('.')) {
    return true;
  }
  return std::ranges::any_of(kLocalSuffixes, [host](std::string_view suffix) {
    return host.ends_with(suffix) && host.size() > suffix.size() &&
           host[host.size() - suffix.size() - 1] == '.';
  });
}

}  // namespace podsense::fetch
