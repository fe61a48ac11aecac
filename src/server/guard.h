#pragma once

/// The configured credentials and certificates: read at start, reloaded while serving. Private to
/// this module.

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "access/access.h"
#include "access/certificates.h"
#include "base/clock.h"
#include "inference/control.h"
#include "server/config.h"

namespace podsense::server {

/// Logs a warning about everything that needs no credentials.
void warn_unauthenticated(const Config& config, const access::Guard& guard);

/// Reads changed files again and logs the result.
class WatchedFiles {
 public:
  /// @errors kInvalidArgument: an invalid file
  static Result<std::unique_ptr<WatchedFiles>> create(const Config& config);

  [[nodiscard]] access::Guard& guard() { return *guard_; }
  /// Null: no TLS.
  [[nodiscard]] access::Certificates* certificates() { return certificates_.get(); }

  /// Checks each kind of file at its interval. @threads the ticker's
  void look_when_due(TimePoint now);
  /// Checks all configured files now; returns the result for each kind. @threads any
  std::vector<inference::FilesRead> look();

  /// The number of changed certificates that were accepted or refused. @threads any
  [[nodiscard]] std::uint64_t certificates_taken() const { return certificates_taken_; }
  [[nodiscard]] std::uint64_t certificates_refused() const { return certificates_refused_; }

 private:
  WatchedFiles(const Config& config, std::unique_ptr<access::Guard> guard,
               std::unique_ptr<access::Certificates> certificates);
  inference::FilesRead::Outcome look_at_credentials();
  inference::FilesRead::Outcome look_at_certificates();

  const bool has_credentials_;  ///< credentials come from files
  const Duration credentials_interval_;
  const Duration certificates_interval_;
  const std::unique_ptr<access::Guard> guard_;
  const std::unique_ptr<access::Certificates> certificates_;
  TimePoint next_credentials_{};
  TimePoint next_certificates_{};
  std::atomic<std::uint64_t> certificates_taken_{0};
  std::atomic<std::uint64_t> certificates_refused_{0};
};

}  // namespace podsense::server
