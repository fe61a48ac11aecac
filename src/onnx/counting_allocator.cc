#include "onnx/counting_allocator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

namespace podsense::onnx {
namespace {

/// The same as in ONNX Runtime, whose kernels use vectors of up to 64 bytes.
constexpr std::size_t kAlignment = 64;
/// Each thread counts locally and updates the budget in steps of this many bytes.
constexpr std::int64_t kStep = 64 << 10;
/// Smaller blocks are not kept: allocating them is fast.
constexpr std::size_t kLeastKept = 32U << 10U;
constexpr std::size_t kMostKept = 16U << 20U;  ///< bytes per thread
/// Larger than any machine's memory; a sum of a few does not overflow.
constexpr std::size_t kMostBlock = std::size_t{1} << 60U;

std::atomic<MemoryBudget*> budget{nullptr};
std::atomic<bool> keeps{false};
/// This thread's Local is destroyed, but other objects of the ending thread may still free memory.
thread_local bool ended = false;

/// Stored before each block: its size, and whether it is counted.
struct Header {
  std::size_t bytes;
  bool counted;
};

/// ONNX Runtime catches this and reports it as the failure of a run.
struct Refused final : std::bad_alloc {
  [[nodiscard]] const char* what() const noexcept override { return "bad_alloc: memory budget"; }
};

Header& header_of(void* data) {
  return *static_cast<Header*>(static_cast<void*>(static_cast<std::byte*>(data) - kAlignment));
}

/// A thread's uncommitted count, and its kept blocks.
class Local {
 public:
  Local() = default;
  ~Local() {
    for (std::size_t i = 0; i < kept_; ++i) {
      release(blocks_[i]);
    }
    settle();
    ended = true;
  }
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;

  void* take(std::size_t bytes) {
    if (void* kept = find(bytes)) {
      return kept;
    }
    const auto counted = static_cast<std::int64_t>(std::min(bytes, kMostBlock));
    count(counted);
    void* fresh = allocate(bytes, true);
    if (fresh == nullptr) {
      pending_ -= counted;
      throw Refused();
    }
    return fresh;
  }

  void give(void* data) {
    if (!keep(data)) {
      release(data);
    }
  }

  static void* allocate(std::size_t bytes, bool counted) {
    const std::size_t whole = (bytes + 2 * kAlignment - 1) / kAlignment * kAlignment;
    void* const block = whole < bytes ? nullptr : std::aligned_alloc(kAlignment, whole);
    if (block == nullptr) {
      return nullptr;
    }
    new (block) Header{.bytes = bytes, .counted = counted};
    return static_cast<std::byte*>(block) + kAlignment;
  }

  /// Frees a block on a thread whose Local is destroyed.
  static void free_at_end(void* data) {
    const Header header = header_of(data);
    std::free(&header_of(data));
    MemoryBudget* const counted_in = budget.load(std::memory_order_relaxed);
    if (header.counted && counted_in != nullptr) {
      static_cast<void>(
          counted_in->count(MemoryUse::kTensors, -static_cast<std::int64_t>(header.bytes)));
    }
  }

  std::optional<Error> refused;

 private:
  /// The smallest kept block that is large enough, unless it is far too large.
  void* find(std::size_t bytes) {
    constexpr std::size_t kFar = 4;
    std::size_t best = kept_;
    std::size_t best_bytes = bytes * kFar;
    for (std::size_t i = kept_; i-- > 0;) {
      const std::size_t have = header_of(blocks_[i]).bytes;
      if (have >= bytes && have < best_bytes) {
        best = i;
        best_bytes = have;
      }
    }
    if (best == kept_ || bytes < kLeastKept / kFar) {
      return nullptr;
    }
    void* const data = blocks_[best];
    blocks_[best] = blocks_[--kept_];
    kept_bytes_ -= best_bytes;
    return data;
  }

