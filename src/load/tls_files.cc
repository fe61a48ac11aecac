#include "load/tls_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "text/file.h"

namespace podsense::load {
namespace {

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> reader(const std::string& pem) {
  return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Owned<X509> first_certificate(const std::string& pem) {
  Owned<X509> certificate(PEM_read_bio_X509(reader(pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return certificate;
}

tl::unexpected<Error> fault(std::string_view flag, const std::string& file, std::string_view what) {
  return fail(ErrorCode::kInvalidArgument,
              std::string(flag) + " '" + file + "': " + std::string(what));
}

/// A PEM file that holds a certificate at least.
Result<std::string> read_certificates(std::string_view flag, const std::string& file) {
  auto pem = text::read_file(file);
  if (!pem) {
    return fail(ErrorCode::kInvalidArgument, std::string(flag) + ": " + pem.error().message);
  }
  if (!first_certificate(*pem)) {
    return fault(flag, file, "holds no certificate; accepted is PEM (\"BEGIN CERTIFICATE\")");
  }
  return pem;
}

/// OpenSSL would ask the terminal for it otherwise.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

/// The key of `certificate`; as with curl it may be in the certificate's file.
Result<std::string> read_key(const LoadOptions& options, const std::string& certificate) {
  const bool own_file = !options.key_file.empty();
  const std::string& file = own_file ? options.key_file : options.certificate_file;
  auto pem = own_file ? text::read_file(file) : Result<std::string>(certificate);
  if (!pem) {
    return fail(ErrorCode::kInvalidArgument, "--key: " + pem.error().message);
  }
  bool asked = false;
  const Owned<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(reader(*pem).get(), nullptr, &no_passphrase, &asked));
  ERR_clear_error();
  if (!key) {
    return asked      ? fault(own_file ? "--key" : "--cert", file,
                         "the key has a passphrase; accepted is one without")
           : own_file ? fault("--key", file,
                              "holds no private key; accepted is PEM (\"BEGIN PRIVATE KEY\")")
                      : fault("--cert", file, "holds no private key: name its file with --key");
  }
  const int match = X509_check_private_key(first_certificate(certificate).get(), key.get());
  ERR_clear_error();
  if (match != 1) {
    return fault(own_file ? "--key" : "--cert", file,
                 own_file ? "is not the key of --cert '" + options.certificate_file + "'"
                          : "holds a key that is not its certificate's");
  }
  return pem;
}

}  // namespace

Result<ClientTls> read_client_tls(const LoadOptions& options) {
  ClientTls tls{.verify = options.verify_tls};
  if (!options.ca_file.empty()) {
    auto roots = read_certificates("--cacert", options.ca_file);
    if (!roots) {
      return fail(std::move(roots.error()));
    }
    tls.roots = std::move(*roots);
  }
  if (!options.certificate_file.empty()) {
    auto certificate = read_certificates("--cert", options.certificate_file);
    if (!certificate) {
      return fail(std::move(certificate.error()));
    }
    auto key = read_key(options, *certificate);
    if (!key) {
      return fail(std::move(key.error()));
    }
    tls.certificate = std::move(*certificate);
    tls.key = std::move(*key);
  }
  return tls;
}

}  // namespace podsense::load
