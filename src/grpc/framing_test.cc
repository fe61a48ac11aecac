#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include "grpc/wire.h"

namespace podsense::grpc {
namespace {

using google::protobuf::BytesValue;
using namespace std::literals;  // NOLINT(google-build-using-namespace): a suffix

TEST(Framing, OfAnySizeHasTheMessageAndNoByteMore) {
  BytesValue message;
  for (std::size_t size = 0; size < 300; ++size) {
    message.set_value(std::string(size, 'x'));
    const auto framed = frame(message);
    ASSERT_TRUE(framed);
    ASSERT_EQ(*framed, std::string("\0\0\0", 3) + static_cast<char>(message.ByteSizeLong() >> 8U) +
                           static_cast<char>(message.ByteSizeLong() & 255U) +
                           message.SerializeAsString());
  }
}

/// The messages that a reader makes of `bytes` in pieces of `piece` bytes.
std::vector<std::string> read_in_pieces(std::string_view bytes, std::size_t piece,
                                        transport::Coding compression) {
  MessageReader reader(1000, 1000, nullptr);
  reader.set_compression(compression);
  std::vector<std::string> found;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    EXPECT_TRUE(reader.feed(bytes.substr(at, piece), [&](std::string_view one) {
      found.emplace_back(one);
      return true;
    }));
  }
  EXPECT_FALSE(reader.begun());
  return found;
}

TEST(Framing, IsReadInPiecesOfAnySize) {
  for (const transport::Coding compression :
       {transport::Coding::kIdentity, transport::Coding::kGzip, transport::Coding::kDeflate}) {
    std::string bytes;
    std::vector<std::string> messages;
    BytesValue message;
    for (const std::size_t size : {0, 1, 3, 200, 0, 900}) {
      message.set_value(std::string(size, 'x'));
      messages.push_back(message.SerializeAsString());
      bytes += *frame(message, compression);
    }
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
      ASSERT_EQ(read_in_pieces(bytes, piece, compression), messages) << piece;
    }
  }
}

TEST(Framing, TellsWhichMessagesCameCompressed) {
  BytesValue message;
  message.set_value("text");
  MessageReader reader(1000, 1000, nullptr);
  reader.set_compression(transport::Coding::kGzip);
  std::vector<bool> found;
  ASSERT_TRUE(
      reader.feed(*frame(message) + *frame(message, transport::Coding::kGzip) + *frame(message),
                  [&](std::string_view) {
                    found.push_back(reader.compressed());
                    return true;
                  }));
  EXPECT_THAT(found, testing::ElementsAre(false, true, false));
}

TEST(Framing, WhatWaitsForItsTakerIsCounted) {
  const std::string one = "\0\0\0\3\350"s + std::string(1000, 'x');
  std::string bytes;
  for (int i = 0; i < 10; ++i) {
    bytes += one;
  }
  MemoryBudget budget;
  {
    MessageReader reader(2000, 2000, &budget);
    bool pauses = true;
    const auto take = [&](std::string_view) { return !pauses; };
    ASSERT_TRUE(reader.feed(bytes, take));
    EXPECT_GE(budget.used(MemoryUse::kBodies), 8 * one.size());
    pauses = false;
    ASSERT_TRUE(reader.resume(take));
    EXPECT_EQ(budget.used(MemoryUse::kBodies), 0U);
    pauses = true;
    ASSERT_TRUE(reader.feed(bytes, take));
    EXPECT_GT(budget.used(MemoryUse::kBodies), 0U);
  }
  EXPECT_EQ(budget.used(MemoryUse::kBodies), 0U);
  MemoryBudget small(2000);
  MessageReader reader(2000, 2000, &small);
  const auto refused = reader.feed(bytes, [](std::string_view) { return false; });
  ASSERT_FALSE(refused);
  EXPECT_FALSE(refused.error().message.empty());
}

}  // namespace
}  // namespace podsense::grpc
