#include "trace/exporter.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/crash.h"
#include "base/log.h"
#include "trace/ids.h"
#include "trace/otlp.h"

namespace podsense::trace {
namespace {

/// Requests in one export: some hundred KiB.
constexpr std::size_t kBatch = 256;
/// Bytes kept of a response; at most one line of it is logged.
constexpr std::size_t kMostBody = 4096;
constexpr int kMostPoll = 1000;  // ms

std::size_t keep_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& body = *static_cast<std::string*>(user);
  body.append(data, std::min(size * count, kMostBody - std::min(body.size(), kMostBody)));
  return size * count;
}

std::string url_of(const Options& options) {
  if (!options.traces_endpoint.empty()) {
    return options.traces_endpoint;
  }
  constexpr std::string_view kPath = "/v1/traces";
  std::string endpoint = options.endpoint;
  while (endpoint.ends_with('/')) {
    endpoint.pop_back();
  }
  return endpoint.ends_with(kPath) ? endpoint : endpoint.append(kPath);
}

class HeaderList {
 public:
  explicit HeaderList(const Pairs& headers) {
    add("Content-Type: application/x-protobuf");
    add("Expect:");  // keeps libcurl from sending "Expect: 100-continue"
    for (const auto& [name, value] : headers) {
      std::string line = name;
      add(line.append(": ").append(value));
    }
  }
  ~HeaderList() { curl_slist_free_all(list_); }
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  [[nodiscard]] curl_slist* get() const { return list_; }

 private:
  void add(const std::string& line) { list_ = curl_slist_append(list_, line.c_str()); }
  curl_slist* list_ = nullptr;
};

/// curl_global_init is reference-counted, and thread-safe since libcurl 7.84.
CURLM* new_multi() {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return curl_multi_init();
}

}  // namespace

/// Retry network faults and temporary errors, but not requests that the collector rejects as
/// invalid.
bool Tracer::Exporter::Answer::worth_another() const {
  if (code != CURLE_OK) {
    constexpr std::array kForGood{CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL,
                                  CURLE_SSL_CERTPROBLEM, CURLE_SSL_CACERT_BADFILE,
                                  CURLE_OUT_OF_MEMORY};
    return std::ranges::find(kForGood, code) == kForGood.end();
  }
  constexpr std::array kLater{429L, 502L, 503L, 504L};
  return std::ranges::find(kLater, status) != kLater.end();
}

std::string Tracer::Exporter::Answer::reason() const {
  return code != CURLE_OK ? curl_easy_strerror(code)
                          : "the collector answers " + std::to_string(status);
}

Tracer::Exporter::Exporter(const Options& options)
    : options_(options),
      url_(url_of(options)),
      multi_(new_multi(), curl_multi_cleanup),
      handle_(curl_easy_init(), curl_easy_cleanup) {
  thread_ = std::jthread([this] { run(); });
}

Tracer::Exporter::~Exporter() {
  {
    const MutexLock lock(mutex_);
    end_ = std::chrono::steady_clock::now() + options_.last_chance;
  }
  wake_.notify_all();
  curl_multi_wakeup(multi_.get());
  thread_.join();
  curl_global_cleanup();
}

void Tracer::Exporter::push(std::shared_ptr<Request> request) {
  bool full_batch = false;
  {
    const MutexLock lock(mutex_);
    if (waiting_.size() >= options_.max_waiting) {
      counts_.dropped += span_count(*request);
      return;
    }
    waiting_.push_back(std::move(request));
    full_batch = waiting_.size() == kBatch;
  }
  if (full_batch) {
    wake_.notify_one();
  }
}

Counts Tracer::Exporter::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

bool Tracer::Exporter::stopping() const {
  const MutexLock lock(mutex_);
  return end_.has_value();
}

bool Tracer::Exporter::out_of_time() const {
  const MutexLock lock(mutex_);
  return end_ && std::chrono::steady_clock::now() >= *end_;
}

