#include "fetch/transfer.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "base/ascii.h"
#include "base/authorities.h"

namespace podsense::fetch {
namespace {

constexpr std::size_t kMaxHeaderBytes = std::size_t{32} << 10U;
/// The body of a redirect is read up to this size, so that the connection can be kept.
constexpr std::size_t kMaxIgnoredBytes = std::size_t{16} << 10U;

/// CURLE_TOO_LARGE since libcurl 8.6. @source curl/curl.h
constexpr int kTooLargeLine = 100;
constexpr std::string_view kCompressed =
    "the answer is compressed, although no compression was requested";

/// Remembers whether all options were accepted, because a refused one might be needed for security.
class OptionSetter {
 public:
  explicit OptionSetter(CURL* easy) : easy_(easy) {}
  template <class T>
  OptionSetter& set(CURLoption option, T value) {
    good_ = good_ && curl_easy_setopt(easy_, option, value) == CURLE_OK;
    return *this;
  }
  [[nodiscard]] bool good() const { return good_; }

 private:
  CURL* easy_;
  bool good_ = true;
};

std::string seconds_text(Duration duration) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), to_seconds(duration),
                                 std::chars_format::general, 4)
                       .ptr;
  return std::string(buffer.data(), end) + " s";
}

/// Rounds up, so that libcurl never ends a transfer before its deadline.
long milliseconds(Duration duration) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<long>(std::clamp<std::int64_t>(ms, 1, 3'600'000));
}

/// @source W3C Trace Context, version 00: 2 + 32 + 16 + 2 hexadecimal digits; later ones may be
/// longer
bool is_traceparent(std::string_view text) {
  return text.size() >= 55 && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';
         });
}

/// The value of the header `name` (lower case), trimmed; nothing for another header.
std::optional<std::string_view> header_value(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':' ||
      !ascii::equal_ignoring_case(line.substr(0, name.size()), name)) {
    return std::nullopt;
  }
  line.remove_prefix(name.size() + 1);
  const auto begin = std::min(line.find_first_not_of(" \t\r\n"), line.size());
  const auto end = line.find_last_not_of(" \t\r\n");
  return begin == line.size() ? std::string_view() : line.substr(begin, end - begin + 1);
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Deadline earlier(Deadline a, Deadline b) {
  return a < b ? a : b;
}

}  // namespace

Transfer::Transfer(const Environment& environment, const Request& request, CheckedUrl url,
                   Fetcher::Callback done, TimePoint now)
    : environment_(environment),
      started_(now),
      deadline_(earlier(Deadline::after(now, environment.options.timeout), request.deadline)),
      own_limit_(deadline_ < request.deadline),
      done_(std::move(done)),
      url_(std::move(url)),
      memory_(MemoryBudget::share(environment.options.budget, MemoryUse::kFetches)) {
  if (is_traceparent(request.traceparent)) {
    traceparent_ = "traceparent: " + request.traceparent;
  }
}

Result<CURL*> Transfer::prepare(TimePoint now) {
  if (deadline_.passed(now)) {
    return fail(too_late());
  }
  if (!easy_) {
    easy_.reset(curl_easy_init());
    if (!easy_ || !set_policy_options()) {
      return fail(ErrorCode::kInternal, "the URL could not be fetched",
                  "libcurl does not take an option that the fetch needs");
    }
  }
  header_bytes_ = 0;
  ignored_bytes_ = 0;
  gzip_ = false;
  inflater_.reset();
  stop_ = Stop::kNone;
  refusal_.reset();
  error_text_.front() = '\0';
  body_.clear();
  memory_.give_back();
  if (!set_leg_options(deadline_.left(now))) {
    return fail(ErrorCode::kInternal, "the URL could not be fetched", "curl_easy_setopt: URL");
  }
  return easy_.get();
}

