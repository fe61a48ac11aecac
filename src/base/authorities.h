#pragma once

/// Certificate authorities of systems other than the one that OpenSSL and libcurl were built for.

#include <filesystem>
#include <string>

namespace podsense {

/// The PEM bundle of this system's certificate authorities, where it is not in Debian's place: that
/// of Red Hat, SUSE or Alpine. Empty where Debian's is there, where SSL_CERT_FILE or SSL_CERT_DIR
/// names others (OpenSSL reads these itself), and where there is none. A copy of the binary that
/// brings its own OpenSSL and libcurl knows only the paths that were compiled into them.
/// @param root in front of every path; for tests.
std::string authorities_elsewhere(const std::filesystem::path& root = "/");

/// The bundle that libcurl is to read, which ignores SSL_CERT_FILE: that file, else
/// authorities_elsewhere(). Empty: the one compiled into it.
std::string authorities_for_curl(const std::filesystem::path& root = "/");

}  // namespace podsense
