#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <utility>

#include "base/ascii.h"
#include "fetch/address.h"
#include "fetch/fetch.h"
#include "fetch/host.h"
#include "fetch/origin_headers.h"

namespace podsense::fetch {
namespace {

constexpr std::size_t kMaxUrlBytes = 8192;

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

struct CurlFree {
  void operator()(char* text) const { curl_free(text); }
};

/// A part of the URL; empty: no such part.
std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) {
    return {};
  }
  const std::unique_ptr<char, CurlFree> owner(text);
  return text;
}

tl::unexpected<Error> bad_url(std::string message, std::string detail = {}) {
  return fail(ErrorCode::kInvalidArgument, std::move(message), std::move(detail));
}

tl::unexpected<Error> refused(std::string message) {
  return fail(ErrorCode::kPermissionDenied, std::move(message));
}

Result<void> check_bytes(std::string_view url) {
  if (url.empty()) {
    return bad_url("the URL is empty; give an absolute http or https URL");
  }
  if (url.size() > kMaxUrlBytes) {
    return bad_url("the URL has " + std::to_string(url.size()) + " bytes; at most " +
                   std::to_string(kMaxUrlBytes) + " are accepted");
  }
  for (std::size_t i = 0; i < url.size(); ++i) {
    const auto byte = static_cast<unsigned char>(url[i]);
    if (byte < 0x20 || byte == 0x7f || byte == '\\') {
      return bad_url("the URL has a control character or a backslash at byte " + std::to_string(i) +
                     "; percent-encode it");
    }
  }
  return {};
}

/// "http://a:80/b" gives "a:80". libcurl also accepts one or three slashes and a missing scheme;
/// here these are refused.
Result<std::string_view> authority_of(std::string_view url) {
  const auto colon = url.find(':');
  const std::string scheme = ascii::lower(url.substr(0, colon));
  if (colon == std::string_view::npos || scheme.empty() ||
      scheme.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+-.") != std::string::npos) {
    return bad_url("the URL is not absolute; start it with http:// or https://");
  }
  if (scheme != "http" && scheme != "https") {
    // "localhost:80/x" also gets here, so the message does not call the first part a scheme.
    return bad_url("the URL must start with http:// or https://; other schemes are not accepted");
  }
  auto rest = url.substr(colon + 1);
  if (!rest.starts_with("//")) {
    return bad_url("the URL is not absolute; start it with http:// or https://");
  }
  rest.remove_prefix(2);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.empty()) {
    return bad_url("the URL has no host");
  }
  return authority;
}

bool host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

/// `text`: what follows the host: nothing, ":" (libcurl: the scheme's own port) or ":80"
Result<void> check_port(std::string_view text) {
  unsigned port = 1;
  const auto digits = text.substr(text.empty() ? 0 : 1);
  if (!digits.empty()) {
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (code != std::errc() || end != digits.data() + digits.size() || digits.size() > 5) {
      port = 0;
    }
  }
  if (port < 1 || port > 65535 || !(text.empty() || text.starts_with(':'))) {
    return bad_url("the port is not a number from 1 to 65535");
  }
  return {};
}

/// Refuses everything that parsers could read as different hosts or ports.
Result<void> check_authority(std::string_view authority) {
  if (authority.contains('@')) {
    return bad_url("the URL has credentials before an '@'; remove them");
  }
  const bool bracketed = authority.starts_with('[');
  if (authority.contains('%')) {
    return bracketed ? bad_url("the host has an IPv6 zone; remove it")
                     : bad_url("the host has a percent-encoded character; write it plainly");
  }
  const auto end =
      std::min(bracketed ? authority.find(']') : authority.find(':'), authority.size());
  if (bracketed) {
    const auto address = Address::parse(authority.substr(1, end - 1));
    if (end == authority.size() || !address || !address->v6) {
      return bad_url("the host is not an IPv6 address in brackets");
    }
    return check_port(authority.substr(end + 1));
  }
  if (end == 0) {
    return bad_url("the URL has no host");
  }
  if (!std::ranges::all_of(authority.substr(0, end), host_char)) {
    return bad_url("the host has a character other than letters, digits, '-', '_' and '.'");
  }
  return check_port(authority.substr(end));
}

