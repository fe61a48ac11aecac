#include "onnx/division_trap.h"

#include <limits>
#include <thread>
#include <vector>

#include "model/model_testing.h"
#include "onnx/onnx_backend.h"

namespace podsense::onnx {
namespace {

using model::Model;
using model::Outputs;
using model::TensorView;
using model::testing::bytes_of;
using model::testing::candidate;
using model::testing::values_of;

TEST(DivisionLength, KnowsEveryFormOfTheInstruction) {
  const std::vector<std::pair<std::vector<unsigned char>, unsigned>> cases{
      {{0xF7, 0xF9}, 2},                                      // idiv ecx
      {{0x48, 0xF7, 0xF9}, 3},                                // idiv rcx
      {{0x41, 0xF7, 0xF8}, 3},                                // idiv r8d
      {{0xF6, 0xF9}, 2},                                      // idiv cl
      {{0x66, 0xF7, 0xF9}, 3},                                // idiv cx
      {{0xF7, 0xF1}, 2},                                      // div ecx
      {{0xF7, 0x3E}, 2},                                      // idiv dword [rsi]
      {{0xF7, 0x7E, 0x04}, 3},                                // idiv dword [rsi+4]
      {{0xF7, 0xBE, 0x00, 0x01, 0x00, 0x00}, 6},              // idiv dword [rsi+256]
      {{0xF7, 0x3D, 0x00, 0x00, 0x00, 0x00}, 6},              // idiv dword [rip+0]
      {{0xF7, 0x3C, 0x8E}, 3},                                // idiv dword [rsi+rcx*4]
      {{0xF7, 0x7C, 0x8E, 0x08}, 4},                          // idiv dword [rsi+rcx*4+8]
      {{0xF7, 0x3C, 0x8D, 0x00, 0x00, 0x00, 0x00}, 7},        // idiv dword [rcx*4+0]
      {{0x48, 0xF7, 0xBC, 0x24, 0x80, 0x00, 0x00, 0x00}, 8},  // idiv qword [rsp+128]
      {{0xF7, 0xD9, 0x00}, 0},                                // neg ecx
      {{0x0F, 0x5E, 0xC1}, 0},                                // divps xmm0, xmm1
  };
  for (auto [code, length] : cases) {
    code.resize(16);
    EXPECT_EQ(division_length(code.data()), length) << ::testing::PrintToString(code);
  }
}

class Division : public ::testing::Test {
 protected:
  static Result<std::vector<std::int32_t>> divide(const Model& model, std::int32_t a,
                                                  std::int32_t b) {
    const std::vector<std::int64_t> shape{1};
    const std::vector<std::int32_t> left{a};
    const std::vector<std::int32_t> right{b};
    const std::vector<TensorView> inputs{{DataType::kInt32, shape, bytes_of(left)},
                                         {DataType::kInt32, shape, bytes_of(right)}};
    Outputs outputs;
    return model.run(inputs, outputs).map([&] { return values_of<std::int32_t>(outputs[0]); });
  }
  std::unique_ptr<model::Backend> runtime_ = std::move(*make_backend({}));
};

TEST_F(Division, WithoutAResultFailsThatRunAlone) {
  const auto model = *runtime_->load(candidate("divide_int32.onnx"));
  constexpr auto kLeast = std::numeric_limits<std::int32_t>::min();
  EXPECT_EQ(divide(*model, 7, -2), std::vector<std::int32_t>{-3});
  for (int i = 0; i < 3; ++i) {
    const auto failed = divide(*model, kLeast, -1);
#ifdef __x86_64__
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(failed.error().message, ::testing::HasSubstr("division"));
#endif
    EXPECT_FALSE(divide(*model, 1, 0));
    EXPECT_EQ(divide(*model, 9, 3), std::vector<std::int32_t>{3});
  }
}

TEST_F(Division, OfOneThreadIsNoFaultOfAnother) {
  const auto model = *runtime_->load(candidate("divide_int32.onnx"));
  std::jthread bad([&] {
    for (int i = 0; i < 200; ++i) {
      (void)divide(*model, std::numeric_limits<std::int32_t>::min(), -1);
    }
  });
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(divide(*model, 8, 2), std::vector<std::int32_t>{4});
  }
}

}  // namespace
}  // namespace podsense::onnx
