#include "server/guard.h"

#include <algorithm>
#include <ctime>

#include "base/log.h"
#include "base/utc_time.h"

namespace podsense::server {
namespace {

bool are_loopback(const std::vector<std::string>& hosts) {
  return std::ranges::all_of(hosts, [](const std::string& host) {
    return host.starts_with("127.") || host == "::1" || host == "localhost";
  });
}

std::string joined(const std::vector<std::string>& hosts) {
  std::string all;
  for (const std::string& host : hosts) {
    all.append(all.empty() ? "" : ", ").append(host);
  }
  return all;
}

void log_certificate(const access::Identity& identity) {
  const bool expired = identity.expires <= std::time(nullptr);
  log::write(expired ? log::Level::kWarning : log::Level::kInfo,
             expired ? "tls_certificate_expired" : "tls_certificate_in_force",
             {{"subject", identity.subject},
              {"expires", utc_text(identity.expires)},
              {"client_certificates", identity.client_ca.empty() ? "not asked for" : "required"}});
}

/// @errors kInvalidArgument: an invalid credentials file
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

/// Null: no TLS. @errors kInvalidArgument: an invalid file
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

}  // namespace

void warn_unauthenticated(const Config& config, const access::Guard& guard) {
  if (guard.open(access::Area::kInference) && config.tls.client_ca.empty() &&
      !are_loopback(config.listen.host)) {
    log::warning("open_to_all",
                 {{"address", joined(config.listen.host)},
                  {"message",
                   "everybody who reaches this port may infer; set auth.api_keys, auth.jwks or "
                   "tls.client_ca, or listen.host 127.0.0.1"}});
  }
  if (config.models.reload_api && guard.open(access::Area::kControl) &&
      !are_loopback(config.listen.admin_host)) {
    log::warning("open_to_all", {{"address", joined(config.listen.admin_host)},
                                 {"message",
                                  "everybody who reaches the admin port may reload models; set "
                                  "auth.control_tokens, or turn models.reload_api off"}});
  }
}

WatchedFiles::WatchedFiles(const Config& config, std::unique_ptr<access::Guard> guard,
                           std::unique_ptr<access::Certificates> certificates)
    : has_credentials_(!config.auth.api_keys.empty() || !config.auth.control_tokens.empty() ||
                       !config.auth.jwks.empty()),
      credentials_interval_(config.auth.refresh_interval),
      certificates_interval_(config.tls.refresh_interval),
      guard_(std::move(guard)),
      certificates_(std::move(certificates)) {}

Result<std::unique_ptr<WatchedFiles>> WatchedFiles::create(const Config& config) {
  auto guard = make_guard(config);
  if (!guard) {
    return fail(std::move(guard.error()));
  }
  auto certificates = make_certificates(config);
  if (!certificates) {
    return fail(std::move(certificates.error()));
  }
  return std::unique_ptr<WatchedFiles>(
      new WatchedFiles(config, std::move(*guard), std::move(*certificates)));
}

void WatchedFiles::look_when_due(TimePoint now) {
  const auto due = [now](TimePoint& next, Duration interval) {
    const bool is_due = next != TimePoint() && now >= next;
    if (is_due || next == TimePoint()) {  // not due at start, when files were just read
      next = now + interval;
    }
    return is_due;
  };
  if (due(next_credentials_, credentials_interval_)) {
    look_at_credentials();
  }
  if (due(next_certificates_, certificates_interval_) && certificates_) {
    look_at_certificates();
  }
}

std::vector<inference::FilesRead> WatchedFiles::look() {
  std::vector<inference::FilesRead> all;
  if (has_credentials_) {
    const auto outcome = look_at_credentials();
    all.push_back({.files = "credentials", .outcome = outcome, .reason = guard_->fault()});
  }
  if (certificates_) {
    const auto outcome = look_at_certificates();
    all.push_back({.files = "certificates", .outcome = outcome, .reason = certificates_->fault()});
  }
  // Files that were refused before and have not changed are still refused.
  for (inference::FilesRead& one : all) {
    if (!one.reason.empty()) {
      one.outcome = inference::FilesRead::Outcome::kRefused;
    }
  }
  return all;
}

inference::FilesRead::Outcome WatchedFiles::look_at_credentials() {
  using Outcome = inference::FilesRead::Outcome;
  const auto done = guard_->refresh();
  if (!done) {
    log::error("credentials_refused",
               {{"message", done.error().message + "; those read before stay in force"}});
    return Outcome::kRefused;
  }
  return *done ? Outcome::kRead : Outcome::kUnchanged;
}

inference::FilesRead::Outcome WatchedFiles::look_at_certificates() {
  using Outcome = inference::FilesRead::Outcome;
  const auto done = certificates_->refresh();
  if (!done) {
    ++certificates_refused_;
    log::error("tls_certificate_refused",
               {{"message", done.error().message + "; the one read before stays in force"}});
    return Outcome::kRefused;
  }
  if (*done) {
    ++certificates_taken_;
    log_certificate(*certificates_->current());
  }
  return *done ? Outcome::kRead : Outcome::kUnchanged;
}

}  // namespace podsense::server
