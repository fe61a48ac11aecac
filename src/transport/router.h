#pragma once

/// Maps path and method to a handler and to the limits that apply before the body is read. A
/// segment of a path may be a placeholder (`/v2/models/{model}/infer`), also with a suffix
/// (`/v1/models/{model}:predict`). Paths without placeholders have priority, then the order of
/// addition. The 404 suggests the closest known path; the 405 lists the allowed methods.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "transport/message.h"
#include "transport/stream.h"

namespace podsense::transport {

struct Route {
  std::string path;
  Handler get;                 ///< also HEAD; empty: not offered
  Handler post;                ///< empty: not offered
  std::uint64_t max_body = 0;  ///< bytes, of a POST, before decompression
  bool body_required = true;   ///< of a POST: 411 without Content-Length or chunked encoding
  /// Part of the inference API: CORS applies, requests are traced, and clients need a key if keys
  /// are configured.
  bool api = false;
  /// Needs no key even if the server requires keys: health.
  bool open = false;
  /// Changes what is served: requires a control token if control tokens are configured.
  bool control = false;
  /// Called frequently by machines (probes, scrapes): logged only if all requests are.
  bool quiet = false;
  /// For the error if a body is too large: what `max_body` limits, which setting changes it, and
  /// what has another limit.
  std::string limit_text;
};

/// @threads immutable once built
class Router {
 public:
  void add(Route route);

  /// Over HTTP/2, POST requests for any path go to `open` if their Content-Type is `media_type`, or
  /// starts with `media_type` and '+'.
  void add_stream_service(std::string media_type, OpenStream open);
  /// The stream service for `request`; null: none.
  [[nodiscard]] const OpenStream* stream_service(const Request& request) const;

  struct Match {
    const Route* route = nullptr;
    PathValues values;
  };
  /// @errors kNotFound, suggesting the closest known path
  [[nodiscard]] Result<Match> find(std::string_view path) const;
  /// The normalised path, as some proxies rewrite it: without unnecessary escapes (`%2D`, `%3A`)
  /// and without a trailing slash.
  [[nodiscard]] static std::string plain_path(std::string_view path);
  /// "GET, HEAD, OPTIONS"
  [[nodiscard]] static std::string allowed(const Route& route);
  /// The handler for the request's method. @errors kMethodNotAllowed
  [[nodiscard]] static Result<const Handler*> handler(const Route& route, const Request& request);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  static constexpr std::size_t kMaxSegments = 8;
  /// A path split at its slashes; `{…}` matches any text that is not empty.
  struct Pattern {
    std::vector<std::string> segments;
    std::unique_ptr<Route> route;
  };
  [[nodiscard]] const Route* match(std::string_view path, PathValues& values) const;

  std::unordered_map<std::string, Route, Hash, std::equal_to<>> routes_;
  std::vector<std::pair<std::string, OpenStream>> stream_services_;
  std::array<std::vector<Pattern>, kMaxSegments + 1> patterns_;  ///< by number of segments
};

}  // namespace podsense::transport
