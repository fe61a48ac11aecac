#pragma once

/// Memory that grows to what one thread needs and stays, without being cleared.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace podsense::image {

/// Every row buffer may be read and written this far past its last pixel, so that kernels run
/// without tails.
inline constexpr std::size_t kRowPadding = 64;

template <class T>
class Buffer {
 public:
  /// At least `count` elements; the content is lost when it has to grow.
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