  bool keep(void* data) {
    const Header& header = header_of(data);
    if (header.bytes < kLeastKept || !header.counted || header.bytes > kMostKept / 2 ||
        !keeps.load(std::memory_order_relaxed)) {
      return false;
    }
    while (kept_ > 0 && (kept_ == blocks_.size() || kept_bytes_ + header.bytes > kMostKept)) {
      kept_bytes_ -= header_of(blocks_[0]).bytes;  // the least recently used one
      release(blocks_[0]);
      std::move(blocks_.begin() + 1, blocks_.begin() + static_cast<std::ptrdiff_t>(kept_),
                blocks_.begin());
      --kept_;
    }
    blocks_[kept_++] = data;
    kept_bytes_ += header.bytes;
    return true;
  }

  void release(void* data) {
    const Header header = header_of(data);
    std::free(&header_of(data));
    if (header.counted) {
      pending_ -= static_cast<std::int64_t>(header.bytes);
      if (pending_ < -kStep) {
        settle();
      }
    }
  }

  /// Counts bytes before they are allocated. Throws over the budget.
  void count(std::int64_t bytes) {
    pending_ += bytes;
    if (pending_ < kStep) {
      return;
    }
    MemoryBudget* const counted_in = budget.load(std::memory_order_relaxed);
    if (counted_in == nullptr) {
      pending_ = 0;
      return;
    }
    if (auto taken = counted_in->count(MemoryUse::kTensors, pending_); !taken) {
      pending_ -= bytes;
      refused = std::move(taken.error());
      throw Refused();
    }
    pending_ = 0;
  }

  void settle() {
    if (MemoryBudget* const counted_in = budget.load(std::memory_order_relaxed)) {
      static_cast<void>(
          counted_in->count(MemoryUse::kTensors, std::min<std::int64_t>(pending_, 0)));
    }
    pending_ = 0;
  }

  std::int64_t pending_ = 0;  ///< bytes not reported to the budget yet; negative: freed
  std::array<void*, 32> blocks_{};
  std::size_t kept_ = 0;
  std::size_t kept_bytes_ = 0;
};

Local& local() {
  thread_local Local mine;
  return mine;
}

struct Allocator final : OrtAllocator {
  Allocator() : OrtAllocator{} {
    version = ORT_API_VERSION;
    OrtAllocator::Alloc = [](OrtAllocator*, std::size_t bytes) -> void* {
      return bytes == 0 ? nullptr : local().take(bytes);
    };
    OrtAllocator::Reserve = [](OrtAllocator*, std::size_t bytes) -> void* {
      if (bytes == 0) {
        return nullptr;
      }
      void* const block = Local::allocate(bytes, false);
      if (block == nullptr) {
        throw std::bad_alloc();
      }
      return block;
    };
    OrtAllocator::Free = [](OrtAllocator*, void* data) {
      if (data == nullptr) {
        return;
      }
      if (ended) {
        Local::free_at_end(data);
      } else {
        local().give(data);
      }
    };
    OrtAllocator::Info = [](const OrtAllocator* self) -> const OrtMemoryInfo* {
      return static_cast<const Allocator*>(self)->info;
    };
  }
  Ort::MemoryInfo info = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
};

}  // namespace

void register_allocator(Ort::Env& env, bool keep_blocks) {
  // Never destroyed: ONNX Runtime frees memory with it until the process ends.
  static Allocator& allocator = *new Allocator();  // NOLINT(cppcoreguidelines-owning-memory)
  keeps.store(keep_blocks, std::memory_order_relaxed);
  OrtStatus* const failed = Ort::GetApi().RegisterAllocator(env, &allocator);
  if (failed != nullptr) {  // already registered with the same process-wide environment
    Ort::GetApi().ReleaseStatus(failed);
  }
}

void count_in(MemoryBudget* where) {
  budget.store(where, std::memory_order_relaxed);
}

MemoryWatch::MemoryWatch() {
  local().refused.reset();
}

const std::optional<Error>& MemoryWatch::refused() const {  // NOLINT: of this thread's watch
  return local().refused;
}

}  // namespace podsense::onnx
