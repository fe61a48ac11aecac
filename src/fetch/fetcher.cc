#include <curl/curl.h>
#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/thread_limit.h"
#include "fetch/curl_fetcher.h"
#include "fetch/transfer.h"

namespace podsense::fetch {
namespace {

/// libcurl wakes the thread when there is work; this limits the sleep without work.
constexpr int kIdlePollMs = 60'000;
constexpr long kMaxIdleConnections = 32;

Error closing() {
  return {.code = ErrorCode::kUnavailable, .message = "the server is shutting down", .detail = {}};
}

/// Blocks signals while a thread is started, because a new thread inherits the mask. Other threads
/// handle signals, and OpenSSL writes without MSG_NOSIGNAL.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
      sigdelset(&all, fault);
    }
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

class CurlFetcher final : public Fetcher {
 public:
  explicit CurlFetcher(Environment environment) : environment_(std::move(environment)) {}
  CurlFetcher(const CurlFetcher&) = delete;
  CurlFetcher& operator=(const CurlFetcher&) = delete;
  ~CurlFetcher() override;

  Result<void> start();
  void get(Request request, Callback done) override;
  [[nodiscard]] unsigned active() const override EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return active_;
  }

 private:
  using TransferPtr = std::unique_ptr<Transfer>;
  struct MultiDeleter {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  struct Admitted {
    bool stopping = false;
    Deadline wake;  ///< the earliest deadline of waiting transfers
  };

  /// Takes `transfer`, or returns why not.
  std::optional<Error> enqueue(TransferPtr& transfer) EXCLUDES(mutex_);
  void run();
  Admitted admit() EXCLUDES(mutex_);
  void drop_late(TimePoint now, std::vector<TransferPtr>& late) REQUIRES(mutex_);
  bool room_and_waiting() const EXCLUDES(mutex_);
  void begin_leg(TransferPtr transfer);
  void end_legs();
  void end(TransferPtr transfer, Result<Response> result) EXCLUDES(mutex_);
  void end_all(const Error& error);

  // Constant after start().
  const Environment environment_;
  const SteadyClock clock_;
  std::unique_ptr<CURLM, MultiDeleter> multi_;  // other threads may only call curl_multi_wakeup

  mutable Mutex mutex_;
  std::deque<TransferPtr> waiting_ GUARDED_BY(mutex_);
  unsigned active_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;

  // Used by the fetch thread only.
  std::unordered_map<CURL*, TransferPtr> running_;

  std::thread thread_;
};

Result<void> CurlFetcher::start() {
  // Check at creation whether this libcurl supports all options, instead of at the first request.
  const TimePoint now = clock_.now();
  const Environment alone{
      .options = environment_.options, .policy = environment_.policy, .answers = nullptr};
  const CheckedUrl example{.url = "http://example.com/", .host = "example.com", .port = 80};
  if (auto ready = Transfer(alone, {}, example, nullptr, now).prepare(now); !ready) {
    return fail(std::move(ready.error()));
  }
  multi_.reset(curl_multi_init());
  if (!multi_ ||
      curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, kMaxIdleConnections) != CURLM_OK ||
      curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, long{CURLPIPE_NOTHING}) != CURLM_OK) {
    return fail(ErrorCode::kInternal, "fetching could not be started", "curl_multi_init");
  }
  try {
    const SignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kUnavailable, "no thread for fetching URLs: " + thread_refusal(error));
  }
  return {};
}

CurlFetcher::~CurlFetcher() {
  if (!thread_.joinable()) {
    return;
  }
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  curl_multi_wakeup(multi_.get());
  thread_.join();
}

void CurlFetcher::get(Request request, Callback done) {
  const Options& options = environment_.options;
  if (!options.enabled) {
    done(fail(ErrorCode::kUnimplemented, "fetching URLs is switched off on this server"));
    return;
  }
  auto url = environment_.policy.check_url(request.url);
  if (!url) {
    done(fail(std::move(url.error())));
    return;
  }
  const TimePoint now = clock_.now();
  auto transfer =
      std::make_unique<Transfer>(environment_, request, *std::move(url), std::move(done), now);
  if (transfer->deadline().passed(now)) {
    transfer->finish(fail(transfer->too_late()));
    return;
  }
  if (auto refusal = enqueue(transfer)) {
    transfer->finish(fail(*std::move(refusal)));
    return;
  }
  curl_multi_wakeup(multi_.get());
}

std::optional<Error> CurlFetcher::enqueue(TransferPtr& transfer) {
  const Options& options = environment_.options;
  const MutexLock lock(mutex_);
  if (stopping_) {
    return closing();
  }
  if (active_ + waiting_.size() >= options.max_concurrent + options.max_waiting) {
    return Error{.code = ErrorCode::kOverloaded,
                 .message = "too many URLs are being fetched; try again later",
                 .detail = {}};
  }
  waiting_.push_back(std::move(transfer));
  return std::nullopt;
}

