#include "load/clients/http2_requests.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "load/clients/http2_session.h"
#include "load/clients/kept_answer.h"

namespace podsense::load {
namespace {

/// Of an answer that is read here, as the metadata of a model is.
constexpr std::size_t kMostKept = 16U << 20U;

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// @source RFC 9113, 8.2.2: fields of HTTP/1.1's connections
bool is_of_connection(std::string_view name, std::string_view value) {
  constexpr std::array<std::string_view, 5> kNames{"connection", "keep-alive", "proxy-connection",
                                                   "upgrade", "http2-settings"};
  return std::ranges::find(kNames, name) != kNames.end() || (name == "te" && value != "trailers");
}

Http2Head make_fields(const HttpRequestOptions& options, std::string_view content_type) {
  Http2Head fields;
  for (const auto& [name, value] : options.headers) {
    if (!same_header(name, "Host")) {
      fields.push_back({.name = lower_case(name), .value = value});
    }
  }
  if (!has_header(options, "User-Agent")) {
    fields.push_back({.name = "user-agent", .value = "podsense-load"});
  }
  if (!content_type.empty() && !has_header(options, "Content-Type")) {
    fields.push_back({.name = "content-type", .value = std::string(content_type)});
  }
  return fields;
}

/// With the redirects that it leads to.
class HttpAnswer final : public Http2Answer {
 public:
  HttpAnswer(const Http2Requests& requests, std::uint64_t index)
      : requests_(requests), index_(index) {
    kept_.keep_body(!requests.options().expect.empty());
  }

  void header(std::string_view name, std::string_view value) override {
    if (name == ":status") {
      int status = 0;
      std::from_chars(value.data(), value.data() + value.size(), status);
      kept_.set_status(status);
    } else if (name == "location") {
      kept_.set_location(value);
    }
  }
  void data(std::string_view bytes) override {
    kept_.add(bytes);
    const auto& kept = requests_.options().kept;
    if (kept && kept->size() < kMostKept) {
      kept->append(bytes);
    }
  }
  [[nodiscard]] bool has_begun() const override { return kept_.status() >= 200; }

  AnswerVerdict judge(Duration /*took*/) override {
    const std::string fault =
        kept_.is_success() ? first_fault(requests_.options().expect, kept_.body()) : "";
    return {.error = fault.empty() ? ErrorKind::kNone : ErrorKind::kUnexpected,
            .ok = kept_.is_success() && fault.empty(),
            .status = kept_.status(),
            .sample = fault.empty() ? kept_.sample() : fault};
  }
  AnswerVerdict judge_reset(std::uint32_t code, Duration /*took*/) override {
    return {.error = ErrorKind::kReset,
            .sample = "the server reset the stream: " + http2_error_name(code)};
  }

  std::optional<Http2Request> follow() override {
    const int status = kept_.status();
    if (!is_redirect(status) || redirects_ >= requests_.options().redirects) {
      return std::nullopt;
    }
    const std::string from = target_.empty() ? requests_.target(index_) : target_;
    const auto target = redirect_target(requests_.options().request.url, from, kept_.location());
    if (!target) {
      return std::nullopt;
    }
    ++redirects_;
    target_ = *target;
    kept_ = {};
    kept_.keep_body(!requests_.options().expect.empty());
    as_get_ = as_get_ || becomes_get(requests_.options().request.method, status);
    return requests_.redirected(index_, as_get_, target_);
  }

 private:
  const Http2Requests& requests_;
  const std::uint64_t index_;
  KeptAnswer kept_;
  unsigned redirects_ = 0;
  bool as_get_ = false;  ///< since a redirect
  std::string target_;   ///< where the last redirect led
};

}  // namespace

Result<std::shared_ptr<const Http2Requests>> Http2Requests::create(
    const Http2RequestsOptions& options) {
  if (auto valid = validate(options.request); !valid) {
    return fail(std::move(valid.error()));
  }
  for (const auto& [name, value] : options.request.headers) {
    if (is_of_connection(lower_case(name), value)) {
      return fail(ErrorCode::kInvalidArgument,
                  "the header " + name + " belongs to HTTP/1.1 and cannot be sent over HTTP/2");
    }
  }
  return std::shared_ptr<const Http2Requests>(new Http2Requests(options));
}

Http2Requests::Http2Requests(const Http2RequestsOptions& options)
    : options_(options),
      target_(options.request.target.value_or(BodyTemplate::fixed(options.request.url.target))),
      authority_(options.request.url.authority()) {
  const HttpRequestOptions& request = options.request;
  for (const auto& [name, value] : request.headers) {
    authority_ = same_header(name, "Host") ? value : authority_;
  }
  const auto add = [&](Form form) {
    if (form.body.is_fixed()) {
      form.fixed_body = form.has_body ? make_body(form, 0) : nullptr;
      if (target_.is_fixed()) {
        form.fixed_head = make_head(form, request.method, target(0), form.fixed_body.get());
      }
    }
    forms_.push_back(std::move(form));
  };
  if (request.bodies.empty()) {
    add({.fields = make_fields(request, {})});
  }
  for (const auto& body : request.bodies) {
    add({.fields = make_fields(request, body.content_type),
         .body = body.content,
         .has_body = true});
  }
}

std::string Http2Requests::target(std::uint64_t index) const {
  std::string out;
  target_.append_encoded(index, out);
  return out;
}

std::shared_ptr<const std::string> Http2Requests::make_body(const Form& form,
                                                            std::uint64_t index) const {
  std::string body;
  form.body.append(index, body);
  return std::make_shared<const std::string>(std::move(body));
}

std::shared_ptr<const Http2Head> Http2Requests::make_head(const Form& form, std::string_view method,
                                                          std::string target,
                                                          const std::string* body) const {
  Http2Head head{{.name = ":method", .value = std::string(method)},
                 {.name = ":scheme", .value = options_.request.url.tls ? "https" : "http"},
                 {.name = ":authority", .value = authority_},
                 {.name = ":path", .value = std::move(target)}};
  head.insert(head.end(), form.fields.begin(), form.fields.end());
  if (body != nullptr || wants_length(method)) {
    head.push_back(
        {.name = "content-length", .value = std::to_string(body == nullptr ? 0 : body->size())});
  }
  return std::make_shared<const Http2Head>(std::move(head));
}

Result<Http2Request> Http2Requests::request(std::uint64_t index) const {
  const Form& form = forms_[index % forms_.size()];
  Http2Request request{.head = form.fixed_head, .body = form.fixed_body};
  if (form.has_body && !request.body) {
    request.body = make_body(form, index);
  }
  if (!request.head) {
    request.head = make_head(form, options_.request.method, target(index), request.body.get());
  }
  return request;
}

Http2Request Http2Requests::redirected(std::uint64_t index, bool as_get,
                                       std::string_view target) const {
  const Form& form = forms_[index % forms_.size()];
  Http2Request request;
  if (form.has_body && !as_get) {
    request.body = form.fixed_body ? form.fixed_body : make_body(form, index);
  }
  request.head = make_head(form, as_get ? "GET" : std::string_view(options_.request.method),
                           std::string(target), request.body.get());
  return request;
}

std::unique_ptr<Http2Answer> Http2Requests::answer(std::uint64_t index) const {
  return std::make_unique<HttpAnswer>(*this, index);
}

}  // namespace podsense::load
