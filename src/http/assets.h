#pragma once

/// The files of web/, inside the binary. Generated at build time by cmake/EmbedFiles.cmake.
///
/// What a server must do with them: `Cache-Control: no-cache` with `ETag` (answer 304 when
/// `If-None-Match` names it), `Vary: Accept-Encoding`, `gzip_body` where the client accepts gzip,
/// and kPagePolicy with every page. The ETag is weak, so one serves both encodings.
/// @threads immutable

#include <span>
#include <string_view>

namespace podsense::http {

/// All views last as long as the process.
struct Asset {
  std::string_view path;          ///< "/", "/docs", "/app.js"
  std::string_view content_type;  ///< complete, with charset
  std::string_view body;
  std::string_view gzip_body;  ///< empty where compressing did not pay
  std::string_view etag;       ///< complete: W/"…"; changes with the body and with nothing else
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

/// Content-Security-Policy of / and /docs: nothing inline, nothing from elsewhere. The page shows
/// a picked picture from a blob: URL.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace podsense::http