bool Transfer::set_policy_options() {
  const Options& options = environment_.options;
  OptionSetter easy(easy_.get());
  easy.set(CURLOPT_PRIVATE, this)
      .set(CURLOPT_NOSIGNAL, 1L)
      .set(CURLOPT_QUICK_EXIT, 1L)  // an unresponsive name server must not block the thread
      .set(CURLOPT_ERRORBUFFER, error_text_.data())
      // Protocols and redirects.
      .set(CURLOPT_PROTOCOLS_STR, "http,https")
      .set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
      .set(CURLOPT_FOLLOWLOCATION, 0L)
      .set(CURLOPT_PROXY, "")
      .set(CURLOPT_NOPROXY, "*")
      .set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L)
      .set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED))
      .set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open_socket)
      .set(CURLOPT_OPENSOCKETDATA, this)
      .set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1))
      .set(CURLOPT_HTTP09_ALLOWED, 0L)
      .set(CURLOPT_HTTPGET, 1L)
      .set(CURLOPT_USERAGENT, options.user_agent.c_str())
      // TLS.
      .set(CURLOPT_SSL_VERIFYPEER, 1L)
      .set(CURLOPT_SSL_VERIFYHOST, 2L)
      .set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2))
      // Limits. No encoding is requested; if the host compresses anyway, take_gzip decompresses it.
      .set(CURLOPT_HTTP_CONTENT_DECODING, 0L)
      .set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options.max_bytes))
      .set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options.connect_timeout))
      .set(CURLOPT_WRITEFUNCTION, &Transfer::on_body)
      .set(CURLOPT_WRITEDATA, this)
      .set(CURLOPT_HEADERFUNCTION, &Transfer::on_header)
      .set(CURLOPT_HEADERDATA, this);
  if (!options.ca_file.empty()) {
    // Without clearing CURLOPT_CAPATH the system's certificates would still be trusted.
    easy.set(CURLOPT_CAINFO, options.ca_file.c_str()).set(CURLOPT_CAPATH, nullptr);
  } else if (const std::string bundle = authorities_for_curl(); !bundle.empty()) {
    easy.set(CURLOPT_CAINFO, bundle.c_str()).set(CURLOPT_CAPATH, nullptr);
  }
  return easy.good();
}

bool Transfer::set_leg_options(Duration left) {
  OptionSetter easy(easy_.get());
  easy.set(CURLOPT_URL, url_.url.c_str()).set(CURLOPT_TIMEOUT_MS, milliseconds(left));
  if (!set_headers()) {
    return false;
  }
  if (environment_.answers) {
    List list;
    for (const auto& answer : environment_.answers(url_)) {
      list.reset(curl_slist_append(list.release(), answer.c_str()));
    }
    easy.set(CURLOPT_RESOLVE, list.get());
    answers_ = std::move(list);
  }
  return easy.good();
}

/// Sets only headers for the leg's own origin, because a redirect may lead to another host.
bool Transfer::set_headers() {
  List list;
  const auto add = [&list](const std::string& line) {
    curl_slist* const shorter = list.release();
    curl_slist* const longer = curl_slist_append(shorter, line.c_str());
    list.reset(longer != nullptr ? longer : shorter);
    return longer != nullptr;
  };
  bool good = traceparent_.empty() || add(traceparent_);
  const std::string origin = url_.origin();
  for (const auto& header : environment_.headers) {
    good = good && (header.origin != origin || add(header.line));
  }
  good = good && curl_easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, list.get()) == CURLE_OK;
  headers_ = std::move(list);
  return good;
}

long Transfer::status() const {
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<Transfer*>(self)->take_body({data, size * count}) ? size * count : 0;
}

bool Transfer::take_body(std::string_view data) {
  if (status() != 200) {
    ignored_bytes_ += data.size();
    stop_ = ignored_bytes_ > kMaxIgnoredBytes ? Stop::kNotWanted : Stop::kNone;
    return stop_ == Stop::kNone;
  }
  // No compression is requested, but some hosts store compressed files. A body that is declared as
  // gzip but is not (common with object storage) is used unchanged.
  if (inflater_ || (gzip_ && body_.empty() && is_gzip(data))) {
    return take_gzip(data);
  }
  const std::uint64_t max = environment_.options.max_bytes;
  if (data.size() > max - body_.size()) {
    stop_ = Stop::kTooLarge;
    return false;
  }
  if (!take_memory(body_.size() + data.size())) {
    return false;
  }
  if (body_.empty()) {
    curl_off_t declared = -1;
    curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &declared);
    if (declared > 0 && static_cast<std::uint64_t>(declared) <= max) {
      body_.reserve(static_cast<std::size_t>(declared));
    }
  }
  body_.append(data);
  return true;
}

/// Counts memory in steps, before it is used.
bool Transfer::take_memory(std::size_t bytes) {
  constexpr std::size_t kStep = 64U << 10U;
  if (auto taken = memory_.grow_to((bytes + kStep - 1) / kStep * kStep); !taken) {
    no_memory_ = std::move(taken.error());
    stop_ = Stop::kNoMemory;
    return false;
  }
  return true;
}

bool Transfer::take_gzip(std::string_view data) {
  if (!inflater_) {
    inflater_ = std::make_unique<AnswerInflater>();
  }
  switch (inflater_->add(data, body_, environment_.options.max_bytes)) {
    case AnswerInflater::Result::kGood:
      return take_memory(body_.size());
    case AnswerInflater::Result::kTooLarge:
      stop_ = Stop::kTooLarge;
      return false;
    case AnswerInflater::Result::kCorrupt:
      break;
  }
  stop_ = Stop::kCorrupt;
  return false;
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  const std::string_view line(data, size * count);
  return static_cast<Transfer*>(self)->take_header(line) ? line.size() : 0;
}