void Tracer::Exporter::run() {
  const crash::Thread me("traces");
  for (;;) {
    Batch batch;
    bool last = false;
    {
      const MutexLock lock(mutex_);
      if (waiting_.size() < kBatch && !end_) {
        wake_.wait_for(mutex_, options_.interval);
      }
      last = end_.has_value();
      while (!waiting_.empty() && batch.size() < kBatch) {
        batch.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    if (!batch.empty()) {
      deliver(batch);
    } else if (last) {
      return;
    }
  }
}

/// Pauses double each time, with jitter between half and all of the pause, so that many servers do
/// not retry at once. A Retry-After from the collector is respected.
void Tracer::Exporter::deliver(const Batch& batch) {
  const std::string body = encode(options_, batch);
  const TimePoint began = std::chrono::steady_clock::now();
  Duration pause = options_.first_pause;
  Answer answer{.code = CURLE_ABORTED_BY_CALLBACK};
  while (!out_of_time()) {
    answer = send(body);
    note(answer);
    if (answer.good() || !answer.worth_another()) {
      break;
    }
    const Duration jittered =
        pause / 2 + Duration(static_cast<Duration::rep>(
                        random_bits() % static_cast<std::uint64_t>((pause / 2).count() + 1)));
    const Duration wait = answer.retry_after > Duration::zero()
                              ? std::min(answer.retry_after, options_.patience)
                              : jittered;
    if (std::chrono::steady_clock::now() + wait > began + options_.patience || !this->pause(wait)) {
      break;
    }
    pause = std::min(2 * pause, options_.longest_pause);
    const MutexLock lock(mutex_);
    ++counts_.retries;
  }
  count(batch, answer);
}

bool Tracer::Exporter::pause(Duration pause) {
  const TimePoint until = std::chrono::steady_clock::now() + pause;
  const MutexLock lock(mutex_);
  while (!end_) {
    const Duration left = until - std::chrono::steady_clock::now();
    if (left <= Duration::zero()) {
      return true;
    }
    wake_.wait_for(mutex_, left);
  }
  return false;
}

Tracer::Exporter::Answer Tracer::Exporter::send(const std::string& body) {
  CURL* const handle = handle_.get();
  if (handle == nullptr || multi_ == nullptr) {
    return {.code = CURLE_OUT_OF_MEMORY};
  }
  const HeaderList headers(options_.headers);
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(options_.timeout);
  Answer answer;
  const auto file = [handle](CURLoption option, const std::string& path) {
    if (!path.empty()) {
      curl_easy_setopt(handle, option, path.c_str());
    }
  };
  curl_easy_setopt(handle, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_USERAGENT, ("podsense/" + options_.service_version).c_str());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);  // does not wait for a hanging resolver
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, keep_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer.body);
  file(CURLOPT_CAINFO, options_.ca_file);
  file(CURLOPT_SSLCERT, options_.certificate);
  file(CURLOPT_SSLKEY, options_.key);
  answer.code = perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_off_t seconds = 0;
  if (curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK) {
    constexpr curl_off_t kMost = 3600;
    answer.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, kMost));
  }
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, nullptr);  // the list is freed after this call
  return answer;
}

/// Not curl_easy_perform, which could not be interrupted at shutdown.
CURLcode Tracer::Exporter::perform(CURL* handle) {
  if (curl_multi_add_handle(multi_.get(), handle) != CURLM_OK) {
    return CURLE_FAILED_INIT;
  }
  CURLcode code = CURLE_ABORTED_BY_CALLBACK;
  for (int running = 1; running > 0;) {
    if (out_of_time() || curl_multi_perform(multi_.get(), &running) != CURLM_OK) {
      break;
    }
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg == CURLMSG_DONE) {
        code = message->data.result;
      }
    }
    if (running > 0) {
      constexpr int kAtTheEnd = 20;  // ms, during shutdown
      curl_multi_poll(multi_.get(), nullptr, 0, stopping() ? kAtTheEnd : kMostPoll, nullptr);
    }
  }
  curl_multi_remove_handle(multi_.get(), handle);
  return code;
}

void Tracer::Exporter::count(const Batch& batch, const Answer& answer) {
  std::uint64_t spans = 0;
  for (const auto& request : batch) {
    spans += span_count(*request);
  }
  const PartialSuccess partial =
      answer.good() ? read_partial_success(answer.body) : PartialSuccess{};
  const std::uint64_t rejected = std::min(partial.rejected, spans);
  if (rejected > 0 || !partial.message.empty()) {
    log::warning("spans_rejected", {{"spans", rejected}, {"reason", partial.message}});
  }
  const MutexLock lock(mutex_);
  if (answer.good()) {
    counts_.exported += spans - rejected;
    counts_.failed += rejected;
  } else {
    (end_ ? counts_.dropped : counts_.failed) += spans;
  }
}

void Tracer::Exporter::note(const Answer& answer) {
  if (answer.good() == reachable_ || stopping()) {
    return;
  }
  reachable_ = answer.good();
  if (reachable_) {
    return log::info("trace_export_resumed");
  }
  log::warning("trace_export_failed", {{"url", url_},
                                       {"status", answer.status},
                                       {"reason", answer.reason()},
                                       {"again", answer.worth_another() ? "yes" : "no"}});
}

}  // namespace podsense::trace
