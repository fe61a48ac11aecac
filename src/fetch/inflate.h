#pragma once

/// Decompresses a stream of gzip or zlib data, up to a limit.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace podsense::fetch {

class AnswerInflater {
 public:
  AnswerInflater();
  ~AnswerInflater();
  AnswerInflater(const AnswerInflater&) = delete;
  AnswerInflater& operator=(const AnswerInflater&) = delete;

  enum class Result { kGood, kCorrupt, kTooLarge };
  /// Appends the decompressed `data` to `out`, which never exceeds `max` bytes.
  Result add(std::string_view data, std::string& out, std::uint64_t max);
  /// Whether the end of the compressed stream was reached.
  [[nodiscard]] bool complete() const;

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

/// Whether `data` starts with gzip's magic bytes.
bool is_gzip(std::string_view data);

}  // namespace podsense::fetch
