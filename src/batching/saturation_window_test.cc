#include "batching/saturation_window.h"

#include <gtest/gtest.h>

namespace podsense::batching {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A pod of one executor, sampled once a second, in which runs of `run` take `share` of the time.
class SaturationWindowTest : public testing::Test {
 protected:
  SaturationWindowTest() { window_.add(sample_); }
  void pass(Duration time, Duration run, double share, double crowded_out = 0) {
    for (Duration passed{}; passed < time; passed += seconds(1)) {
      sample_.at += seconds(1);
      sample_.runs.busy_seconds += share;
      sample_.crowded_out += crowded_out;
      due_ += share;
      while (due_ + 1e-9 >= to_seconds(run)) {
        due_ -= to_seconds(run);
        ++sample_.runs.count;
        sample_.runs.seconds += to_seconds(run);
        sample_.runs.square_seconds += to_seconds(run) * to_seconds(run);
      }
      window_.add(sample_);
    }
  }
  [[nodiscard]] double saturation() const { return window_.saturation({}); }

  double due_ = 0;
  SaturationSample sample_{.at = TimePoint(std::chrono::hours(1))};
  SaturationWindow window_{{.latency = seconds(10)}};  ///< so that u* is nearly 1
};

TEST_F(SaturationWindowTest, IsZeroWithoutSamplesAndWithOne) {
  EXPECT_EQ(SaturationWindow({}).saturation({}), 0);
  EXPECT_EQ(saturation(), 0);
}

TEST_F(SaturationWindowTest, LooksBackTenSecondsWhereRunsAreShort) {
  pass(seconds(60), milliseconds(20), 0.5);
  EXPECT_EQ(window_.length(), seconds(10));
  pass(seconds(10), milliseconds(20), 0.9);
  EXPECT_NEAR(saturation(), 0.9, 0.01);
}

TEST_F(SaturationWindowTest, LooksBackSixtyRunsWhereTheyAreLongAndTwoMinutesAtMost) {
  pass(seconds(120), seconds(1), 0.5);
  EXPECT_EQ(window_.length(), seconds(60));
  pass(seconds(240), seconds(5), 0.5);
  EXPECT_EQ(window_.length(), seconds(120));
}

TEST_F(SaturationWindowTest, ALongWindowIsSteadyWhereAShortOneIsNoise) {
  // A run of a second, then three of nothing, or four runs in a row and then a pause: the same
  // load.
  pass(seconds(240), seconds(1), 0.25);
  const double even = saturation();
  for (int i = 0; i < 15; ++i) {
    pass(seconds(4), seconds(1), 1);
    pass(seconds(12), seconds(1), 0);
    EXPECT_NEAR(saturation(), even, 0.08);
  }
}

TEST_F(SaturationWindowTest, CountsRunsUnderWay) {
  // A run of half a minute has not ended yet.
  pass(seconds(20), seconds(30), 1);
  EXPECT_NEAR(saturation(), 1, 0.01);
}

TEST_F(SaturationWindowTest, CountsWhatFoundNoRoomInTheWindowOnly) {
  pass(seconds(20), milliseconds(20), 1, 2);
  EXPECT_NEAR(saturation(), 3, 0.05);
  pass(seconds(10), milliseconds(20), 1);
  EXPECT_NEAR(saturation(), 1, 0.05);
}

}  // namespace
}  // namespace podsense::batching
