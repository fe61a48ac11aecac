#include "base/memory_budget.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <utility>

namespace podsense {
namespace {

constexpr std::chrono::milliseconds kRetry{1000};

std::string megabytes(std::uint64_t bytes) {
  return std::to_string((bytes + 999'999) / 1'000'000) + " MB";
}

}  // namespace

MemoryBudget::Share::Share(Share&& other) noexcept
    : budget_(other.budget_), use_(other.use_), bytes_(std::exchange(other.bytes_, 0)) {}

MemoryBudget::Share& MemoryBudget::Share::operator=(Share&& other) noexcept {
  if (this != &other) {
    give_back();
    budget_ = other.budget_;
    use_ = other.use_;
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void MemoryBudget::Share::give_back() {
  if (bytes_ > 0) {
    budget_->release(use_, std::exchange(bytes_, 0));
  }
}

void MemoryBudget::Share::join(Share&& other) noexcept {
  if (bytes_ == 0) {
    *this = std::move(other);
  } else {
    bytes_ += std::exchange(other.bytes_, 0);
  }
}

Result<void> MemoryBudget::Share::grow_to(std::uint64_t bytes) {
  if (budget_ == nullptr || bytes == bytes_) {
    return {};
  }
  if (bytes < bytes_) {
    budget_->release(use_, bytes_ - bytes);
    bytes_ = bytes;
    return {};
  }
  auto taken = budget_->take_or_refuse(use_, bytes - bytes_, bytes);
  if (taken) {
    bytes_ = bytes;
  }
  return taken;
}

Result<void> MemoryBudget::count(MemoryUse use, std::int64_t bytes) {
  if (bytes <= 0) {
    release(use, static_cast<std::uint64_t>(-bytes));
    return {};
  }
  return take_or_refuse(use, static_cast<std::uint64_t>(bytes), static_cast<std::uint64_t>(bytes));
}

Result<void> MemoryBudget::take_or_refuse(MemoryUse use, std::uint64_t more, std::uint64_t whole) {
  const std::uint64_t all = limit();
  const std::uint64_t most = whole <= kSmall ? all : all - (all / 8);
  if (take(use, more, most)) {
    return {};
  }
  if (whole > most) {
    return fail(ErrorCode::kPayloadTooLarge, "this request needs " + megabytes(whole) +
                                                 " of memory; this server has " + megabytes(most) +
                                                 " for all requests together");
  }
  Error error{.code = ErrorCode::kOverloaded,
              .message = "the server is short of memory; ask again later or elsewhere"};
  error.retry_after = kRetry;
  return fail(std::move(error));
}

bool MemoryBudget::take(MemoryUse use, std::uint64_t more, std::uint64_t most) {
  std::uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    const std::uint64_t counted = not_negative(used);
    if (counted > most || more > most - counted) {
      at(refused_, use).fetch_add(1, std::memory_order_relaxed);
      return false;
    }
  } while (!used_.compare_exchange_weak(used, used + more, std::memory_order_relaxed));
  at(uses_, use).fetch_add(more, std::memory_order_relaxed);
  return true;
}

void MemoryBudget::release(MemoryUse use, std::uint64_t bytes) {
  used_.fetch_sub(bytes, std::memory_order_relaxed);
  at(uses_, use).fetch_sub(bytes, std::memory_order_relaxed);
}

std::uint64_t MemoryBudget::refused() const {
  std::uint64_t all = 0;
  for (const auto& one : refused_) {
    all += one.load(std::memory_order_relaxed);
  }
  return all;
}

std::uint64_t resident_bytes() {
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t machine_memory_bytes() {
  std::string name;
  std::uint64_t kilobytes = 0;
  std::ifstream("/proc/meminfo") >> name >> kilobytes;
  return name == "MemTotal:" ? kilobytes << 10U : 0;
}

}  // namespace podsense
