#include "server/guard.h"

#include "base/log.h"

namespace podsense::server {
namespace {

bool is_loopback(const std::string& host) {
  return host.starts_with("127.") || host == "::1" || host == "localhost";
}

}  // namespace

Result<std::unique_ptr<access::Guard>> make_guard(const Config& config) {
  const Config::Auth& auth = config.auth;
  return access::Guard::create({.api_keys = auth.api_keys,
                                .control_tokens = auth.control_tokens,
                                .jwks = auth.jwks,
                                .issuer = auth.jwt_issuer,
                                .audience = auth.jwt_audience,
                                .rate = auth.rate.value_or(0),
                                .burst = auth.burst.value_or(0)});
}

void warn_of_open_doors(const Config& config, const access::Guard& guard) {
  if (guard.open(access::Area::kInference) && !is_loopback(config.listen.host)) {
    log::warning("open_to_all",
                 {{"address", config.listen.host},
                  {"message",
                   "everybody who reaches this port may infer; set auth.api_keys or auth.jwks, or "
                   "listen.host 127.0.0.1"}});
  }
  if (config.models.reload_api && guard.open(access::Area::kControl) &&
      !is_loopback(config.listen.admin_host)) {
    log::warning("open_to_all", {{"address", config.listen.admin_host},
                                 {"message",
                                  "everybody who reaches the admin port may reload models; set "
                                  "auth.control_tokens, or turn models.reload_api off"}});
  }
}

void refresh(access::Guard& guard) {
  if (const auto done = guard.refresh(); !done) {
    log::error("credentials_refused",
               {{"message", done.error().message + "; those read before stay in force"}});
  }
}

}  // namespace podsense::server