/// Called for the status line, every header and every trailer, also of interim responses.
bool Transfer::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > kMaxHeaderBytes) {
    stop_ = Stop::kHeadersTooLarge;
    return false;
  }
  // libcurl decompresses transfer encodings even if none was requested. The size limit would apply,
  // but not the time limit.
  if (const auto coding = header_value(line, "transfer-encoding");
      coding && !ascii::equal_ignoring_case(*coding, "chunked") &&
      !ascii::equal_ignoring_case(*coding, "identity")) {
    stop_ = Stop::kEncoded;
  }
  if (const auto coding = header_value(line, "content-encoding");
      coding && (ascii::equal_ignoring_case(*coding, "gzip") ||
                 ascii::equal_ignoring_case(*coding, "x-gzip"))) {
    gzip_ = true;
  }
  return stop_ == Stop::kNone;
}

curl_socket_t Transfer::on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) {
  if (purpose != CURLSOCKTYPE_IPCXN) {
    return CURL_SOCKET_BAD;
  }
  return static_cast<Transfer*>(self)->open_socket(*address);
}

/// libcurl connects to exactly the address checked here, without resolving again.
curl_socket_t Transfer::open_socket(const curl_sockaddr& address) {
  std::span<const std::uint8_t> bytes;
  if (address.family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&address.addr);
    bytes = {reinterpret_cast<const std::uint8_t*>(&in->sin_addr), 4};
  } else if (address.family == AF_INET6) {
    const auto* in = reinterpret_cast<const sockaddr_in6*>(&address.addr);
    bytes = {reinterpret_cast<const std::uint8_t*>(&in->sin6_addr), 16};
  }
  if (auto good = environment_.policy.check_address(bytes); !good) {
    refusal_ = std::move(good.error());
    return CURL_SOCKET_BAD;
  }
  return ::socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
}

std::optional<Result<Response>> Transfer::end_leg(CURLcode code, TimePoint now) {
  if (code != CURLE_OK) {
    return fail(failure(code, now));
  }
  const long status = this->status();
  if (is_redirect(status)) {
    return redirect();
  }
  if (status != 200) {
    return fail(status_error(status));
  }
  return take_response(now);
}

std::optional<Result<Response>> Transfer::redirect() {
  const unsigned max = environment_.options.max_redirects;
  if (max == 0) {
    return fail(ErrorCode::kBadGateway,
                "the URL answers with a redirect, and redirects are not followed; give the URL "
                "that it leads to",
                detail(CURLE_OK));
  }
  if (redirects_ == max) {
    return fail(
        ErrorCode::kBadGateway,
        "the URL redirects more than " + std::to_string(max) + (max == 1 ? " time" : " times"),
        detail(CURLE_OK));
  }
  const char* target = nullptr;
  curl_easy_getinfo(easy_.get(), CURLINFO_REDIRECT_URL, &target);
  if (target == nullptr) {
    return fail(ErrorCode::kBadGateway, "the URL answers with a redirect that leads nowhere",
                detail(CURLE_OK));
  }
  auto next = environment_.policy.check_url(target);
  if (!next) {
    const bool denied = next.error().code == ErrorCode::kPermissionDenied;
    return fail(denied ? ErrorCode::kPermissionDenied : ErrorCode::kBadGateway,
                "the URL redirects to one that is refused: " + next.error().message,
                detail(CURLE_OK));
  }
  url_ = *std::move(next);
  ++redirects_;
  return std::nullopt;
}

Result<Response> Transfer::take_response(TimePoint now) {
  if (inflater_ && !inflater_->complete()) {
    return fail(ErrorCode::kBadGateway, "the host's answer is gzip data that end early",
                detail(CURLE_OK));
  }
  const char* type = nullptr;
  curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_TYPE, &type);
  return Response{.body = std::move(body_),
                  .content_type = type == nullptr ? "" : type,
                  .elapsed = now - started_,
                  .redirects = redirects_,
                  .memory = std::move(memory_)};
}

void Transfer::finish(Result<Response> result) {
  if (done_) {
    std::exchange(done_, nullptr)(std::move(result));
  }
}

std::string Transfer::detail(CURLcode code) const {
  std::string text = url_.origin() + ", redirects " + std::to_string(redirects_);
  if (easy_) {
    text += ", status " + std::to_string(status());
  }
  if (code != CURLE_OK) {
    text += ": ";
    text += error_text_.front() == '\0' ? curl_easy_strerror(code) : error_text_.data();
  }
  return text;
}

Error Transfer::too_late() const {
  return {.code = ErrorCode::kDeadlineExceeded,
          .message = own_limit_ ? "fetching the URL took over " +
                                      seconds_text(environment_.options.timeout)
                                : "the request's deadline passed before the URL was fetched",
          .detail = detail(CURLE_OK)};
}

