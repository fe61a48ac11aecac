#pragma once

/// Calls a function once per second on its own thread. Private to this module.

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/crash.h"
#include "base/log.h"

namespace podsense::server {

/// The first call is one second after the start. The destructor waits for a call in progress.
class Ticker {
 public:
  explicit Ticker(std::function<void()> tick)
      : thread_([this, tick = std::move(tick)](const std::stop_token& stop) {
          const crash::Thread me("ticker");
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, stop, std::chrono::seconds(1),
                                 [&stop] { return stop.stop_requested(); })) {
            try {
              tick();
            } catch (const std::exception& thrown) {  // such as a lack of memory: go on
              log::error("tick_failed", {{"reason", thrown.what()}});
            }
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace podsense::server
