#include "transport/gzip.h"

#include <gtest/gtest.h>

namespace podsense::transport {
namespace {

std::string gzip(const std::string& text) {
  return compress(text, Coding::kGzip).value();
}

Result<std::string> inflate_all(const std::string& compressed, std::uint64_t most) {
  Inflater inflater(compressed, Coding::kGzip, most);
  for (;;) {
    const auto done = inflater.step();
    if (!done) {
      return fail(done.error());
    }
    if (*done) {
      return inflater.take();
    }
  }
}

TEST(Inflater, UndoesGzipOfAnySizeInSlices) {
  const std::string text(1'000'000, 'x');
  EXPECT_EQ(inflate_all(gzip(text), 2'000'000).value(), text);
  EXPECT_EQ(inflate_all(gzip("a") + gzip("b"), 10).value(), "ab");
}

TEST(Inflater, StopsABombAtTheLimit) {
  const auto bomb = inflate_all(gzip(std::string(50'000'000, '\0')), 1'000'000);
  EXPECT_EQ(bomb.error().code, ErrorCode::kPayloadTooLarge);
}

TEST(Inflater, RefusesWhatIsNotGzipOrCutOffAnywhere) {
  EXPECT_EQ(inflate_all("plain text", 100).error().code, ErrorCode::kInvalidArgument);
  const std::string whole = gzip("a few words to be cut");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(inflate_all(whole.substr(0, size), 100)) << size;
  }
}

TEST(Compress, GivesTheZlibFormatForDeflate) {
  const std::string text(100'000, 'x');
  const std::string small = compress(text, Coding::kDeflate).value();
  EXPECT_LT(small.size(), 1'000U);
  Inflater inflater(small, Coding::kDeflate, 100'000);
  while (!inflater.step().value()) {
  }
  EXPECT_EQ(inflater.take(), text);
}

}  // namespace
}  // namespace podsense::transport
