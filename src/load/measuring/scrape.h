#pragma once

/// A page that Prometheus scrapes while a run goes on: podsense_load_* in the text format.

#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/mutex.h"
#include "load/measuring/results.h"

namespace podsense::load {

/// @threads `update` and `text` from any
class ScrapeMetrics {
 public:
  void update(const Recorder::Recent& recent, std::size_t in_flight);
  /// Prometheus text format 0.0.4
  [[nodiscard]] std::string text() const;

 private:
  mutable Mutex mutex_;
  Recorder::Recent total_ GUARDED_BY(mutex_);
  std::size_t in_flight_ GUARDED_BY(mutex_) = 0;
};

/// Answers every request on every path with the metrics, one after the other, from its own thread.
class ScrapePage {
 public:
  /// `address`: HOST:PORT or :PORT; an empty host is every address.
  /// @errors kInvalidArgument, kUnavailable
  static Result<std::unique_ptr<ScrapePage>> listen(std::string_view address,
                                                    const ScrapeMetrics& metrics);
  ~ScrapePage();
  ScrapePage(const ScrapePage&) = delete;
  ScrapePage& operator=(const ScrapePage&) = delete;
  [[nodiscard]] unsigned port() const { return port_; }

 private:
  ScrapePage(int listener, unsigned port, const ScrapeMetrics& metrics);
  void serve(const std::stop_token& stop);

  const int listener_;
  const unsigned port_;
  const ScrapeMetrics& metrics_;
  std::jthread thread_;
};

}  // namespace podsense::load
