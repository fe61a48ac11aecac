#pragma once

/// What a server shows in TLS and whom it believes, from PEM files that are read again when they
/// change. What is in force was checked to work: a new pair with a fault leaves the old in force.
///
///   auto certificates = Certificates::create({.certificate = "tls.crt", .key = "tls.key"});
///   auto identity = (*certificates)->current();

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/mutex.h"

struct ssl_ctx_st;

namespace podsense::access {

struct CertificateFiles {
  std::filesystem::path certificate;  ///< the server's own first, then those between it and a root
  std::filesystem::path key;          ///< without a passphrase
  std::filesystem::path client_ca;  ///< who signs clients' certificates; empty: none are asked for
};

/// Immutable once read.
struct Identity {
  std::string certificate;  ///< PEM, as the next two
  std::string key;
  std::string client_ca;
  std::string subject;       ///< of the server's own certificate, for the log
  std::int64_t expires = 0;  ///< of the server's own certificate, Unix seconds
};

/// Gives a context certificate, key and, where clients must show one, the authorities to believe.
/// @errors kInvalidArgument: which file has which fault
Result<void> install(ssl_ctx_st* context, const Identity& identity, const CertificateFiles& files);

/// @threads thread-safe
class Certificates {
 public:
  /// @errors kInvalidArgument: a file that cannot be read or used, naming it
  static Result<std::unique_ptr<Certificates>> create(CertificateFiles files);

  [[nodiscard]] std::shared_ptr<const Identity> current() const;
  /// Differs once `current` does; costs nothing to ask.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] bool asks_clients() const { return !files_.client_ca.empty(); }
  [[nodiscard]] const CertificateFiles& files() const { return files_; }

  /// Reads again what has changed on disk; call it every few seconds. True: other ones are in
  /// force. A fault is told once.
  Result<bool> refresh();
  /// Why what lies on disk is not in force; empty: it is.
  [[nodiscard]] std::string fault() const;

 private:
  Certificates(CertificateFiles files, std::string seen, std::shared_ptr<const Identity> identity);
  const CertificateFiles files_;
  std::atomic<std::uint64_t> generation_{1};
  mutable Mutex mutex_;
  std::string seen_ GUARDED_BY(mutex_);
  std::string fault_ GUARDED_BY(mutex_);
  std::shared_ptr<const Identity> current_ GUARDED_BY(mutex_);
};

}  // namespace podsense::access
