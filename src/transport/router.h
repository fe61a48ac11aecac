#pragma once

/// Path and method → handler, with what is known of a request before its body is read. A path may
/// have segments that stand for any text (`/v2/models/{model}/infer`), also with an end of their
/// own (`/v1/models/{model}:predict`); a path without such segments goes first, then the one that
/// was added first. The error for an unknown path names the
/// nearest one, and that for a wrong method those that are allowed.

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
  std::uint64_t max_body = 0;  ///< of a POST, as it is sent
  bool body_required = true;   ///< of a POST: 411 without Content-Length and chunks
  /// Of the inference API, to which CORS and the request deadline apply.
  bool api = false;
  /// Of the inference API, and free for everybody also where the server asks for keys: health.
  bool open = false;
  /// Changes what is served: asks for a control token where the server has some.
  bool control = false;
  /// Asked again and again by machines (probes, scrapes): logged only where everything is.
  bool quiet = false;
  /// For who sends too much: what `max_body` bounds, by which setting, and what has another bound.
  std::string limit_text;
};

/// @threads immutable once built
class Router {
 public:
  void add(Route route);

  /// Over HTTP/2, POST requests whose Content-Type is `media_type`, or begins with it and a plus
  /// sign, go to `open`, whatever their path.
  void add_stream_service(std::string media_type, OpenStream open);
  /// Null: there is none for it.
  [[nodiscard]] const OpenStream* stream_service(const Request& request) const;

  struct Match {
    const Route* route = nullptr;
    PathValues values;
  };
  /// @errors kNotFound with the nearest path
  [[nodiscard]] Result<Match> find(std::string_view path) const;
  /// A path that is the same to people and to some proxies: without escapes of characters that need
  /// none (`%2D`, `%3A`), and without a slash at its end.
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
  /// A path cut at its slashes; `{…}` stands for any text that is not empty.
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
