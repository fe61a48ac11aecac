#include "trace/exporter.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "trace/otlp.h"

namespace podsense::trace {
namespace {

/// Requests in one export: some hundred KiB.
constexpr std::size_t kBatch = 256;

std::size_t ignore_body(char* /*data*/, std::size_t size, std::size_t count, void* /*user*/) {
  return size * count;
}

std::string traces_url(std::string endpoint) {
  constexpr std::string_view kPath = "/v1/traces";
  while (endpoint.ends_with('/')) {
    endpoint.pop_back();
  }
  return endpoint.ends_with(kPath) ? endpoint : endpoint.append(kPath);
}

/// The empty Expect keeps libcurl from asking first whether a large body is welcome.
struct HeaderList {
  curl_slist* list = curl_slist_append(
      curl_slist_append(nullptr, "Content-Type: application/x-protobuf"), "Expect:");
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list); }
};

}  // namespace

Tracer::Exporter::Exporter(const Options& options) : options_(options) {
  curl_global_init(CURL_GLOBAL_DEFAULT);  // counts its callers; thread-safe from libcurl 7.84 on
  thread_ = std::jthread([this] { run(); });
}

Tracer::Exporter::~Exporter() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
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

void Tracer::Exporter::run() {
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(), curl_easy_cleanup);
  TimePoint last_chance = TimePoint::max();
  const SteadyClock clock;
  for (;;) {
    Batch batch;
    bool stopping = false;
    {
      const MutexLock lock(mutex_);
      if (waiting_.size() < kBatch && !stopping_) {
        wake_.wait_for(mutex_, options_.interval);
      }
      stopping = stopping_;
      while (!waiting_.empty() && batch.size() < kBatch) {
        batch.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
      }
    }
    if (stopping && last_chance == TimePoint::max()) {
      last_chance = clock.now() + options_.timeout;
    }
    if (!batch.empty() && handle != nullptr) {
      send(handle.get(), batch);
    }
    if (stopping && (batch.empty() || clock.now() >= last_chance)) {
      return;
    }
  }
}

void Tracer::Exporter::send(CURL* handle, const Batch& batch) {
  const HeaderList headers;
  const std::string body = encode(options_, batch);
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(options_.timeout);
  curl_easy_setopt(handle, CURLOPT_URL, traces_url(options_.endpoint).c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.list);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, ignore_body);
  const CURLcode sent = curl_easy_perform(handle);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  const bool ok = sent == CURLE_OK && status >= 200 && status < 300;
  if (ok != reachable_) {
    reachable_ = ok;
    if (ok) {
      log::info("trace_export_resumed");
    } else {
      log::warning("trace_export_failed",
                   {{"status", status}, {"detail", std::string(curl_easy_strerror(sent))}});
    }
  }
  std::uint64_t spans = 0;
  for (const auto& request : batch) {
    spans += span_count(*request);
  }
  const MutexLock lock(mutex_);
  (ok ? counts_.exported : counts_.failed) += spans;
}

}  // namespace podsense::trace