/// The URL with its host in ASCII and its blanks encoded; libcurl encodes other non-ASCII bytes
/// after the host. @pre `text` passed check_bytes
Result<std::string> ascii_url(std::string_view text, std::string_view authority) {
  const auto begin = static_cast<std::size_t>(authority.data() - text.data());
  const bool plain = authority.contains('@') || authority.starts_with('[');
  const auto host = plain ? authority : authority.substr(0, authority.find(':'));
  auto ascii = plain ? Result<std::string>(std::string(host)) : ascii_host(host);
  if (!ascii) {
    return fail(std::move(ascii.error()));
  }
  std::string url(text.substr(0, begin));
  url += *ascii;
  for (const char c : text.substr(begin + host.size())) {
    if (c == ' ') {
      url += "%20";
    } else {
      url += c;
    }
  }
  return url;
}

Error port_refused(std::uint16_t port, const std::vector<std::uint16_t>& allowed) {
  std::string list;
  for (const auto each : allowed) {
    list += (list.empty() ? "" : ", ") + std::to_string(each);
  }
  return {.code = ErrorCode::kPermissionDenied,
          .message = "port " + std::to_string(port) + " is not allowed; allowed are: " + list,
          .detail = {}};
}

}  // namespace

struct UrlPolicy::Impl {
  std::vector<std::uint16_t> ports;
  std::vector<HostPattern> allow_hosts;
  std::vector<HostPattern> deny_hosts;
  std::vector<Cidr> allow_cidrs;
  std::vector<Cidr> deny_cidrs;

  [[nodiscard]] Result<void> check_host(const std::string& host, bool literal) const {
    const auto matches = [&](const HostPattern& pattern) { return pattern.matches(host); };
    if (std::ranges::any_of(deny_hosts, matches)) {
      return refused("the host is on the list of denied hosts");
    }
    const bool listed = std::ranges::any_of(allow_hosts, matches);
    if (!allow_hosts.empty() && !listed) {
      return refused("the host is not on the list of allowed hosts");
    }
    if (!literal && !listed && is_local_name(host)) {
      return refused("the host is a local name, which is not allowed");
    }
    return {};
  }

  [[nodiscard]] bool denied(const Address& address) const {
    return std::ranges::any_of(deny_cidrs, [&](const Cidr& c) { return c.contains(address); });
  }

  [[nodiscard]] bool allowed(const Address& address, AddressKind kind) const {
    return std::ranges::any_of(allow_cidrs, [&](const Cidr& cidr) {
      return cidr.contains(address) && (kind != AddressKind::kMetadata || cidr.single());
    });
  }

  [[nodiscard]] Result<void> check(const Address& address) const {
    const auto [kind, inner] = classify(address);
    if (denied(address)) {
      return refused("the URL leads to an address that the configuration denies");
    }
    if (kind != AddressKind::kPublic && !allowed(address, kind)) {
      return refused("the URL leads to " + std::string(describe(kind)) + ", which is not allowed");
    }
    return inner ? check(*inner) : Result<void>();  // one level: IPv4 has no inner address
  }
};

Result<UrlPolicy> UrlPolicy::create(const Options& options) {
  auto impl = std::make_shared<Impl>();
  impl->ports = options.ports;
  std::string faults;
  const auto read = [&faults](const std::vector<std::string>& texts, auto parse, auto& into,
                              const char* name) {
    for (const auto& text : texts) {
      auto value = parse(text);
      if (value) {
        into.push_back(*std::move(value));
      } else {
        faults += (faults.empty() ? "" : "; ") + std::string(name) + ": " + value.error().message;
      }
    }
  };
  read(options.allow_hosts, HostPattern::parse, impl->allow_hosts, "allow_hosts");
  read(options.deny_hosts, HostPattern::parse, impl->deny_hosts, "deny_hosts");
  read(options.allow_cidrs, Cidr::parse, impl->allow_cidrs, "allow_cidrs");
  read(options.deny_cidrs, Cidr::parse, impl->deny_cidrs, "deny_cidrs");
  if (!faults.empty()) {
    return fail(ErrorCode::kInvalidArgument, std::move(faults));
  }
  UrlPolicy policy;
  policy.impl_ = std::move(impl);
  return policy;
}

