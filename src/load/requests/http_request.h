#pragma once

/// The bytes of each request: head and body. Where all requests are equal they are made once.
/// @threads immutable once made

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "load/requests/body_template.h"
#include "load/requests/url.h"

namespace podsense::load {

struct HttpRequestOptions {
  Url url;
  std::optional<BodyTemplate> target;  ///< in place of the URL's path and query
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;  ///< beside Host and Content-Length
  bool keep_alive = true;
  /// Used in turn; none: no body.
  struct Body {
    BodyTemplate content;
    std::string content_type;  ///< empty: none, or one among `headers`
  };
  std::vector<Body> bodies;
};

/// Names of headers have no case.
bool same_header(std::string_view a, std::string_view b);
bool has_header(const HttpRequestOptions& options, std::string_view name);
/// @errors kInvalidArgument: a method or header that HTTP does not allow
Result<void> validate(const HttpRequestOptions& options);
/// Without a body such a request says that its length is 0.
bool wants_length(std::string_view method);
/// The name that a server is asked for and has to have in its certificate: that of the Host header
/// where one is given, else the URL's.
std::string name_in_tls(const HttpRequestOptions& request);

/// 301, 302, 303, 307, 308.
bool is_redirect(int status);
/// After an answer with this status, and ever after: GET without a body after 303, and where POST
/// met 301 or 302.
/// @source the Fetch standard, HTTP-redirect fetch, 12
bool becomes_get(std::string_view method, int status);
/// Path and query that a Location leads to from the target `from`; nothing where it leads to
/// another server.
std::optional<std::string> redirect_target(const Url& url, std::string_view from,
                                           std::string_view location);

class HttpRequests {
 public:
  /// @errors kInvalidArgument: a method or header that HTTP does not allow
  static Result<HttpRequests> create(const HttpRequestOptions& options);

  /// The whole request with this number. The view lasts until `scratch` is touched.
  std::string_view request(std::uint64_t index, std::string& scratch) const;
  /// The same to another path; `as_get`: as GET without a body.
  std::string_view redirected(std::uint64_t index, bool as_get, std::string_view target,
                              std::string& scratch) const;
  /// Path and query of the request with this number.
  [[nodiscard]] std::string target(std::uint64_t index) const;
  [[nodiscard]] const std::string& method() const { return method_; }
  [[nodiscard]] bool is_head() const { return method_ == "HEAD"; }

 private:
  struct Form {
    std::string line;  ///< up to the URL
    BodyTemplate target;
    std::string head;  ///< after the URL, up to "Content-Length: " where there is a body
    BodyTemplate body;
    bool has_body = false;
    bool whole = false;  ///< `line` is the whole request
    void append(std::uint64_t index, std::string& out) const;
  };
  std::vector<Form> forms_;
  std::vector<Form> parts_;  ///< the same, none of them whole
  std::string method_;
};

}  // namespace podsense::load
