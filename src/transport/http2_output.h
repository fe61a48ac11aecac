#pragma once

/// What HTTP/2 has to write: frames as text, and the large parts of bodies from where they lie.
/// Private to this module.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transport/byte_stream.h"
#include "transport/stream.h"

namespace podsense::transport {

class Http2Output {
 public:
  /// Parts of bodies up to this size are copied.
  static constexpr std::size_t kCopied = 2U << 10U;
  /// One write has about so many bytes.
  static constexpr std::size_t kEnough = 256U << 10U;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  void add(std::string_view bytes) {
    text_ += bytes;
    size_ += bytes.size();
    if (parts_.empty() || parts_.back().borrowed != nullptr) {
      parts_.push_back({.size = 0});
    }
    parts_.back().size += bytes.size();
  }
  /// `bytes` stay as they are until `owner` is let go of, by `clear`.
  void borrow(std::string_view bytes, const std::shared_ptr<const void>& owner) {
    if (bytes.size() <= kCopied) {
      return add(bytes);
    }
    parts_.push_back({.borrowed = bytes.data(), .size = bytes.size()});
    size_ += bytes.size();
    if (owners_.empty() || owners_.back() != owner) {
      owners_.push_back(owner);
    }
  }
  /// A chunk whose last part was borrowed: its bytes stay until `clear`.
  void keep(Chunk chunk) { kept_.push_back(std::move(chunk)); }
  /// What to write. Valid until the next `add`.
  ByteStream::Pieces& pieces() {
    pieces_.clear();
    const char* text = text_.data();
    for (const Part& part : parts_) {
      pieces_.emplace_back(part.borrowed != nullptr ? part.borrowed : text, part.size);
      text += part.borrowed != nullptr ? 0 : part.size;
    }
    return pieces_;
  }
  /// What is left of `pieces`, after some of it was consumed.
  ByteStream::Pieces& rest() { return pieces_; }
  /// All of it is written.
  void clear() {
    text_.clear();
    parts_.clear();
    owners_.clear();
    kept_.clear();
    size_ = 0;
  }
  /// Gives memory back that an idle connection does not need. @requires empty()
  void shrink() {
    if (text_.capacity() > 0) {
      std::string().swap(text_);
      std::vector<Part>().swap(parts_);
      ByteStream::Pieces().swap(pieces_);
    }
  }

 private:
  struct Part {
    const char* borrowed = nullptr;  ///< null: the next of `text_`
    std::size_t size = 0;
  };
  std::string text_;
  std::vector<Part> parts_;
  std::vector<std::shared_ptr<const void>> owners_;
  std::vector<Chunk> kept_;
  ByteStream::Pieces pieces_;
  std::size_t size_ = 0;
};

}  // namespace podsense::transport
