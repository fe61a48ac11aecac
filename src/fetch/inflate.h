#pragma once

/// gzip and zlib data, undone as they stream, up to a limit.

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
  /// Appends what `data` inflates to; `out` never grows beyond `max` bytes.
  Result add(std::string_view data, std::string& out, std::uint64_t max);
  /// The data have come to their own end.
  [[nodiscard]] bool complete() const;

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

/// `data` begins as a gzip file does.
bool is_gzip(std::string_view data);

}  // namespace podsense::fetch
