#pragma once

/// std::mutex with the annotations that clang's -Wthread-safety checks (libstdc++ carries none).
/// Members are declared `T x GUARDED_BY(mutex_);`.

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define PODSENSE_TSA(x) __attribute__((x))
#else
#define PODSENSE_TSA(x)
#endif
#ifndef GUARDED_BY  // gRPC's headers define it, too
#define GUARDED_BY(x) PODSENSE_TSA(guarded_by(x))
#endif
#define REQUIRES(...) PODSENSE_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) PODSENSE_TSA(locks_excluded(__VA_ARGS__))

namespace podsense {

class PODSENSE_TSA(capability("mutex")) Mutex {
 public:
  void lock() PODSENSE_TSA(acquire_capability()) { mutex_.lock(); }
  void unlock() PODSENSE_TSA(release_capability()) { mutex_.unlock(); }
  bool try_lock() PODSENSE_TSA(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class PODSENSE_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) PODSENSE_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() PODSENSE_TSA(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

/// Wake-ups may be spurious: call `wait` in a loop that checks the condition, with the mutex held.
class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }
  template <class Rep, class Period>
  void wait_for(Mutex& mutex, std::chrono::duration<Rep, Period> timeout) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cv_.wait_for(lock, timeout);
    lock.release();
  }
  void notify_one() { cv_.notify_one(); }
  void notify_all() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace podsense
