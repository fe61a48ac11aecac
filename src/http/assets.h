#pragma once

/// The files of web/, inside the binary. Generated at build time by cmake/EmbedFiles.cmake.
///
/// How a server must send them: `Cache-Control: no-cache` with `ETag` (answer 304 if
/// `If-None-Match` names it), `Vary: Accept-Encoding`, `gzip_body` if the client accepts gzip, and
/// kPagePolicy with every page. The ETag is weak, so it is valid for both encodings.
/// @threads immutable

#include <span>
#include <string_view>

namespace podsense::http {

/// All views last as long as the process.
struct Asset {
  std::string_view path;          ///< "/", "/docs", "/app.js"
  std::string_view content_type;  ///< complete, with charset
  std::string_view body;
  std::string_view gzip_body;  ///< empty if compression saves too little
  std::string_view etag;       ///< complete: W/"…"; depends only on the body
};

std::span<const Asset> assets();

/// nullptr: no asset has this path. A linear search over about a dozen.
inline const Asset* find_asset(std::string_view path) {
  for (const Asset& asset : assets()) {
    if (asset.path == path) {
      return &asset;
    }
  }
  return nullptr;
}

/// Content-Security-Policy of / and /docs: nothing inline, nothing from other origins. The page
/// shows the chosen picture from a blob: URL.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace podsense::http
