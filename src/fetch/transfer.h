#pragma once

/// One fetch with libcurl: one leg for the URL and one for each redirect. Independent of threads,
/// queues and other transfers. Confined to the fetch thread after its first leg is prepared.

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/fetch.h"
#include "fetch/inflate.h"
#include "fetch/origin_headers.h"

namespace podsense::fetch {

/// Simulates name servers in tests, so that answers can change. In libcurl's format,
/// "name:port:address[,address]" (CURLOPT_RESOLVE). Empty in production.
using Answers = std::function<std::vector<std::string>(const CheckedUrl&)>;

/// Shared by all transfers of a Fetcher. Immutable; must outlive them.
struct Environment {
  Options options;
  UrlPolicy policy;
  Answers answers;
  std::vector<OriginHeader> headers{};
};

class Transfer {
 public:
  /// `url`: the checked request.url
  Transfer(const Environment& environment, const Request& request, CheckedUrl url,
           Fetcher::Callback done, TimePoint now);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() = default;

  /// A handle prepared for the current leg. Remove it from its multi handle before the next call.
  /// @errors kDeadlineExceeded; kInternal: libcurl refused an option, so nothing must be sent
  Result<CURL*> prepare(TimePoint now);
  /// The result after a leg; nothing: an accepted redirect, call `prepare` again.
  std::optional<Result<Response>> end_leg(CURLcode code, TimePoint now);
  /// Runs the callback; at most once.
  void finish(Result<Response> result);

  [[nodiscard]] Deadline deadline() const { return deadline_; }
  [[nodiscard]] Error too_late() const;

 private:
  /// Why one of our callbacks ended the leg.
  enum class Stop { kNone, kTooLarge, kNoMemory, kHeadersTooLarge, kEncoded, kCorrupt, kNotWanted };

  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static curl_socket_t on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);

  [[nodiscard]] bool set_policy_options();
  [[nodiscard]] bool set_leg_options(Duration left);
  [[nodiscard]] bool set_headers();
  [[nodiscard]] long status() const;
  bool take_body(std::string_view data);
  bool take_gzip(std::string_view data);
  bool take_memory(std::size_t bytes);
  bool take_header(std::string_view line);
  curl_socket_t open_socket(const curl_sockaddr& address);
  std::optional<Result<Response>> redirect();
  Result<Response> take_response(TimePoint now);
  [[nodiscard]] bool in_head() const;
  [[nodiscard]] std::optional<Error> own_stop() const;
  [[nodiscard]] Error failure(CURLcode code, TimePoint now) const;
  [[nodiscard]] Error status_error(long status) const;
  [[nodiscard]] Error too_large() const;
  [[nodiscard]] std::string detail(CURLcode code) const;

  struct EasyDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct ListDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  using List = std::unique_ptr<curl_slist, ListDeleter>;

  // Constant after construction.
  const Environment& environment_;
  const TimePoint started_;
  const Deadline deadline_;
  const bool own_limit_;  // the deadline is from options.timeout, not from the request

  std::string traceparent_;  // empty: none
  Fetcher::Callback done_;
  CheckedUrl url_;
  unsigned redirects_ = 0;
  std::string body_;
  MemoryBudget::Share memory_;                ///< counts the body
  std::optional<Error> no_memory_;            ///< why memory_ could not grow
  std::unique_ptr<AnswerInflater> inflater_;  // for a gzip body

  // Of the current leg.
  std::size_t header_bytes_ = 0;
  std::size_t ignored_bytes_ = 0;
  bool gzip_ = false;  // the response declares gzip
  Stop stop_ = Stop::kNone;
  std::optional<Error> refusal_;  // by the address check
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  List headers_;
  List answers_;
  std::unique_ptr<CURL, EasyDeleter> easy_;  // destroyed first: it borrows from all members above
};

}  // namespace podsense::fetch
