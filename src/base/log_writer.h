#pragma once

/// Keeps logging from blocking callers: a bounded queue with one writing thread, and summaries of
/// repeated faults. Private to this module; others use log.h.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"

namespace podsense::log {

/// Writes lines to a descriptor. Before `start` the caller writes; afterwards a thread does, so
/// only that thread blocks if nobody reads. Lines that do not fit into the queue are dropped and
/// counted; once writing continues, one line reports their number.
/// @threads thread-safe
class Writer {
 public:
  struct Hooks {
    std::function<std::string(std::uint64_t count)> dropped_line;
    std::function<void()> idle;  ///< about once a second
  };
  static constexpr std::size_t kMaxQueued = 4U << 20U;  ///< bytes

  explicit Writer(int descriptor, std::size_t max_queued = kMaxQueued)
      : descriptor_(descriptor), max_queued_(max_queued) {}
  /// Joins the writing thread: blocks as long as that thread's write is blocked.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Starts the writing thread. A second call does nothing.
  /// @errors kUnavailable: the system cannot start a thread
  Result<void> start(Hooks hooks);
  /// `line` ends with a newline. Never blocks once started.
  void add(const std::string& line);
  /// Waits until everything is written. False: something is not written after `timeout`.
  bool flush(Duration timeout);
  void count_dropped() { dropped_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void run();
  void write_all(std::string_view bytes, std::size_t lines);

  const int descriptor_;
  const std::size_t max_queued_;
  Hooks hooks_;
  std::atomic<std::uint64_t> dropped_{0};
  Mutex mutex_;
  CondVar came_;
  CondVar written_;
  std::string queue_ GUARDED_BY(mutex_);  ///< whole lines
  std::size_t lines_ GUARDED_BY(mutex_) = 0;
  bool started_ GUARDED_BY(mutex_) = false;
  bool writing_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::uint64_t told_ = 0;  ///< dropped lines already reported; only the thread uses it
  std::jthread thread_;
};

/// Limits how many lines of repeated faults are written per second: few of each kind, more of each
/// event. @threads thread-safe
class Repeats {
 public:
  static constexpr std::uint64_t kMostOfKind = 5;    ///< a second
  static constexpr std::uint64_t kMostOfEvent = 50;  ///< a second, of all its kinds

  struct Sum {
    std::string kind;
    std::uint64_t count = 0;
  };
  struct Verdict {
    bool write = true;
    std::vector<Sum> ended;  ///< to be reported before this line
  };
  /// `kind`: the event, a newline, and the texts that distinguish its faults.
  Verdict note(const std::string& kind, std::int64_t second);
  /// The lines suppressed in earlier seconds, by kind.
  std::vector<Sum> ended(std::int64_t second);

 private:
  struct Count {
    std::int64_t second = 0;
    std::uint64_t seen = 0;
    std::uint64_t held_back = 0;
  };
  using Counts = std::map<std::string, Count, std::less<>>;
  static bool take(Counts& counts, const std::string& name, std::uint64_t most,
                   std::int64_t second);
  std::vector<Sum> collect(std::int64_t second) REQUIRES(mutex_);

  Mutex mutex_;
  Counts events_ GUARDED_BY(mutex_);
  Counts kinds_ GUARDED_BY(mutex_);
};

}  // namespace podsense::log
