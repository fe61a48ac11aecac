#pragma once

/// A buffer that grows to the maximum needed by a thread and is kept, without being cleared.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace podsense::image {

/// Bytes that may be read and written after the last pixel of every row buffer, so that vector
/// kernels need no special code for the row's end.
inline constexpr std::size_t kRowPadding = 64;

template <class T>
class Buffer {
 public:
  /// Returns memory for at least `count` elements; growing discards the content.
  T* reserve(std::size_t count) {
    if (count > capacity_) {
      data_.reset();
      capacity_ = 0;
      data_ = std::make_unique_for_overwrite<T[]>(count);
      capacity_ = count;
    }
    return data_.get();
  }
  T* data() { return data_.get(); }
  [[nodiscard]] const T* data() const { return data_.get(); }
  [[nodiscard]] std::size_t bytes() const { return capacity_ * sizeof(T); }
  void release() {
    data_.reset();
    capacity_ = 0;
  }

 private:
  std::unique_ptr<T[]> data_;
  std::size_t capacity_ = 0;
};

}  // namespace podsense::image
