#pragma once

/// What keeps logging from ever holding a thread: a bounded queue with one thread that writes, and
/// the summing up of faults that repeat. Private to this module; log.h is what others use.

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

/// Lines to a descriptor. Before `start` the caller writes; afterwards a thread does, which alone
/// waits when nobody reads: what the queue cannot take is dropped and counted, and one line says so
/// once it goes on.
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
  /// Waits for the writing thread, which must not be held by whoever reads.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// A second call does nothing. @errors kUnavailable: the system gives no thread
  Result<void> start(Hooks hooks);
  /// `line` ends with a newline. Never blocks once started.
  void add(const std::string& line);
  /// False: something is still not written after `timeout`.
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
  std::uint64_t told_ = 0;  ///< dropped lines that a line has told of; the thread's
  std::jthread thread_;
};

/// Which lines of faults that repeat are written: a few a second of each kind, and more of each
/// event. @threads thread-safe
class Repeats {
 public:
  static constexpr std::uint64_t kMostOfKind = 5;    ///< a second
  static constexpr std::uint64_t kMostOfEvent = 50;  ///< a second, whatever their kinds

  struct Sum {
    std::string kind;
    std::uint64_t count = 0;
  };
  struct Verdict {
    bool write = true;
    std::vector<Sum> ended;  ///< what to tell of before
  };
  /// `kind`: the event, then a newline and what tells its faults apart.
  Verdict note(const std::string& kind, std::int64_t second);
  /// What was held back in seconds before this one.
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
