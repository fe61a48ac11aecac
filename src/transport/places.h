#pragma once

/// Limits connections: in total, per address, and by the file descriptors left. Some places are
/// reserved ("kept") for probes when all others are taken. For a client behind a trusted proxy its
/// connections count if the proxy opens one for each client (PROXY protocol); if the proxy's
/// connections carry requests of many clients, its concurrent requests count. Private to this
/// module.

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/mutex.h"

namespace podsense::transport {

struct PlaceLimits {
  std::size_t most = 16'384;
  std::size_t per_address = 0;  ///< 0: no limit
  std::size_t kept = 64;        ///< additional places, which serve only probes
  int most_descriptor = 0;      ///< a connection with a higher one counts as too many; 0: no limit
};

struct Place {
  enum class Kind {
    kOrdinary,
    kKept,  ///< answers probes; refuses all other requests
    kNone,
  };
  Kind kind = Kind::kOrdinary;
  std::string_view reason;  ///< why the place is not ordinary, for the metric
  bool counted = false;     ///< counted for its address
};

/// @threads thread-safe
class Places {
 public:
  explicit Places(PlaceLimits limits) : limits_(limits) {}

  /// Takes a place; give it back with `leave`, unless its kind is kNone. `has_memory`: there is
  /// memory for another connection. `proxy`: the limit per address does not apply.
  Place enter(const std::string& address, int descriptor, bool has_memory = true,
              bool proxy = false) {
    const MutexLock lock(mutex_);
    std::string_view reason;
    if (!has_memory) {
      reason = "memory";
    } else if (ordinary_ >= limits_.most) {
      reason = "limit";
    } else if (limits_.most_descriptor > 0 && descriptor > limits_.most_descriptor) {
      reason = "descriptors";
    } else if (!proxy && limits_.per_address > 0 && !count(address)) {
      reason = "per_address";
    }
    if (reason.empty()) {
      ++ordinary_;
      return {.counted = !proxy && limits_.per_address > 0};
    }
    if (kept_ >= limits_.kept) {
      return {.kind = Place::Kind::kNone, .reason = reason};
    }
    ++kept_;
    return {.kind = Place::Kind::kKept, .reason = reason};
  }

  /// Takes a kept place without a check, because another one is about to be given back.
  Place enter_kept(std::string_view reason) {
    const MutexLock lock(mutex_);
    ++kept_;
    return {.kind = Place::Kind::kKept, .reason = reason};
  }

  void leave(const Place& place, const std::string& address) {
    const MutexLock lock(mutex_);
    if (place.kind == Place::Kind::kKept) {
      --kept_;
      return;
    }
    --ordinary_;
    if (place.counted) {
      discount(address);
    }
  }

  /// Counts one more for a client named by a trusted proxy; false: it has reached its limit.
  bool enter_client(const std::string& address) {
    const MutexLock lock(mutex_);
    return count(address);
  }
  void leave_client(const std::string& address) {
    const MutexLock lock(mutex_);
    discount(address);
  }

  [[nodiscard]] const PlaceLimits& limits() const { return limits_; }

 private:
  bool count(const std::string& address) REQUIRES(mutex_) {
    std::size_t& count = by_address_[address];
    if (count >= limits_.per_address) {
      return false;
    }
    ++count;
    return true;
  }
  void discount(const std::string& address) REQUIRES(mutex_) {
    const auto found = by_address_.find(address);
    if (found != by_address_.end() && --found->second == 0) {
      by_address_.erase(found);
    }
  }

  const PlaceLimits limits_;
  Mutex mutex_;
  std::size_t ordinary_ GUARDED_BY(mutex_) = 0;
  std::size_t kept_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::size_t> by_address_ GUARDED_BY(mutex_);
};

}  // namespace podsense::transport
