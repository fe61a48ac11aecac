#include "load/requests/http_request.h"

#include <algorithm>
#include <cctype>

namespace podsense::load {
namespace {

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || kMarks.find(c) != kMarks.npos;
  });
}

std::string make_head(const HttpRequestOptions& options, std::string_view content_type) {
  std::string head = " HTTP/1.1\r\n";
  if (!has_header(options, "Host")) {
    head += "Host: " + options.url.authority() + "\r\n";
  }
  for (const auto& [name, value] : options.headers) {
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (!has_header(options, "User-Agent")) {
    head += "User-Agent: podsense-load\r\n";
  }
  if (!content_type.empty() && !has_header(options, "Content-Type")) {
    head.append("Content-Type: ").append(content_type).append("\r\n");
  }
  if (!options.keep_alive && !has_header(options, "Connection")) {
    head += "Connection: close\r\n";
  }
  return head;
}

}  // namespace

bool same_header(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

Result<void> validate(const HttpRequestOptions& options) {
  if (!is_token(options.method)) {
    return fail(ErrorCode::kInvalidArgument, "'" + options.method + "' is no HTTP method");
  }
  for (const auto& [name, value] : options.headers) {
    if (!is_token(name) ||
        std::ranges::any_of(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; })) {
      std::string what = "'";
      what.append(name).append(": ").append(value).append(
          "' is no header; accepted: 'Name: value'");
      return fail(ErrorCode::kInvalidArgument, std::move(what));
    }
    if (same_header(name, "Content-Length") || same_header(name, "Transfer-Encoding")) {
      return fail(ErrorCode::kInvalidArgument,
                  "the header " + name + " is set from the body and cannot be given");
    }
  }
  return {};
}

bool has_header(const HttpRequestOptions& options, std::string_view name) {
  return std::ranges::any_of(
      options.headers, [name](const auto& header) { return same_header(header.first, name); });
}

bool wants_length(std::string_view method) {
  return method != "GET" && method != "HEAD" && method != "OPTIONS" && method != "DELETE";
}

std::string name_in_tls(const HttpRequestOptions& request) {
  for (const auto& [name, value] : request.headers) {
    if (same_header(name, "Host")) {
      if (const auto host = parse_url("https://" + value)) {
        return host->host;
      }
    }
  }
  return request.url.host;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool becomes_get(std::string_view method, int status) {
  return (status == 303 && method != "HEAD" && method != "GET") ||
         (method == "POST" && (status == 301 || status == 302));
}

std::optional<std::string> redirect_target(const Url& url, std::string_view from,
                                           std::string_view location) {
  location = location.substr(0, location.find('#'));
  if (location.empty() || location.starts_with("//")) {
    return std::nullopt;
  }
  if (location.find("://") != location.npos && !location.starts_with('/')) {
    const auto other = parse_url(location);
    const bool same = other && other->tls == url.tls && other->host == url.host &&
                      other->port == url.port && !other->grpc;
    return same ? std::optional(other->target) : std::nullopt;
  }
  std::string target(location);
  if (location.starts_with('?')) {
    target = std::string(from.substr(0, from.find('?'))) + target;
  } else if (!location.starts_with('/')) {
    const std::string_view path = from.substr(0, from.find('?'));
    target = std::string(path.substr(0, path.rfind('/') + 1)) + target;
  }
  const bool clean = std::ranges::none_of(target, [](char c) { return c <= ' ' || c == '\x7f'; });
  return clean ? std::optional(target) : std::nullopt;
}

Result<HttpRequests> HttpRequests::create(const HttpRequestOptions& options) {
  if (auto valid = validate(options); !valid) {
    return fail(std::move(valid.error()));
  }
  HttpRequests requests;
  requests.method_ = options.method;
  const BodyTemplate target = options.target.value_or(BodyTemplate::fixed(options.url.target));
  const auto add = [&](Form form) {
    form.line = options.method + " ";
    form.target = target;
    requests.parts_.push_back(form);
    form.whole = target.is_fixed() && form.body.is_fixed();
    if (form.whole) {
      std::string bytes;
      form.append(0, bytes);
      form = {.line = std::move(bytes), .whole = true};
    }
    requests.forms_.push_back(std::move(form));
  };
  if (options.bodies.empty()) {
    add({.head = make_head(options, {}) +
                 (wants_length(options.method) ? "Content-Length: 0\r\n\r\n" : "\r\n")});
  }
  for (const auto& body : options.bodies) {
    add({.head = make_head(options, body.content_type) + "Content-Length: ",
         .body = body.content,
         .has_body = true});
  }
  return requests;
}

void HttpRequests::Form::append(std::uint64_t index, std::string& out) const {
  out += line;
  target.append_encoded(index, out);
  out += head;
  if (!has_body) {
    return;
  }
  std::string bytes;
  body.append(index, bytes);
  out += std::to_string(bytes.size());
  out += "\r\n\r\n";
  out += bytes;
}

std::string HttpRequests::target(std::uint64_t index) const {
  std::string out;
  parts_[index % parts_.size()].target.append_encoded(index, out);
  return out;
}

std::string_view HttpRequests::redirected(std::uint64_t index, bool as_get, std::string_view target,
                                          std::string& scratch) const {
  Form form = parts_[index % parts_.size()];
  if (as_get) {
    form.line = "GET ";
    if (const std::size_t length = form.head.rfind("Content-Length: "); length != form.head.npos) {
      form.head.resize(length);
      form.head += "\r\n";
    }
    form.has_body = false;
  }
  form.target = BodyTemplate::fixed(std::string(target));
  scratch.clear();
  form.append(index, scratch);
  return scratch;
}

std::string_view HttpRequests::request(std::uint64_t index, std::string& scratch) const {
  const Form& form = forms_[index % forms_.size()];
  if (form.whole) {
    return form.line;
  }
  scratch.clear();
  form.append(index, scratch);
  return scratch;
}

}  // namespace podsense::load