void CurlFetcher::run() {
  pthread_setname_np(pthread_self(), "fetch");
  for (Admitted admitted = admit(); !admitted.stopping; admitted = admit()) {
    int running = 0;
    if (curl_multi_perform(multi_.get(), &running) != CURLM_OK) {
      end_all({.code = ErrorCode::kInternal,
               .message = "the URL could not be fetched",
               .detail = "curl_multi_perform"});
    }
    end_legs();
    if (room_and_waiting()) {
      continue;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(admitted.wake.left(clock_.now()));
    const auto wait = std::min<std::int64_t>(left.count(), kIdlePollMs);
    curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(wait), nullptr);
  }
  end_all(closing());
}

/// Starts as many waiting transfers as allowed, and ends those that have waited too long.
CurlFetcher::Admitted CurlFetcher::admit() {
  const TimePoint now = clock_.now();
  std::vector<TransferPtr> late;
  std::vector<TransferPtr> next;
  Admitted admitted;
  {
    const MutexLock lock(mutex_);
    admitted.stopping = stopping_;
    drop_late(now, late);
    while (!stopping_ && !waiting_.empty() && active_ < environment_.options.max_concurrent) {
      next.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      ++active_;
    }
    for (const auto& transfer : waiting_) {
      admitted.wake = std::min(admitted.wake, transfer->deadline());
    }
  }
  for (auto& transfer : late) {
    transfer->finish(fail(transfer->too_late()));
  }
  for (auto& transfer : next) {
    begin_leg(std::move(transfer));
  }
  return admitted;
}

void CurlFetcher::drop_late(TimePoint now, std::vector<TransferPtr>& late) {
  for (auto& transfer : waiting_) {
    if (transfer->deadline().passed(now)) {
      late.push_back(std::move(transfer));
    }
  }
  if (!late.empty()) {
    std::erase(waiting_, nullptr);
  }
}

bool CurlFetcher::room_and_waiting() const {
  const MutexLock lock(mutex_);
  return stopping_ || (!waiting_.empty() && active_ < environment_.options.max_concurrent);
}

void CurlFetcher::begin_leg(TransferPtr transfer) {
  const auto easy = transfer->prepare(clock_.now());
  if (!easy) {
    Error error = easy.error();
    end(std::move(transfer), fail(std::move(error)));
    return;
  }
  if (const auto code = curl_multi_add_handle(multi_.get(), *easy); code != CURLM_OK) {
    end(std::move(transfer),
        fail(ErrorCode::kInternal, "the URL could not be fetched", curl_multi_strerror(code)));
    return;
  }
  running_.emplace(*easy, std::move(transfer));
}

void CurlFetcher::end_legs() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) {
      continue;
    }
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;  // the next line invalidates the message
    curl_multi_remove_handle(multi_.get(), easy);
    auto node = running_.extract(easy);
    if (node.empty()) {
      continue;
    }
    TransferPtr transfer = std::move(node.mapped());
    if (auto result = transfer->end_leg(code, clock_.now())) {
      end(std::move(transfer), *std::move(result));
    } else {
      begin_leg(std::move(transfer));
    }
  }
}

void CurlFetcher::end(TransferPtr transfer, Result<Response> result) {
  {
    const MutexLock lock(mutex_);
    --active_;
  }
  transfer->finish(std::move(result));
}

void CurlFetcher::end_all(const Error& error) {
  for (auto running = std::exchange(running_, {}); auto& [easy, transfer] : running) {
    curl_multi_remove_handle(multi_.get(), easy);
    end(std::move(transfer), fail(error));
  }
  std::deque<TransferPtr> waiting;
  {
    const MutexLock lock(mutex_);
    waiting.swap(waiting_);
  }
  for (auto& transfer : waiting) {
    transfer->finish(fail(error));
  }
}

}  // namespace

Result<std::unique_ptr<Fetcher>> create_fetcher(Options options, Answers answers) {
  if (auto good = options.validate(); !good) {
    return fail(std::move(good.error()));
  }
  auto policy = UrlPolicy::create(options);
  if (!policy) {
    return fail(std::move(policy.error()));
  }
  // Reference-counted by libcurl, and thread-safe in the packaged versions. Never undone, because
  // others may still use it.
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (global != CURLE_OK) {
    return fail(ErrorCode::kInternal, "fetching could not be started", "curl_global_init");
  }
  const bool enabled = options.enabled;
  auto headers = read_headers(options);
  if (!headers) {
    return fail(std::move(headers.error()));
  }
  auto fetcher = std::make_unique<CurlFetcher>(Environment{.options = std::move(options),
                                                           .policy = *std::move(policy),
                                                           .answers = std::move(answers),
                                                           .headers = *std::move(headers)});
  if (enabled) {
    if (auto started = fetcher->start(); !started) {
      return fail(std::move(started.error()));
    }
  }
  return fetcher;
}

Result<std::unique_ptr<Fetcher>> Fetcher::create(Options options) {
  return create_fetcher(std::move(options), nullptr);
}

}  // namespace podsense::fetch
