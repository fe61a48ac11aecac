#include "access/certificates.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <utility>
#include <vector>

#include "access/keys.h"

namespace podsense::access {
namespace {

namespace fs = std::filesystem;

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(STACK_OF(X509_NAME) * p) const { sk_X509_NAME_pop_free(p, X509_NAME_free); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

tl::unexpected<Error> fault(const fs::path& file, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, file.string() + ": " + what);
}

/// The oldest of the thread's OpenSSL errors, which names the cause; clears them.
std::string library_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  std::string text = reason == nullptr ? "OpenSSL does not accept it" : reason;
  ERR_clear_error();
  return text;
}

Owned<BIO> reader(const std::string& pem) {
  return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Result<std::vector<Owned<X509>>> read_certificates(const std::string& pem, const fs::path& file) {
  ERR_clear_error();
  std::vector<Owned<X509>> all;
  const auto in = reader(pem);
  while (X509* next = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
    all.emplace_back(next);
  }
  const bool to_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!to_end) {
    return fault(file, "certificate " + std::to_string(all.size() + 1) +
                           " is not valid PEM: " + library_reason());
  }
  ERR_clear_error();
  if (all.empty()) {
    return fault(file, "holds no certificate; accepted is PEM, '-----BEGIN CERTIFICATE-----'");
  }
  return all;
}

/// Refuses a key with a passphrase, as nobody can enter it.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<Owned<EVP_PKEY>> read_key(const std::string& pem, const fs::path& file) {
  ERR_clear_error();
  bool encrypted = false;
  const auto in = reader(pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, &no_passphrase, &encrypted));
  ERR_clear_error();
  if (encrypted) {
    return fault(file, "the private key has a passphrase; accepted is PEM without one");
  }
  if (!key) {
    return fault(file, "holds no private key; accepted is PEM without a passphrase");
  }
  return key;
}

/// Verifies client certificates with these authorities and sends their names to clients.
Result<void> trust(SSL_CTX* context, const std::string& pem, const fs::path& file) {
  auto authorities = read_certificates(pem, file);
  if (!authorities) {
    return fail(std::move(authorities.error()));
  }
  Owned<STACK_OF(X509_NAME)> names(sk_X509_NAME_new_null());
  for (const auto& authority : *authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1) {
      return fault(file, library_reason());
    }
    sk_X509_NAME_push(names.get(), X509_NAME_dup(X509_get_subject_name(authority.get())));
  }
  SSL_CTX_set_client_CA_list(context, names.release());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

std::int64_t unix_seconds(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(timegm(&parts)) : 0;
}

std::string subject_of(X509* certificate) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);  // NOLINT: the macro's own cast
  return {text, static_cast<std::size_t>(size)};
}

/// Reads the files and installs them in a test context, as the server would.
Result<std::shared_ptr<const Identity>> read_identity(const CertificateFiles& files) {
  auto identity = std::make_shared<Identity>();
  for (const auto& [file, into] :
       {std::pair(&files.certificate, &identity->certificate),
        std::pair(&files.key, &identity->key), std::pair(&files.client_ca, &identity->client_ca)}) {
    if (file->empty()) {
      continue;
    }
    auto text = read_small_file(*file);
    if (!text) {
      return fail(std::move(text.error()));
    }
    *into = std::move(*text);
  }
  const Owned<SSL_CTX> trial(SSL_CTX_new(TLS_server_method()));
  if (auto installed = install(trial.get(), *identity, files); !installed) {
    return fail(std::move(installed.error()));
  }
  X509* own = SSL_CTX_get0_certificate(trial.get());
  identity->subject = subject_of(own);
  identity->expires = unix_seconds(X509_get0_notAfter(own));
  return identity;
}

std::string fingerprints(const CertificateFiles& files) {
  return fingerprint(files.certificate) + fingerprint(files.key) +
         (files.client_ca.empty() ? "" : fingerprint(files.client_ca));
}

}  // namespace

Result<void> install(SSL_CTX* context, const Identity& identity, const CertificateFiles& files) {
  auto chain = read_certificates(identity.certificate, files.certificate);
  if (!chain) {
    return fail(std::move(chain.error()));
  }
  auto key = read_key(identity.key, files.key);
  if (!key) {
    return fail(std::move(key.error()));
  }
  if (X509_check_private_key(chain->front().get(), key->get()) != 1) {
    ERR_clear_error();
    return fault(files.key,
                 "does not belong to the first certificate of " + files.certificate.string());
  }
  if (SSL_CTX_use_certificate(context, chain->front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key->get()) != 1) {
    return fault(files.certificate, library_reason());
  }
  for (std::size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) != 1) {
      return fault(files.certificate, library_reason());
    }
  }
  return files.client_ca.empty() ? Result<void>()
                                 : trust(context, identity.client_ca, files.client_ca);
}

Certificates::Certificates(CertificateFiles files, std::string seen,
                           std::shared_ptr<const Identity> identity)
    : files_(std::move(files)), seen_(std::move(seen)), current_(std::move(identity)) {}

Result<std::unique_ptr<Certificates>> Certificates::create(CertificateFiles files) {
  std::string seen = fingerprints(files);
  auto identity = read_identity(files);
  if (!identity) {
    return fail(std::move(identity.error()));
  }
  return std::unique_ptr<Certificates>(
      new Certificates(std::move(files), std::move(seen), std::move(*identity)));
}

std::shared_ptr<const Identity> Certificates::current() const {
  const MutexLock lock(mutex_);
  return current_;
}

std::string Certificates::fault() const {
  const MutexLock lock(mutex_);
  return fault_;
}

Result<bool> Certificates::refresh() {
  std::string now = fingerprints(files_);
  {
    const MutexLock lock(mutex_);
    if (now == seen_) {
      return false;
    }
  }
  auto identity = read_identity(files_);
  if (fingerprints(files_) != now) {
    return false;  // files changed while they were read: retry next time
  }
  const MutexLock lock(mutex_);
  seen_ = std::move(now);
  if (!identity) {
    fault_ = identity.error().message;
    return fail(std::move(identity.error()));
  }
  fault_.clear();
  const Identity& old = *current_;
  const Identity& read = **identity;
  if (old.certificate == read.certificate && old.key == read.key &&
      old.client_ca == read.client_ca) {
    return false;
  }
  current_ = std::move(*identity);
  ++generation_;
  return true;
}

}  // namespace podsense::access
