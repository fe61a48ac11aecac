#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/setting_rows.h"
#include "transport/trusted.h"

namespace podsense::server {
namespace {

constexpr IntegerRange kAnyPort{.min = 0, .max = 65'535};

std::optional<std::string> network(std::string_view text) {
  return transport::is_network(text)
             ? std::nullopt
             : std::optional<std::string>("must be a network such as 10.0.0.0/8 or fd00::/8");
}

/// A comma-separated list. It is one word, so that of a repeated flag the last one counts.
Accessor addresses(std::vector<std::string> Config::Listen::* member) {
  Accessor accessor;
  accessor.is_text = true;
  accessor.form = "ADDRESSES";
  accessor.set = [member](Config& config, std::span<const std::string> words) {
    std::vector<std::string> all = split_list(words.front());
    if (all.empty()) {
      all.emplace_back();
    }
    for (const std::string& address : all) {
      if (const auto wrong = listen_address(address)) {
        return std::optional<std::string>(*wrong + ", not " + in_quotes(address));
      }
    }
    config.listen.*member = std::move(all);
    return std::optional<std::string>();
  };
  accessor.get = [member](const Config& config) {
    std::string text;
    for (const std::string& address : config.listen.*member) {
      text.append(text.empty() ? "" : ",").append(address);
    }
    return std::vector<std::string>{text};
  };
  return accessor;
}

}  // namespace

std::vector<Setting> listen_settings() {
  using L = Config::Listen;
  constexpr auto kIn = &Config::listen;
  return {
      row("listen.host", "host", addresses(&L::host),
          "Addresses that HTTP and gRPC listen on, with commas between them. :: is every address "
          "of IPv6 and, unless an IPv4 "
          "address is listed as well, of IPv4; where there is no IPv6 it is 0.0.0.0."),
      row("listen.http_port", "http-port", integer(kIn, &L::http_port, kAnyPort),
          "Port of HTTP. 0 picks a free one.", "PORT AIP_HTTP_PORT"),
      row("listen.grpc_port", "grpc-port", integer(kIn, &L::grpc_port, kAnyPort),
          "Port of gRPC. 0 picks a free one."),
      row("listen.admin_host", "admin-host", addresses(&L::admin_host),
          "Addresses that metrics, health and the admin API listen on; as listen.host."),
      row("listen.admin_port", "admin-port", integer(kIn, &L::admin_port, kAnyPort),
          "Port of metrics, health and the admin API. 0 picks a free one."),
      row("listen.admin_names", "admin-names", text_list(kIn, &L::admin_names, "HOSTS"),
          "Further host names accepted in requests to the admin port that change something. IP "
          "addresses, localhost and names of Services are always accepted; other names could be "
          "those of a web page (DNS rebinding)."),
      row("listen.ports_file", "ports-file", text(kIn, &L::ports_file, "FILE"),
          "Write the ports in use to this file as JSON. Empty: no file."),
      row("listen.trusted_proxies", "trusted-proxies",
          text_list(kIn, &L::trusted_proxies, "CIDRS", network),
          "Networks of trusted proxies. Their Forwarded and X-Forwarded-For headers name the "
          "client, read from the right: logs, limits per address and rates then use the client's "
          "address. From anyone else these headers are ignored."),
      row("listen.forwarded_by", "forwarded-by",
          choice(kIn, &L::forwarded_by,
                 Names<transport::ForwardedBy>{
                     {"any", transport::ForwardedBy::kAny},
                     {"forwarded", transport::ForwardedBy::kForwarded},
                     {"x-forwarded-for", transport::ForwardedBy::kXForwardedFor}},
                 3),
          "Which of the two headers the proxies write. any: either; if a request has both and they "
          "name different clients, both are ignored."),
      row("listen.proxy_protocol", "proxy-protocol", boolean(kIn, &L::proxy_protocol),
          "Connections of trusted proxies to HTTP and gRPC begin with a header of the PROXY "
          "protocol, version 1 or 2."),
  };
}

}  // namespace podsense::server
