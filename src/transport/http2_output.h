#pragma once

/// The output buffer of HTTP/2: frames are copied; large parts of bodies are borrowed, not copied.
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
  /// The approximate size of one write, bytes.
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
  /// Borrows `bytes`, which `owner` keeps valid; `clear` releases `owner`.
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
  /// Keeps a chunk whose last part was borrowed alive until `clear`.
  void keep(Chunk chunk) { kept_.push_back(std::move(chunk)); }
  /// Everything to write. Valid until the next `add`.
  ByteStream::Pieces& pieces() {
    pieces_.clear();
    const char* text = text_.data();
    for (const Part& part : parts_) {
      pieces_.emplace_back(part.borrowed != nullptr ? part.borrowed : text, part.size);
      text += part.borrowed != nullptr ? 0 : part.size;
    }
    return pieces_;
  }
  /// What remains of `pieces` after some was consumed.
  ByteStream::Pieces& rest() { return pieces_; }
  /// Everything is written: forgets the bytes and releases their owners.
  void clear() {
    text_.clear();
    parts_.clear();
    owners_.clear();
    kept_.clear();
    size_ = 0;
  }
  /// Frees memory that an idle connection does not need. @requires empty()
  void shrink() {
    if (text_.capacity() > 0) {
      std::string().swap(text_);
      std::vector<Part>().swap(parts_);
      ByteStream::Pieces().swap(pieces_);
    }
  }

 private:
  struct Part {
    const char* borrowed = nullptr;  ///< null: the bytes are the next ones of `text_`
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