Result<CheckedUrl> UrlPolicy::check_url(std::string_view given) const {
  const auto trim = ascii::trim(given, " \t\r\n\f");
  if (auto bytes = check_bytes(trim); !bytes) {
    return fail(std::move(bytes.error()));
  }
  const auto written = authority_of(trim);
  if (!written) {
    return fail(written.error());
  }
  const auto copy = ascii_url(trim, *written);
  if (!copy) {
    return fail(copy.error());
  }
  const auto authority = authority_of(*copy);
  if (auto good = authority ? check_authority(*authority) : Result<void>(fail(authority.error()));
      !good) {
    return fail(std::move(good.error()));
  }
  const UrlHandle url(curl_url());
  if (!url) {
    return fail(ErrorCode::kInternal, "the URL could not be read", "curl_url: out of memory");
  }
  if (const auto code = curl_url_set(url.get(), CURLUPART_URL, copy->c_str(), CURLU_URLENCODE);
      code != CURLUE_OK) {
    return bad_url("the URL is not well-formed", curl_url_strerror(code));
  }
  const auto host = Host::parse(part_of(url.get(), CURLUPART_HOST));
  if (!host) {
    return fail(host.error());
  }
  const std::string port_text = part_of(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const auto port = static_cast<std::uint16_t>(std::strtoul(port_text.c_str(), nullptr, 10));
  if (std::ranges::find(impl_->ports, port) == impl_->ports.end()) {
    return fail(port_refused(port, impl_->ports));
  }
  if (auto good = impl_->check_host(host->name, host->literal.has_value()); !good) {
    return fail(std::move(good.error()));
  }
  if (host->literal) {
    if (auto good = impl_->check(*host->literal); !good) {
      return fail(std::move(good.error()));
    }
  }
  // Fetch exactly the host that was checked, without the fragment.
  if (curl_url_set(url.get(), CURLUPART_HOST, host->url_form.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_FRAGMENT, nullptr, 0) != CURLUE_OK) {
    return bad_url("the URL is not well-formed", "the host could not be set again");
  }
  CheckedUrl checked{.url = part_of(url.get(), CURLUPART_URL), .host = host->name, .port = port};
  if (checked.url.empty()) {
    return bad_url("the URL is not well-formed", "curl_url_get gave nothing");
  }
  return checked;
}

Result<void> UrlPolicy::check_address(std::span<const std::uint8_t> bytes) const {
  const auto address = Address::from_bytes(bytes);
  if (!address) {
    return refused("the URL leads to an address of an unknown family, which is not allowed");
  }
  return impl_->check(*address);
}

std::string CheckedUrl::origin() const {
  const std::string scheme = url.substr(0, url.find(':'));
  const bool v6 = host.contains(':');
  return scheme + "://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<void> Options::validate() const {
  std::string faults;
  const auto demand = [&faults](bool holds, std::string_view text) {
    if (!holds) {
      faults += faults.empty() ? "" : "; ";
      faults += text;
    }
  };
  demand(max_bytes >= 1 && max_bytes <= 1ULL << 30U, "max_bytes: from 1 to 1073741824");
  demand(timeout >= std::chrono::milliseconds(1) && timeout <= std::chrono::minutes(10),
         "timeout: from 1 ms to 10 min");
  demand(connect_timeout >= std::chrono::milliseconds(1) &&
             connect_timeout <= std::chrono::minutes(10),
         "connect_timeout: from 1 ms to 10 min");
  demand(max_redirects <= 3, "max_redirects: from 0 to 3");
  demand(max_concurrent >= 1 && max_concurrent <= 1024, "max_concurrent: from 1 to 1024");
  demand(max_waiting <= 65536, "max_waiting: from 0 to 65536");
  demand(!ports.empty() && std::ranges::find(ports, 0) == ports.end(),
         "ports: at least one, each from 1 to 65535");
  demand(!user_agent.empty() &&
             std::ranges::all_of(user_agent, [](unsigned char c) { return c >= 0x20 && c < 0x7f; }),
         "user_agent: printable ASCII, not empty");
  if (const auto headers = read_headers(*this); !headers) {
    demand(false, "headers_file: " + headers.error().message);
  }
  demand(ca_file.empty() || std::ifstream(ca_file).good(), "ca_file: cannot be read");
  if (const auto policy = UrlPolicy::create(*this); !policy) {
    demand(false, policy.error().message);
  }
  if (!faults.empty()) {
    return fail(ErrorCode::kInvalidArgument, std::move(faults));
  }
  return {};
}

}  // namespace podsense::fetch
