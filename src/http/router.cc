#include "http/router.h"

#include "base/text.h"

namespace podsense::http {

void Router::add(Route route) {
  std::string path = route.path;
  routes_.emplace(std::move(path), std::move(route));
}

Result<const Route*> Router::find(std::string_view path) const {
  if (const auto found = routes_.find(path); found != routes_.end()) {
    return &found->second;
  }
  std::vector<std::string_view> known;
  known.reserve(routes_.size());
  for (const auto& [name, route] : routes_) {
    known.push_back(name);
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
