#include "transport/gzip.h"

#include <gtest/gtest.h>

namespace podsense::transport {
namespace {

std::string gzip(const std::string& text) {
  return compress(text, Coding::kGzip).value();
}

TEST(Inflater, UndoesGzipOfAnySizeInSlices) {
  const std::string text(1'000'000, 'x');
  EXPECT_EQ(inflate(gzip(text), Coding::kGzip, 2'000'000).value(), text);
  EXPECT_EQ(inflate(gzip("a") + gzip("b"), Coding::kGzip, 10).value(), "ab");
}

TEST(Inflater, StopsABombAtTheLimit) {
  const auto bomb = inflate(gzip(std::string(50'000'000, '\0')), Coding::kGzip, 1'000'000);
  EXPECT_EQ(bomb.error().code, ErrorCode::kPayloadTooLarge);
}

TEST(Inflater, RefusesWhatIsNotGzipOrCutOffAnywhere) {
  EXPECT_EQ(inflate("plain text", Coding::kGzip, 100).error().code, ErrorCode::kInvalidArgument);
  const std::string whole = gzip("a few words to be cut");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(inflate(whole.substr(0, size), Coding::kGzip, 100)) << size;
  }
}

TEST(Compress, GivesTheZlibFormatForDeflate) {
  const std::string text(100'000, 'x');
  const std::string small = compress(text, Coding::kDeflate).value();
  EXPECT_LT(small.size(), 1'000U);
  EXPECT_EQ(inflate(small, Coding::kDeflate, 100'000).value(), text);
}

}  // namespace
}  // namespace podsense::transport
