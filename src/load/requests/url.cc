#include "load/requests/url.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace podsense::load {
namespace {

tl::unexpected<Error> bad_url(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument,
              "'" + std::string(text) + "' is no URL to load: " + std::string(why) +
                  "; accepted: http[s]://HOST[:PORT][/PATH], grpc[s]://HOST[:PORT]");
}

/// Blanks stand only in placeholders, which go before the URL is sent.
bool has_forbidden(std::string_view target) {
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (target.substr(i).starts_with("{{{{")) {  // stands for two braces
      i += 3;
    } else if (target.substr(i).starts_with("{{")) {
      const std::size_t close = target.find("}}", i);
      i = close == std::string_view::npos ? i : close;
    } else if (target[i] <= ' ' || target[i] == '\x7f') {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return !grpc && port == (tls ? 443 : 80) ? name : name + ":" + std::to_string(port);
}

std::string Url::text() const {
  if (grpc) {
    return (tls ? "grpcs://" : "grpc://") + authority();
  }
  return (tls ? "https://" : "http://") + authority() + target;
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  std::string_view rest = text;
  if (const std::size_t scheme = rest.find("://"); scheme != std::string_view::npos) {
    std::string name(rest.substr(0, scheme));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    if (name != "http" && name != "https" && name != "grpc" && name != "grpcs") {
      return bad_url(text, "the scheme must be http, https, grpc or grpcs");
    }
    url.tls = name.ends_with('s');
    url.grpc = name.starts_with("grpc");
    rest.remove_prefix(scheme + 3);
  }
  url.port = url.tls ? 443 : url.grpc ? 9000 : 80;
  const std::size_t path = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, path);
  if (path != std::string_view::npos) {
    const std::string_view target = rest.substr(path, rest.find('#', path) - path);
    url.target = (target.starts_with('/') ? "" : "/") + std::string(target);
  }
  if (has_forbidden(url.target)) {
    return bad_url(text, "blanks and control characters must be percent-encoded");
  }
  if (authority.find('@') != std::string_view::npos) {
    return bad_url(text, "a name and password belong into an Authorization header (-a user:pass)");
  }
  std::size_t host_end = authority.find(':');
  if (authority.starts_with('[')) {
    host_end = authority.find(']');
    if (host_end == std::string_view::npos) {
      return bad_url(text, "'[' without ']'");
    }
    url.host = authority.substr(1, host_end - 1);
    host_end = host_end + 1 < authority.size() ? host_end + 1 : std::string_view::npos;
  } else {
    url.host = authority.substr(0, host_end);
  }
  if (url.host.empty() ||
      std::ranges::any_of(url.host, [](char c) { return c <= ' ' || c == '\x7f'; })) {
    return bad_url(text, "there is no host");
  }
  if (host_end != std::string_view::npos) {
    const std::string_view port = authority.substr(host_end + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (authority[host_end] != ':' || error != std::errc() || end != port.data() + port.size() ||
        url.port == 0) {
      return bad_url(text, "the port must be a number from 1 to 65535");
    }
  }
  return url;
}

}  // namespace podsense::load
