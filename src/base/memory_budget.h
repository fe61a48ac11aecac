#pragma once

/// One limit for the memory that all requests use together, in addition to the limits of each
/// request. Bytes are counted before they are allocated; a request is refused if not enough are
/// left.
///
///   MemoryBudget budget(256 << 20);
///   MemoryBudget::Share share = budget.share(MemoryUse::kBodies);
///   if (auto taken = share.grow_to(size); !taken) { return fail(taken.error()); }
///
/// The last eighth of the budget is reserved for small shares, so that a few large requests cannot
/// block all others.
/// @threads thread-safe; a Share is confined to its holder

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "base/error.h"

namespace podsense {

enum class MemoryUse : std::uint8_t {
  kConnections,
  kBodies,
  kFetches,
  kDecoding,
  kTensors,
  kAnswers
};
inline constexpr std::array<std::string_view, 6> kMemoryUses{"connections", "bodies",  "fetches",
                                                             "decoding",    "tensors", "answers"};

class MemoryBudget {
 public:
  /// Up to this many bytes a share is small.
  static constexpr std::uint64_t kSmall = 256U << 10U;

  /// Bytes taken from the budget, given back by the destructor. Without a budget, a share counts
  /// nothing and can always grow.
  class Share {
   public:
    Share() = default;
    ~Share() { give_back(); }
    Share(Share&& other) noexcept;
    Share& operator=(Share&& other) noexcept;

    /// Changes the share to `bytes`; if that is fewer than before, the difference is given back.
    /// @errors kOverloaded, with retry_after: not enough memory now; kPayloadTooLarge: more than
    /// the budget ever allows. On an error the share is unchanged.
    [[nodiscard]] Result<void> grow_to(std::uint64_t bytes);
    void give_back();
    /// Takes over the bytes of `other`. @requires the same budget and use, or one of them is empty
    void join(Share&& other) noexcept;
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

   private:
    friend class MemoryBudget;
    Share(MemoryBudget& budget, MemoryUse use) : budget_(&budget), use_(use) {}

    MemoryBudget* budget_ = nullptr;
    MemoryUse use_{};
    std::uint64_t bytes_ = 0;
  };

  explicit MemoryBudget(std::uint64_t limit = std::numeric_limits<std::uint64_t>::max())
      : limit_(limit) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// An empty share. `budget` must outlive it; null: no limit.
  static Share share(MemoryBudget* budget, MemoryUse use) {
    return budget == nullptr ? Share() : Share(*budget, use);
  }

  /// Counts `bytes` more, or fewer if negative, for callers that do not use a Share.
  /// @errors as Share::grow_to; nothing is counted then
  [[nodiscard]] Result<void> count(MemoryUse use, std::int64_t bytes);

  /// Shares keep what they hold, even if that exceeds the new limit.
  void set_limit(std::uint64_t limit) { limit_.store(limit, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t used() const {
    return not_negative(used_.load(std::memory_order_relaxed));
  }
  [[nodiscard]] std::uint64_t used(MemoryUse use) const {
    return not_negative(at(uses_, use).load());
  }
  /// How many times memory was refused.
  [[nodiscard]] std::uint64_t refused(MemoryUse use) const { return at(refused_, use).load(); }
  [[nodiscard]] std::uint64_t refused() const;

 private:
  using Counters = std::array<std::atomic<std::uint64_t>, kMemoryUses.size()>;
  static const std::atomic<std::uint64_t>& at(const Counters& all, MemoryUse use) {
    return all[static_cast<std::size_t>(use)];
  }
  static std::atomic<std::uint64_t>& at(Counters& all, MemoryUse use) {
    return all[static_cast<std::size_t>(use)];
  }
  /// Memory may be freed and counted on one thread before another thread has counted its
  /// allocation. The unsigned sum is then below zero for a moment; this returns 0 instead of a huge
  /// number.
  static std::uint64_t not_negative(std::uint64_t counted) {
    return static_cast<std::int64_t>(counted) < 0 ? 0 : counted;
  }
  bool take(MemoryUse use, std::uint64_t more, std::uint64_t most);
  void release(MemoryUse use, std::uint64_t bytes);
  /// `whole`: the size of the share afterwards, bytes. @errors as Share::grow_to
  [[nodiscard]] Result<void> take_or_refuse(MemoryUse use, std::uint64_t more, std::uint64_t whole);

  std::atomic<std::uint64_t> limit_;
  std::atomic<std::uint64_t> used_{0};
  Counters uses_{};
  Counters refused_{};
};

/// Resident memory of this process in bytes; 0 if /proc does not say.
std::uint64_t resident_bytes();
/// Memory of the machine in bytes; 0 if /proc does not say.
std::uint64_t machine_memory_bytes();

}  // namespace podsense
