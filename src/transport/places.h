#pragma once

/// Who may connect: how many connections there may be, overall, from one address, and by the
/// descriptors that are left. Some places are kept for probes when all others are taken.
/// Private to this module.

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/mutex.h"

namespace podsense::transport {

struct PlaceLimits {
  std::size_t most = 16'384;
  std::size_t per_address = 0;  ///< 0: no limit
  std::size_t kept = 64;        ///< further ones, which answer probes and refuse all else
  int most_descriptor = 0;      ///< a higher number counts as full; 0: no limit
};

struct Place {
  enum class Kind {
    kOrdinary,
    kKept,  ///< answers probes, and all else with why it is refused
    kNone,
  };
  Kind kind = Kind::kOrdinary;
  std::string_view reason;  ///< why not an ordinary one, for the metric
};

/// @threads thread-safe
class Places {
 public:
  explicit Places(PlaceLimits limits) : limits_(limits) {}

  /// What is taken goes back by `leave`, unless it is none.
  /// `has_memory`: there is some for another connection.
  Place enter(const std::string& address, int descriptor, bool has_memory = true) {
    const MutexLock lock(mutex_);
    std::string_view reason;
    if (!has_memory) {
      reason = "memory";
    } else if (ordinary_ >= limits_.most) {
      reason = "limit";
    } else if (limits_.most_descriptor > 0 && descriptor > limits_.most_descriptor) {
      reason = "descriptors";
    } else if (limits_.per_address > 0) {
      std::size_t& count = by_address_[address];
      if (count >= limits_.per_address) {
        reason = "per_address";
      } else {
        ++count;
      }
    }
    if (reason.empty()) {
      ++ordinary_;
      return {};
    }
    if (kept_ >= limits_.kept) {
      return {.kind = Place::Kind::kNone, .reason = reason};
    }
    ++kept_;
    return {.kind = Place::Kind::kKept, .reason = reason};
  }

  /// Where another kept place is about to be given back.
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
    if (const auto found = by_address_.find(address); found != by_address_.end()) {
      if (--found->second == 0) {
        by_address_.erase(found);
      }
    }
  }

  [[nodiscard]] const PlaceLimits& limits() const { return limits_; }

 private:
  const PlaceLimits limits_;
  Mutex mutex_;
  std::size_t ordinary_ GUARDED_BY(mutex_) = 0;
  std::size_t kept_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::size_t> by_address_ GUARDED_BY(mutex_);
};

}  // namespace podsense::transport
