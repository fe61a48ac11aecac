#include "inference/row_check.h"

#include "base/source_dir_testing.h"
#include "inference/backends_testing.h"
#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

using testing::HasSubstr;

class RowCheck : public testing::Test {
 protected:
  Result<void> check(const std::string& file) {
    auto backends = test_backends();
    const auto path = source_dir() / "src/model/testdata/tiny" / (file + ".onnx");
    const auto model =
        backends->load({.name = file, .version = 1, .folder = path.parent_path(), .file = path});
    EXPECT_TRUE(model) << model.error().message;
    return check_rows(**model, clock_, Deadline::after(clock_.now(), std::chrono::minutes(2)));
  }
  SteadyClock clock_;
};

TEST_F(RowCheck, AcceptsModelsThatKeepRowsApart) {
  for (const char* name :
       {"apart_mlp", "apart_normalised", "apart_attention", "apart_embedding", "apart_convolution",
        "apart_recurrent", "apart_mask", "apart_two_inputs", "tabular", "conv_softmax", "strings",
        "image_u8_nhwc", "int64_double", "conv_open_size"}) {
    const auto checked = check(name);
    EXPECT_TRUE(checked) << name << ": " << checked.error().message;
  }
}

TEST_F(RowCheck, SeesModelsThatMixRows) {
  for (const char* name :
       {"mixes_softmax", "mixes_softmax_negative_axis", "mixes_centred", "mixes_count_of_rows",
        "mixes_positions", "mixes_reversed", "mixes_running_sum", "mixes_top", "mixes_similarity",
        "mixes_flattened", "mixes_quantised", "mixes_batch_statistics", "mixes_by_column",
        "mixes_twice_the_rows", "mixes_nonzero"}) {
    EXPECT_FALSE(check(name)) << name;
  }
}

TEST_F(RowCheck, SaysThatRandomRowsAreRefused) {
  const auto checked = check("gather_fail");
  ASSERT_TRUE(checked || checked.error().message.contains("refuses")) << checked.error().message;
}

TEST_F(RowCheck, EndsAtItsLimit) {
  auto backends = test_backends();
  const auto path = source_dir() / "src/model/testdata/tiny/add_one.onnx";
  const auto model =
      backends->load({.name = "a", .version = 1, .folder = path.parent_path(), .file = path});
  const auto checked = check_rows(**model, clock_, Deadline::after(clock_.now(), Duration::zero()));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace podsense::inference
