#include "inference/tasks/detections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace podsense::inference {
namespace {

using protocol::Box;
using testing::FieldsAre;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Detections, FourNumbersAreABoxInEveryForm) {
  const Size pixels{.width = 1, .height = 1};
  const auto wanted = FieldsAre(10, 20, 30, 60);
  EXPECT_THAT(to_box(std::vector<float>{10, 20, 30, 60}, BoxForm::kXyxy, pixels), wanted);
  EXPECT_THAT(to_box(std::vector<float>{20, 10, 60, 30}, BoxForm::kYxyx, pixels), wanted);
  EXPECT_THAT(to_box(std::vector<float>{10, 20, 20, 40}, BoxForm::kXywh, pixels), wanted);
  EXPECT_THAT(to_box(std::vector<float>{20, 40, 20, 40}, BoxForm::kCxcywh, pixels), wanted);
  EXPECT_THAT(
      to_box(std::vector<float>{0.5F, 0.25F, 1, 0.5F}, BoxForm::kXyxy, {.width = 20, .height = 40}),
      FieldsAre(10, 10, 20, 20));
}

TEST(Detections, TheBestClassCountsFromTheFirstOnAndNanIsNoFind) {
  std::vector<Detection> found;
  const std::vector<float> scores{0.9F, 0.2F, 0.6F, 0.6F};
  take_best({}, scores, 1, {.score = 0.5F, .first_class = 1}, found);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].index, 2U);
  take_best({}, scores, 0.5F, {.score = 0.5F, .first_class = 1}, found);
  take_best({}, std::vector<float>{kNan}, 1, {}, found);
  take_best({}, scores, 1, {.first_class = 4}, found);
  EXPECT_EQ(found.size(), 1U);
}

TEST(Detections, OverlapIsIntersectionOverUnion) {
  EXPECT_FLOAT_EQ(overlap({0, 0, 2, 2}, {1, 0, 3, 2}), 2.0F / 6);
  EXPECT_EQ(overlap({0, 0, 1, 1}, {1, 1, 2, 2}), 0);
  EXPECT_EQ(overlap({}, {}), 0);
}

TEST(Detections, OfBoxesOfOneClassThatOverlapTheBestIsKept) {
  const Box here{0, 0, 10, 10};
  const Box nearly{0, 1, 10, 10};
  std::vector<Detection> found{{.box = nearly, .score = 0.5F, .index = 1},
                               {.box = here, .score = 0.9F, .index = 1},
                               {.box = nearly, .score = 0.4F, .index = 2},
                               {.box = {kNan, 0, 1, 1}, .score = 1, .index = 1},
                               {.box = {20, 0, 30, 10}, .score = 0.3F, .index = 1}};
  auto all = found;
  suppress(all, 1, 10);
  EXPECT_EQ(all.size(), 4U);
  suppress(found, 0.45F, 10);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].score, 0.9F);
  EXPECT_EQ(found[1].index, 2U);
  EXPECT_EQ(found[2].box.x_min, 20);
  suppress(found, 0.45F, 2);
  EXPECT_EQ(found.size(), 2U);
}

TEST(Detections, AGridGoesRowByRowFromSmallCellsToLargeOnes) {
  EXPECT_EQ(grid_cells(416, 416).size(), 3549U);
  const auto cells = grid_cells(64, 32);
  ASSERT_EQ(cells.size(), 8U * 4 + 4 * 2 + 2 * 1);
  EXPECT_THAT(cells[9], FieldsAre(1, 1, 8));
  EXPECT_THAT(cells.back(), FieldsAre(1, 0, 32));
}

TEST(Detections, BoxesAreCutAtThePicturesEdges) {
  const image::Geometry geometry{
      .width = 100, .height = 50, .left = -10, .top = 0, .scale_x = 2, .scale_y = 1};
  EXPECT_THAT(in_picture({1, -5, 20, 60}, geometry), FieldsAre(0, 0, 30, 50));
}

}  // namespace
}  // namespace podsense::inference
