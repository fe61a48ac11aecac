#include "server/guard.h"

#include <ctime>

#include "base/log.h"

namespace podsense::server {
namespace {

bool is_loopback(const std::string& host) {
  return host.starts_with("127.") || host == "::1" || host == "localhost";
}

std::string date_of(std::int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::string text(sizeof "2026-11-22T00:00:00Z", '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts));
  return text;
}

void log_certificate(const access::Identity& identity) {
  const bool expired = identity.expires <= std::time(nullptr);
  log::write(expired ? log::Level::kWarning : log::Level::kInfo,
             expired ? "tls_certificate_expired" : "tls_certificate_in_force",
             {{"subject", identity.subject},
              {"expires", date_of(identity.expires)},
              {"client_certificates", identity.client_ca.empty() ? "not asked for" : "required"}});
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

Result<std::unique_ptr<access::Certificates>> make_certificates(const Config& config) {
  const Config::Tls& tls = config.tls;
  if (tls.certificate.empty()) {
    return nullptr;
  }
  auto made = access::Certificates::create(
      {.certificate = tls.certificate, .key = tls.key, .client_ca = tls.client_ca});
  if (made) {
    log_certificate(*(*made)->current());
  }
  return made;
}

void warn_of_open_doors(const Config& config, const access::Guard& guard) {
  if (guard.open(access::Area::kInference) && config.tls.client_ca.empty() &&
      !is_loopback(config.listen.host)) {
    log::warning("open_to_all",
                 {{"address", config.listen.host},
                  {"message",
                   "everybody who reaches this port may infer; set auth.api_keys, auth.jwks or "
                   "tls.client_ca, or listen.host 127.0.0.1"}});
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

Result<bool> refresh(access::Certificates& certificates) {
  const auto done = certificates.refresh();
  if (!done) {
    log::error("tls_certificate_refused",
               {{"message", done.error().message + "; the one read before stays in force"}});
  } else if (*done) {
    log_certificate(*certificates.current());
  }
  return done;
}

}  // namespace podsense::server
