#pragma once

/// TLS certificates, keys and client authorities, from PEM files that are read again when they
/// change. Files are checked before use: if a new pair is invalid, the old one stays in force.
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
  std::filesystem::path certificate;  ///< the server's certificate first, then the intermediates
  std::filesystem::path key;          ///< without a passphrase
  /// authorities that sign client certificates; empty: clients need none
  std::filesystem::path client_ca;
};

/// Immutable once read.
struct Identity {
  std::string certificate;  ///< PEM, like the next two
  std::string key;
  std::string client_ca;
  std::string subject;       ///< of the server's own certificate, for the log
  std::int64_t expires = 0;  ///< of the server's own certificate, Unix seconds
};

/// Installs certificate, key and, if clients need certificates, the client authorities in
/// `context`.
/// @errors kInvalidArgument: which file is invalid, and why
Result<void> install(ssl_ctx_st* context, const Identity& identity, const CertificateFiles& files);

/// @threads thread-safe
class Certificates {
 public:
  /// @errors kInvalidArgument: a file cannot be read or used; names the file
  static Result<std::unique_ptr<Certificates>> create(CertificateFiles files);

  [[nodiscard]] std::shared_ptr<const Identity> current() const;
  /// Changes whenever `current` does; cheap to read.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] bool asks_clients() const { return !files_.client_ca.empty(); }
  [[nodiscard]] const CertificateFiles& files() const { return files_; }

  /// Reads changed files again; call it every few seconds. True: new certificates are in force. The
  /// same fault is returned only once.
  Result<bool> refresh();
  /// Why the files on disk are not in force; empty: they are.
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
