#include "http/router.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace podsense::http {

namespace {

/// Cuts what follows the first slash. Nothing when there are more segments than fit.
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
/// What follows a value in its segment: `:predict` of `{model}:predict`.
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

Result<const Handler*> Router::handler(const Route& route, beast_http::verb method) {
  if (route.get && (method == beast_http::verb::get || method == beast_http::verb::head)) {
    return &route.get;
  }
  if (route.post && method == beast_http::verb::post) {
    return &route.post;
  }
  const auto name = beast_http::to_string(method);
  return fail(ErrorCode::kMethodNotAllowed,
              route.path + " does not take " +
                  (method == beast_http::verb::unknown ? std::string("this method")
                                                       : std::string(name.data(), name.size())) +
                  "; accepted: " + allowed(route));
}

}  // namespace podsense::http
