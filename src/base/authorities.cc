#include "base/authorities.h"

#include <array>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace podsense {
namespace {

constexpr std::string_view kDebian = "etc/ssl/certs/ca-certificates.crt";
constexpr std::array<std::string_view, 4> kOthers{
    "etc/pki/tls/certs/ca-bundle.crt",                   // Red Hat, Fedora, Amazon Linux
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // newer Fedora
    "etc/ssl/ca-bundle.pem",                             // SUSE
    "etc/ssl/cert.pem",                                  // Alpine
};

bool is_file(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

/// Empty where it is not set.
std::string variable(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? "" : value;
}

}  // namespace

std::string authorities_elsewhere(const std::filesystem::path& root) {
  if (!variable("SSL_CERT_FILE").empty() || !variable("SSL_CERT_DIR").empty() ||
      is_file(root / kDebian)) {
    return {};
  }
  for (const std::string_view other : kOthers) {
    if (is_file(root / other)) {
      return root / other;
    }
  }
  return {};
}

std::string authorities_for_curl(const std::filesystem::path& root) {
  std::string named = variable("SSL_CERT_FILE");
  return named.empty() ? authorities_elsewhere(root) : named;
}

}  // namespace podsense
