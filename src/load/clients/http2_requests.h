#pragma once

/// HTTP's own requests and answers over HTTP/2: the same that http_request.h has for HTTP/1.1.

#include <memory>
#include <string>
#include <vector>

#include "load/clients/http2_messages.h"
#include "load/requests/expectation.h"
#include "load/requests/http_request.h"

namespace podsense::load {

struct Http2RequestsOptions {
  HttpRequestOptions request;
  std::vector<AnswerExpectation> expect;  ///< of answers with a 2xx status
  unsigned redirects = 0;                 ///< followed at most, each request; on the same host only
  std::shared_ptr<std::string> kept = nullptr;  ///< where an answer's body goes; null: nowhere
};

class Http2Requests final : public Http2Messages {
 public:
  /// @errors kInvalidArgument: a method or header that HTTP does not allow, or HTTP/2 has no more
  static Result<std::shared_ptr<const Http2Requests>> create(const Http2RequestsOptions& options);

  [[nodiscard]] std::string_view protocol() const override { return "HTTP/2"; }
  [[nodiscard]] Result<Http2Request> request(std::uint64_t index) const override;
  [[nodiscard]] std::unique_ptr<Http2Answer> answer(std::uint64_t index) const override;

  /// The same to another path; `as_get`: as GET without a body.
  [[nodiscard]] Http2Request redirected(std::uint64_t index, bool as_get,
                                        std::string_view target) const;
  /// Path and query of the request with this number.
  [[nodiscard]] std::string target(std::uint64_t index) const;
  [[nodiscard]] const Http2RequestsOptions& options() const { return options_; }

 private:
  /// A kind of body; they are used in turn. Null: it is made for each request.
  struct Form {
    Http2Head fields;  ///< all but the pseudo-headers and Content-Length
    BodyTemplate body;
    bool has_body = false;
    std::shared_ptr<const Http2Head> fixed_head;
    std::shared_ptr<const std::string> fixed_body;
  };
  explicit Http2Requests(const Http2RequestsOptions& options);
  [[nodiscard]] std::shared_ptr<const std::string> make_body(const Form& form,
                                                             std::uint64_t index) const;
  [[nodiscard]] std::shared_ptr<const Http2Head> make_head(const Form& form,
                                                           std::string_view method,
                                                           std::string target,
                                                           const std::string* body) const;

  const Http2RequestsOptions options_;
  const BodyTemplate target_;
  std::string authority_;
  std::vector<Form> forms_;
};

}  // namespace podsense::load
