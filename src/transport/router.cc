#include "transport/router.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/ascii.h"
#include "base/text.h"

namespace podsense::transport {

namespace {

/// Splits `path` at the slashes, without the first one. Nothing: there are more than kMost
/// segments.
template <std::size_t kMost>
std::optional<std::size_t> cut(std::string_view path, std::array<std::string_view, kMost>& out) {
  std::size_t count = 0;
  while (path.starts_with('/')) {
    if (count == kMost) {
      return std::nullopt;
    }
    const std::size_t end = std::min(path.find('/', 1), path.size());
    out[count++] = path.substr(1, end - 1);
    path.remove_prefix(end);
  }
  return count;
}

bool is_value(std::string_view segment) {
  return segment.starts_with('{');
}
/// The suffix after a placeholder: `:predict` in `{model}:predict`.
std::string_view suffix_of(std::string_view segment) {
  return segment.substr(segment.find('}') + 1);
}

}  // namespace

void Router::add(Route route) {
  std::string path = route.path;
  if (path.find('{') == std::string::npos) {
    routes_.emplace(std::move(path), std::move(route));
    return;
  }
  std::array<std::string_view, kMaxSegments> segments;
  const std::size_t count = cut(path, segments).value();
  Pattern pattern{.segments = {segments.begin(), segments.begin() + count},
                  .route = std::make_unique<Route>(std::move(route))};
  patterns_[count].push_back(std::move(pattern));
}

void Router::add_stream_service(std::string media_type, OpenStream open) {
  stream_services_.emplace_back(std::move(media_type), std::move(open));
}

const OpenStream* Router::stream_service(const Request& request) const {
  if (stream_services_.empty() || request.method != Method::kPost) {
    return nullptr;
  }
  const std::string_view type = request.header("content-type");
  for (const auto& [media_type, open] : stream_services_) {
    if (equals_ignoring_case(type.substr(0, media_type.size()), media_type) &&
        (type.size() == media_type.size() ||
         std::string_view("+; ").contains(type[media_type.size()]))) {
      return &open;
    }
  }
  return nullptr;
}

const Route* Router::match(std::string_view path, PathValues& values) const {
  std::array<std::string_view, kMaxSegments> segments;
  const auto count = cut(path, segments);
  if (!count) {
    return nullptr;
  }
  for (const Pattern& pattern : patterns_[*count]) {
    std::size_t taken = 0;
    std::size_t i = 0;
    for (; i < *count; ++i) {
      std::string_view segment = segments[i];
      if (!is_value(pattern.segments[i])) {
        if (segment != pattern.segments[i]) {
          break;
        }
        continue;
      }
      const std::string_view suffix = suffix_of(pattern.segments[i]);
      if (segment.size() <= suffix.size() || !segment.ends_with(suffix) || taken == values.size()) {
        break;
      }
      segment.remove_suffix(suffix.size());
      values[taken++] = segment;
    }
    if (i == *count) {
      return pattern.route.get();
    }
  }
  return nullptr;
}

Result<Router::Match> Router::find(std::string_view path) const {
  Match found;
  if (const auto exact = routes_.find(path); exact != routes_.end()) {
    found.route = &exact->second;
    return found;
  }
  if (found.route = match(path, found.values); found.route != nullptr) {
    return found;
  }
  std::vector<std::string_view> known;
  known.reserve(routes_.size());
  for (const auto& [name, route] : routes_) {
    known.push_back(name);
  }
  for (const auto& patterns : patterns_) {
    for (const Pattern& pattern : patterns) {
      known.push_back(pattern.route->path);
    }
  }
  const std::string_view near = nearest_name(path, known);
  std::string message = "there is no " + std::string(path.substr(0, 100));
  message += near.empty() ? "; GET /openapi.json lists what there is"
                          : "; did you mean " + std::string(near) + "?";
  return fail(ErrorCode::kNotFound, std::move(message));
}

/// An escaped unreserved character is equivalent to the character itself, RFC 3986 6.2.2.2; `:`
/// needs no escape in a path.
std::string Router::plain_path(std::string_view path) {
  std::string plain;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%' && path.size() - i > 2 && ascii::hex_value(path[i + 1]) >= 0 &&
        ascii::hex_value(path[i + 2]) >= 0) {
      const char c =
          static_cast<char>(ascii::hex_value(path[i + 1]) * 16 + ascii::hex_value(path[i + 2]));
      if (ascii::is_alphanumeric(c) || std::string_view("-._~:").contains(c)) {
        plain += c;
        i += 2;
        continue;
      }
    }
    plain += path[i];
  }
  if (plain.size() > 1 && plain.ends_with('/')) {
    plain.pop_back();
  }
  return plain;
}

std::string Router::allowed(const Route& route) {
  std::string methods;
  if (route.get) {
    methods += "GET, HEAD, ";
  }
  if (route.post) {
    methods += "POST, ";
  }
  return methods + "OPTIONS";
}

Result<const Handler*> Router::handler(const Route& route, const Request& request) {
  if (route.get && (request.method == Method::kGet || request.method == Method::kHead)) {
    return &route.get;
  }
  if (route.post && request.method == Method::kPost) {
    return &route.post;
  }
  return fail(ErrorCode::kMethodNotAllowed, route.path + " does not take " +
                                                request.method_name.substr(0, 32) +
                                                "; accepted: " + allowed(route));
}

}  // namespace podsense::transport