Error Transfer::too_large() const {
  return {.code = ErrorCode::kPayloadTooLarge,
          .message = "the answer has more than the " +
                     std::to_string(environment_.options.max_bytes) +
                     " bytes that are accepted (limits.max_body_bytes)",
          .detail = detail(CURLE_OK)};
}

Error Transfer::status_error(long status) const {
  Error error{.code = ErrorCode::kBadGateway,
              .message = "the URL answers with status " + std::to_string(status),
              .detail = detail(CURLE_OK)};
  switch (status) {
    case 404:
    case 410:
      error.code = ErrorCode::kUnprocessable;
      error.message += " (not found): its host has no picture there; check the URL";
      break;
    case 401:
    case 403:
      error.code = ErrorCode::kPermissionDenied;
      error.message += ": its host refuses access to the picture; a signed URL may have expired";
      break;
    case 429: {
      error.code = ErrorCode::kRateLimited;
      error.message += " (too many requests): its host asks to wait";
      curl_off_t seconds = 0;
      curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &seconds);
      error.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, 86'400));
      break;
    }
    default:
      error.message += status >= 500 ? ": its host failed; try again later" : "; 200 is needed";
  }
  return error;
}

/// Whether the response has begun, but not its body.
bool Transfer::in_head() const {
  curl_off_t began = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_STARTTRANSFER_TIME_T, &began);
  return began > 0 && body_.empty() && ignored_bytes_ == 0;
}

/// The error if our code stopped the transfer; nothing: libcurl did.
std::optional<Error> Transfer::own_stop() const {
  const auto gateway = [](std::string message) {
    return Error{.code = ErrorCode::kBadGateway, .message = std::move(message), .detail = {}};
  };
  switch (stop_) {
    case Stop::kTooLarge:
      return too_large();
    case Stop::kNoMemory:
      return no_memory_;
    case Stop::kHeadersTooLarge:
      return gateway("the answer has more than 32768 bytes of headers");
    case Stop::kEncoded:
      return gateway(std::string(kCompressed));
    case Stop::kCorrupt:
      return gateway("the host's answer says that it is gzip, and is corrupt");
    case Stop::kNotWanted:
      return status_error(status());
    case Stop::kNone:
      break;
  }
  return std::nullopt;
}

Error Transfer::failure(CURLcode code, TimePoint now) const {
  if (auto error = own_stop()) {
    return std::move(*error);
  }
  const auto gateway = [&](std::string message) {
    return Error{
        .code = ErrorCode::kBadGateway, .message = std::move(message), .detail = detail(code)};
  };
  const long status = this->status();
  switch (code) {
    case CURLE_FILESIZE_EXCEEDED:
      return status == 200 ? too_large() : status_error(status);
    case CURLE_OPERATION_TIMEDOUT: {
      curl_off_t connected = 0;
      curl_easy_getinfo(easy_.get(), CURLINFO_PRETRANSFER_TIME_T, &connected);
      // libcurl counts whole milliseconds, so its limit may be reached slightly before ours.
      return connected > 0 || deadline_.passed(now + std::chrono::milliseconds(5))
                 ? too_late()
                 : gateway("no connection to the host within " +
                           seconds_text(environment_.options.connect_timeout));
    }
    case CURLE_COULDNT_RESOLVE_HOST:
      return gateway("the host's name could not be resolved");
    case CURLE_COULDNT_CONNECT:
      return refusal_ ? Error{.code = refusal_->code,
                              .message = refusal_->message,
                              .detail = detail(CURLE_OK)}
                      : gateway("the host could not be connected to");
    case CURLE_PEER_FAILED_VERIFICATION:
      return gateway("the host's certificate could not be verified");
    case CURLE_SSL_CONNECT_ERROR:
      return gateway("the TLS handshake with the host failed");
    case CURLE_BAD_CONTENT_ENCODING:  // newer libcurl detects it before take_header
      return gateway(std::string(kCompressed));
    case CURLE_GOT_NOTHING:
      return gateway("the host closed the connection without an answer");
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      return gateway("the connection broke before the answer was complete");
    case CURLE_OUT_OF_MEMORY:
      if (in_head()) {  // libcurl 7.88's error for a line over 100 kB
        return gateway("the answer has a header line without an end");
      }
      return {.code = ErrorCode::kInternal,
              .message = "the URL could not be fetched",
              .detail = detail(code)};
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_FAILED_INIT:
      return {.code = ErrorCode::kInternal,
              .message = "the URL could not be fetched",
              .detail = detail(code)};
    default:
      // Later versions of libcurl have a separate error code, which 7.88 does not define.
      return gateway(static_cast<int>(code) == kTooLargeLine && in_head()
                         ? "the answer has a header line without an end"
                         : "the host's answer is not valid HTTP");
  }
}

}  // namespace podsense::fetch
