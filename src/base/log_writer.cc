#include "base/log_writer.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/crash.h"
#include "base/thread_limit.h"

namespace podsense::log {
namespace {

constexpr Duration kIdle = std::chrono::seconds(1);
constexpr std::size_t kMaxKinds = 1024;

}  // namespace

Writer::~Writer() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  came_.notify_all();
}

Result<void> Writer::start(Hooks hooks) {
  const MutexLock lock(mutex_);
  if (started_) {
    return {};
  }
  hooks_ = std::move(hooks);
  try {
    thread_ = std::jthread([this] { run(); });
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kUnavailable, "no thread for the log: " + thread_refusal(error));
  }
  started_ = true;
  return {};
}

void Writer::add(const std::string& line) {
  {
    const MutexLock lock(mutex_);
    if (!started_) {
      return write_all(line, 1);  // under the lock: one line at a time
    }
    if (queue_.size() + line.size() > max_queued_) {
      return count_dropped();
    }
    queue_ += line;
    ++lines_;
  }
  came_.notify_one();
}

bool Writer::flush(Duration timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const MutexLock lock(mutex_);
  while (!queue_.empty() || writing_) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= Duration::zero()) {
      return false;
    }
    written_.wait_for(mutex_, left);
  }
  return true;
}

void Writer::run() {
  const crash::Thread me("log");
  for (;;) {
    std::string batch;
    std::size_t lines = 0;
    {
      const MutexLock lock(mutex_);
      writing_ = false;
      if (queue_.empty()) {
        written_.notify_all();
        if (stopping_) {
          return;
        }
        came_.wait_for(mutex_, kIdle);
      }
      batch.swap(queue_);
      lines = std::exchange(lines_, 0);
      writing_ = !batch.empty();
    }
    if (batch.empty()) {
      if (hooks_.idle) {
        hooks_.idle();
      }
      continue;
    }
    write_all(batch, lines);
    const std::uint64_t lost = dropped();
    if (lost > told_ && hooks_.dropped_line) {
      write_all(hooks_.dropped_line(lost - std::exchange(told_, lost)), 0);
    }
  }
}

/// Blocks while nobody reads. Lines are dropped if the reader has gone.
void Writer::write_all(std::string_view bytes, std::size_t lines) {
  while (!bytes.empty()) {
    const ssize_t sent = ::write(descriptor_, bytes.data(), bytes.size());
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      pollfd room{.fd = descriptor_, .events = POLLOUT, .revents = 0};
      ::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      dropped_.fetch_add(lines, std::memory_order_relaxed);
      return;
    }
  }
}

/// False: this line is suppressed.
bool Repeats::take(Counts& counts, const std::string& name, std::uint64_t most,
                   std::int64_t second) {
  const auto found = counts.find(name);
  if (found == counts.end() && counts.size() >= kMaxKinds) {
    return true;  // too many kinds in one second: only the limit per event applies
  }
  Count& count = found == counts.end() ? counts[name] : found->second;
  count.second = second;
  if (++count.seen > most) {
    ++count.held_back;
    return false;
  }
  return true;
}

Repeats::Verdict Repeats::note(const std::string& kind, std::int64_t second) {
  const MutexLock lock(mutex_);
  Verdict verdict{.write = true, .ended = collect(second)};
  const std::string event = kind.substr(0, kind.find('\n'));
  verdict.write =
      take(kinds_, kind, kMostOfKind, second) && take(events_, event, kMostOfEvent, second);
  return verdict;
}

std::vector<Repeats::Sum> Repeats::ended(std::int64_t second) {
  const MutexLock lock(mutex_);
  return collect(second);
}

std::vector<Repeats::Sum> Repeats::collect(std::int64_t second) {
  std::vector<Sum> sums;
  for (Counts* counts : {&events_, &kinds_}) {
    for (auto it = counts->begin(); it != counts->end();) {
      if (it->second.second >= second) {
        ++it;
        continue;
      }
      if (it->second.held_back > 0) {
        sums.push_back({.kind = it->first, .count = it->second.held_back});
      }
      it = counts->erase(it);
    }
  }
  return sums;
}

}  // namespace podsense::log
