#pragma once

/// Credentials and certificates as configured: made at start, looked after while serving. Private
/// to this module.

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

/// Says loudly what anybody on the network may do.
void warn_unauthenticated(const Config& config, const access::Guard& guard);

/// Reads changed files again and logs what came of it.
class WatchedFiles {
 public:
  /// @errors kInvalidArgument: a file with a fault
  static Result<std::unique_ptr<WatchedFiles>> create(const Config& config);

  [[nodiscard]] access::Guard& guard() { return *guard_; }
  /// Null: no TLS.
  [[nodiscard]] access::Certificates* certificates() { return certificates_.get(); }

  /// Each kind when its interval has passed. @threads the ticker's
  void look_when_due(TimePoint now);
  /// All at once: what was read, or is refused, of each kind that is configured. @threads any
  std::vector<inference::FilesRead> look();

  /// Changed certificates that were taken, and that were refused. @threads any
  [[nodiscard]] std::uint64_t certificates_taken() const { return certificates_taken_; }
  [[nodiscard]] std::uint64_t certificates_refused() const { return certificates_refused_; }

 private:
  WatchedFiles(const Config& config, std::unique_ptr<access::Guard> guard,
               std::unique_ptr<access::Certificates> certificates);
  inference::FilesRead::Outcome look_at_credentials();
  inference::FilesRead::Outcome look_at_certificates();

  const bool has_credentials_;  ///< in files
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
