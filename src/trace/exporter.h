#pragma once

/// A thread that sends finished requests to a collector. Internal to this module.

#include <curl/curl.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "trace/trace.h"

namespace podsense::trace {

class Tracer::Exporter {
 public:
  explicit Exporter(const Options& options);
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  void push(std::shared_ptr<Request> request);
  [[nodiscard]] Counts counts() const;

 private:
  using Batch = std::vector<std::shared_ptr<Request>>;
  void run();
  void send(CURL* handle, const Batch& batch);

  const Options& options_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<std::shared_ptr<Request>> waiting_ GUARDED_BY(mutex_);
  Counts counts_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool reachable_ = true;  ///< of the thread: a change is logged, not each failure
  std::jthread thread_;
};

}  // namespace podsense::trace
