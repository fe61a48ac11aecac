// URLs, CIDRs, host patterns and addresses as strangers and operators write them.
//
// Properties, judged by glibc's own number parsers rather than by the code under test:
//  - a URL whose host is a number in any spelling passes only if that address does;
//  - a URL that passes is spelled in plain characters and passes again as itself;
//  - an address written as a URL in octal, decimal, hexadecimal or short form is judged as itself;
//  - an address inside the private ranges never passes.

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/fetch.h"

namespace {

using podsense::fetch::Options;
using podsense::fetch::UrlPolicy;

void demand(bool holds, const char* what, std::string_view text) {
  if (!holds) {
    std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(text.size()), text.data());
    std::abort();
  }
}

const UrlPolicy& policy() {
  static const UrlPolicy shared = UrlPolicy::create({}).value();
  return shared;
}

/// Written apart from the table in address.cc, from the RFCs.
bool inside(std::uint32_t a) {
  return a >> 24U == 10 || a >> 24U == 127 || a >> 24U == 0 || a >> 20U == 0xac1 ||
         a >> 16U == 0xc0a8 || a >> 16U == 0xa9fe || a >> 22U == 0x191 || a >> 29U == 7;
}

bool inside6(std::span<const std::uint8_t> a) {
  const bool zeros = std::all_of(a.begin(), a.begin() + 10, [](auto byte) { return byte == 0; });
  return (a[0] & 0xfeU) == 0xfc || (a[0] == 0xfe && a[1] >= 0x80) || a[0] == 0xff || zeros ||
         (a[0] == 0x20 && a[1] == 0x02) || (a[0] == 0 && a[1] == 0x64);
}

/// The bytes of a host that some C library would take for a number.
std::optional<std::vector<std::uint8_t>> numeric(const std::string& host) {
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) {
    return std::vector(bytes.begin(), bytes.end());
  }
  if (in_addr v4{}; inet_aton(host.c_str(), &v4) != 0) {
    const auto* first = reinterpret_cast<const std::uint8_t*>(&v4);
    return std::vector(first, first + 4);
  }
  return std::nullopt;
}

void try_url(std::string_view text) {
  const auto checked = policy().check_url(text);
  if (!checked) {
    demand(!checked.error().message.empty(), "no reason", text);
    return;
  }
  demand(std::ranges::all_of(checked->url, [](char c) { return c > 0x20 && c < 0x7f; }),
         "odd character passed", checked->url);
  demand(!checked->host.empty() && !checked->host.ends_with('.'), "host", checked->url);
  if (const auto bytes = numeric(checked->host)) {
    demand(policy().check_address(*bytes).has_value(), "number passed", checked->url);
  }
  if (checked->url.size() <= 2048) {  // encoding may have made it longer
    const auto again = policy().check_url(checked->url);
    demand(again.has_value(), "does not pass again", checked->url);
    demand(
        again->url == checked->url && again->host == checked->host && again->port == checked->port,
        "reads differently", checked->url);
  }
}

std::string spelled(std::uint32_t a, unsigned form) {
  std::array<char, 80> text{};
  const std::array<const char*, 6> formats{"%u.%u.%u.%u",         "0%o.0%o.0%o.0%o",
                                           "0x%x.0x%x.0x%x.0x%x", "%u.0%o.0x%x.%u.",
                                           "0x%02X.%u.0%o.0x%x",  "[::ffff:%u.%u.%u.%u]"};
  const char* format = nullptr;
  switch (form % 10) {
    case 6:
      return std::to_string(a);
    case 7:
      std::snprintf(text.data(), text.size(), "0%o", a);
      return text.data();
    case 8:
      std::snprintf(text.data(), text.size(), "%u.0x%x", a >> 24U, a & 0xffffffU);
      return text.data();
    case 9:
      std::snprintf(text.data(), text.size(), "0%o.%u.%u.", a >> 24U, a >> 16U & 255U, a & 0xffffU);
      return text.data();
    default:
      format = formats[form % 10];
  }
  // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): one of the constants above
  std::snprintf(text.data(), text.size(), format, a >> 24U, a >> 16U & 255U, a >> 8U & 255U,
                a & 255U);
  return text.data();
}

void try_address(std::span<const std::uint8_t> bytes) {
  const auto result = policy().check_address(bytes);
  demand(result.has_value() || !result.error().message.empty(), "no reason", "");
  if (bytes.size() == 16 && inside6(bytes)) {
    demand(!result, "inward IPv6 address passed", "");
  }
  if (bytes.size() < 4) {
    return;
  }
  const auto v4 = bytes.first(4);
  const std::uint32_t value = std::uint32_t{v4[0]} << 24U | std::uint32_t{v4[1]} << 16U |
                              std::uint32_t{v4[2]} << 8U | v4[3];
  const bool passes = policy().check_address(v4).has_value();
  demand(!passes || !inside(value), "inward IPv4 address passed", "");
  for (unsigned form = 0; form < 10; ++form) {
    const std::string url = "http://" + spelled(value, form) + "/";
    const bool mapped = form == 5;  // refused whatever is inside
    demand(policy().check_url(url).has_value() == (passes && !mapped), "spelling decides", url);
  }
}

void try_options(std::string_view text) {
  Options options;
  options.deny_cidrs = {std::string(text)};
  const auto denying = UrlPolicy::create(options);
  options.deny_cidrs.clear();
  options.allow_cidrs = {std::string(text)};
  demand(UrlPolicy::create(options).has_value() == denying.has_value(), "allow and deny differ",
         text);
  options.allow_cidrs.clear();
  options.allow_hosts = {std::string(text)};
  options.deny_hosts = {std::string(text)};
  if (const auto both = UrlPolicy::create(options)) {
    demand(!both->check_url("http://" + std::string(text) + "/"), "denied host passed", text);
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_url(text);
  try_url("http://" + std::string(text));
  try_url("https://" + std::string(text) + "/");
  try_address({data, size});
  try_options(text);
  return 0;
}
