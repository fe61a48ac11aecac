#pragma once

/// Finds frames in the bytes of an HTTP/2 client before nghttp2 reads them, because nghttp2
/// silently ignores some frames. Pure. Private to this module. @source RFC 9113 4.1

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace podsense::transport {

struct FrameHead {
  std::uint32_t size = 0;  ///< of the payload
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::int32_t stream = 0;
};

class FrameScanner {
 public:
  /// `before`: the number of bytes before the first frame.
  explicit FrameScanner(std::size_t before) : left_(before) {}

  /// Returns how many of `bytes` belong to the current frame's payload or to a head. Sets `began`
  /// to true if they complete the head of a new frame, and stores it in `head`.
  /// @requires !bytes.empty()
  std::size_t next(std::string_view bytes, bool& began) {
    began = false;
    std::size_t used = 0;
    if (left_ == 0) {
      used = std::min(kHeadSize - have_, bytes.size());
      std::ranges::copy(bytes.substr(0, used), head_.begin() + static_cast<std::ptrdiff_t>(have_));
      have_ += used;
      if (have_ < kHeadSize) {
        return used;
      }
      have_ = 0;
      began = true;
      left_ = head().size;
    }
    const std::size_t payload = std::min(left_, bytes.size() - used);
    left_ -= payload;
    return used + payload;
  }

  [[nodiscard]] FrameHead head() const {
    const auto at = [this](std::size_t i) -> std::uint32_t {
      return static_cast<unsigned char>(head_[i]);
    };
    return {.size = at(0) << 16U | at(1) << 8U | at(2),
            .type = static_cast<std::uint8_t>(at(3)),
            .flags = static_cast<std::uint8_t>(at(4)),
            .stream = static_cast<std::int32_t>((at(5) & 127U) << 24U | at(6) << 16U | at(7) << 8U |
                                                at(8))};
  }

 private:
  static constexpr std::size_t kHeadSize = 9;
  std::array<char, kHeadSize> head_{};
  std::size_t have_ = 0;  ///< bytes of the next head so far
  std::size_t left_;      ///< bytes left of the current payload
};

}  // namespace podsense::transport
