#pragma once

/// Finds the certificate authorities on systems other than Debian, for which OpenSSL and libcurl
/// were built.

#include <filesystem>
#include <string>

namespace podsense {

/// The path of this system's CA bundle (PEM) on Red Hat, SUSE or Alpine. A binary that ships its
/// own OpenSSL and libcurl knows only the paths compiled into them.
/// Empty if Debian's bundle exists, if SSL_CERT_FILE or SSL_CERT_DIR is set (OpenSSL reads these
/// itself), or if there is no bundle.
/// @param root prefix of every path, for tests
std::string authorities_elsewhere(const std::filesystem::path& root = "/");

/// The CA bundle for libcurl: SSL_CERT_FILE, which libcurl itself ignores, or else
/// authorities_elsewhere(). Empty: libcurl uses its compiled-in default.
std::string authorities_for_curl(const std::filesystem::path& root = "/");

}  // namespace podsense
