#pragma once

/// A thread that exports finished requests to a collector. Internal to this module.
/// @source OTLP 1.x, "OTLP/HTTP Response", "Retryable Response Codes", "OTLP/HTTP Throttling"

#include <curl/curl.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "trace/trace.h"

namespace podsense::trace {

class Tracer::Exporter {
 public:
  /// @throws std::system_error the system cannot start a thread
  explicit Exporter(const Options& options);
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  void push(std::shared_ptr<Request> request);
  [[nodiscard]] Counts counts() const;

 private:
  using Batch = std::vector<std::shared_ptr<Request>>;
  /// The result of one attempt.
  struct Answer {
    CURLcode code = CURLE_OK;
    long status = 0;         ///< of HTTP; 0: no response
    Duration retry_after{};  ///< zero: the collector does not say
    std::string body;        ///< the first bytes of the response

    [[nodiscard]] bool good() const { return code == CURLE_OK && status >= 200 && status < 300; }
    [[nodiscard]] bool worth_another() const;
    [[nodiscard]] std::string reason() const;
  };

  void run();
  /// Retries until the batch is delivered, given up, or the time at shutdown is over.
  void deliver(const Batch& batch);
  Answer send(const std::string& body);
  CURLcode perform(CURL* handle);
  /// False: shutdown has begun.
  bool pause(Duration pause);
  [[nodiscard]] bool stopping() const;
  /// Shutdown has begun and its time limit has passed.
  [[nodiscard]] bool out_of_time() const;
  void count(const Batch& batch, const Answer& answer);
  void note(const Answer& answer);

  const Options& options_;
  const std::string url_;
  const std::unique_ptr<CURLM, CURLMcode (*)(CURLM*)> multi_;
  const std::unique_ptr<CURL, void (*)(CURL*)> handle_;  ///< keeps the connection open
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<std::shared_ptr<Request>> waiting_ GUARDED_BY(mutex_);
  Counts counts_ GUARDED_BY(mutex_);
  std::optional<TimePoint> end_ GUARDED_BY(mutex_);  ///< the time limit after shutdown begins
  bool reachable_ = true;  ///< only the thread uses it: logs changes, not every failure
  std::jthread thread_;
};

}  // namespace podsense::trace
