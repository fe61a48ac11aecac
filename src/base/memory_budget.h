#pragma once

/// One total for all the memory that requests make a server hold, beside the limits that each of
/// them has: bytes are counted before they are allocated, and refused where there are none left.
///
///   MemoryBudget budget(256 << 20);
///   MemoryBudget::Share share = budget.share(MemoryUse::kBodies);
///   if (auto taken = share.grow_to(size); !taken) { return fail(taken.error()); }
///
/// The last eighth is for small shares alone, so that a few large requests do not keep the others
/// out.
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

  /// Given back when it ends. Without a budget it counts nothing and may always grow.
  class Share {
   public:
    Share() = default;
    ~Share() { give_back(); }
    Share(Share&& other) noexcept;
    Share& operator=(Share&& other) noexcept;

    /// Counts `bytes` from now on; fewer than before are given back.
    /// @errors kOverloaded, with retry_after: there is too little now; kPayloadTooLarge: there
    /// never
    ///         will be enough. It is as it was then.
    [[nodiscard]] Result<void> grow_to(std::uint64_t bytes);
    void give_back();
    /// Holds what `other` held, too. @requires the same budget and use, or one of them empty
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

  /// An empty share. The budget outlives it; null: none.
  static Share share(MemoryBudget* budget, MemoryUse use) {
    return budget == nullptr ? Share() : Share(*budget, use);
  }

  /// For who keeps count himself: so many bytes more, or fewer where negative.
  /// @errors as Share::grow_to; nothing is counted then
  [[nodiscard]] Result<void> count(MemoryUse use, std::int64_t bytes);

  /// What is held stays held, also where that is more.
  void set_limit(std::uint64_t limit) { limit_.store(limit, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t used() const {
    return not_negative(used_.load(std::memory_order_relaxed));
  }
  [[nodiscard]] std::uint64_t used(MemoryUse use) const {
    return not_negative(at(uses_, use).load());
  }
  /// How often a share could not grow.
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
  /// A thread may count what it gives back before another has counted it: for a moment less than
  /// nothing is in use. That is nothing, and not the enormous number that it looks like.
  static std::uint64_t not_negative(std::uint64_t counted) {
    return static_cast<std::int64_t>(counted) < 0 ? 0 : counted;
  }
  bool take(MemoryUse use, std::uint64_t more, std::uint64_t most);
  void release(MemoryUse use, std::uint64_t bytes);
  /// `whole`: of the share. @errors as Share::grow_to
  [[nodiscard]] Result<void> take_or_refuse(MemoryUse use, std::uint64_t more, std::uint64_t whole);

  std::atomic<std::uint64_t> limit_;
  std::atomic<std::uint64_t> used_{0};
  Counters uses_{};
  Counters refused_{};
};

/// Of this process, now: what is resident of it; 0 where /proc does not say.
std::uint64_t resident_bytes();
/// Of the machine; 0 where /proc does not say.
std::uint64_t machine_memory_bytes();

}  // namespace podsense
