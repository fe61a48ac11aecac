#include "transport/same_site.h"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>

#include "base/ascii.h"
#include "protocol/form.h"
#include "transport/target.h"

namespace podsense::transport {
namespace {

bool is_own_host(std::string_view host, const std::vector<std::string>& names) {
  std::string name = ascii::lower(host_name(host));
  if (name.ends_with('.')) {
    name.pop_back();
  }
  if (name.empty()) {
    return false;
  }
  boost::system::error_code no_address;
  boost::asio::ip::make_address(name, no_address);
  constexpr std::array<std::string_view, 4> kUnownable{".svc", ".local", ".internal", ".localhost"};
  return !no_address || !name.contains('.') ||
         std::ranges::any_of(kUnownable, [&](auto end) { return name.ends_with(end); }) ||
         std::ranges::find(names, name) != names.end();
}

/// Whether `origin` is `scheme://host[:port]` with the host of this request.
bool is_own_origin(std::string_view origin, std::string_view host) {
  const auto scheme_end = origin.find("://");
  return scheme_end != std::string_view::npos &&
         equals_ignoring_case(origin.substr(scheme_end + 3), host);
}

}  // namespace

Result<void> check_same_site(const Request& request, const std::vector<std::string>& names) {
  const std::string_view host = request.header("host");
  if (!is_own_host(host, names)) {
    return fail(ErrorCode::kPermissionDenied,
                "the Host header names no host of this server; accepted are IP addresses, "
                "localhost, names of Services, and what listen.admin_names adds");
  }
  const std::string_view site = request.header("sec-fetch-site");
  const bool foreign_site = !site.empty() && site != "same-origin" && site != "none";
  const bool has_origin = request.headers.count("origin") > 0;
  if (foreign_site || (has_origin && !is_own_origin(request.header("origin"), host))) {
    return fail(ErrorCode::kPermissionDenied,
                "a web page of another site may not change anything here");
  }
  const std::string_view type = request.header("content-type");
  if (!type.empty() && protocol::media_type(type) != "application/json") {
    return fail(ErrorCode::kUnsupportedMedia, "Content-Type is '" +
                                                  std::string(type.substr(0, 64)) +
                                                  "'; accepted: application/json, or no body");
  }
  return {};
}

}  // namespace podsense::transport
