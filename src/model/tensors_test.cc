#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "model/model.h"

namespace podsense::model {
namespace {

class Counted final : public Outputs::Owner {
 public:
  int cleared = 0;
  void clear() override { ++cleared; }
};
class Other final : public Outputs::Owner {
 public:
  void clear() override {}
  Result<void> read_texts(std::span<Outputs::Tensor>) override {
    return fail(ErrorCode::kInternal, "asked");
  }
};

TEST(Outputs, KeepTheirOwnerUntilAnotherBackendRuns) {
  Outputs outputs;
  auto& first = outputs.owner<Counted>();
  EXPECT_EQ(&outputs.owner<Counted>(), &first);
  outputs.resize(2);
  outputs.clear();
  EXPECT_EQ(first.cleared, 1);
  EXPECT_EQ(outputs.size(), 0U);
  outputs.resize(3);
  outputs.owner<Other>();
  EXPECT_EQ(outputs.size(), 0U) << "views of the former owner are gone with it";
}

TEST(Outputs, TextsAreReadByTheOwnerOfThisRun) {
  Outputs outputs;
  outputs.owner<Other>();
  outputs.resize(1);
  EXPECT_FALSE(outputs.read_texts());
  outputs.clear();
  outputs.resize(1);  // a run without an owner
  EXPECT_TRUE(outputs.read_texts());
}

TEST(Outputs, CopyWhatTheyShareWithAnInput) {
  const std::array<std::byte, 8> input{std::byte{1}, std::byte{2}, std::byte{3}};
  const std::array<std::byte, 4> own{std::byte{9}};
  Outputs outputs;
  const auto tensors = outputs.resize(3);
  tensors[0].data = input;
  tensors[1].data = own;
  tensors[2].data = std::span(input).last(2);
  const std::array<std::span<const std::byte>, 1> inputs{input};
  EXPECT_TRUE(outputs.copy_shared(inputs));
  EXPECT_NE(outputs[0].data.data(), input.data());
  EXPECT_TRUE(std::ranges::equal(outputs[0].data, input));
  EXPECT_EQ(outputs[1].data.data(), own.data());
  EXPECT_NE(outputs[2].data.data(), input.data() + 6);
  EXPECT_FALSE(outputs.copy_shared(inputs));
}

}  // namespace
}  // namespace podsense::model
