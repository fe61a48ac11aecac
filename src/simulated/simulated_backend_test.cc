#include "simulated/simulated_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <array>
#include <cstring>
#include <limits>

namespace podsense::simulated {
namespace {

using ::testing::HasSubstr;

class SimulatedTest : public ::testing::Test {
 protected:
  static model::Candidate candidate() {
    model::Candidate out{.name = "busy", .version = 3};
    out.manifest.without_file = true;
    out.manifest.simulated_cpu = std::chrono::milliseconds(3);
    return out;
  }

  Result<double> burn(double ms) {
    static constexpr std::array<std::int64_t, 1> kOne{1};
    const model::TensorView input{
        .type = DataType::kFp64, .shape = kOne, .data = std::as_bytes(std::span(&ms, 1))};
    model::Outputs outputs;
    if (auto run = model_->run({&input, 1}, outputs); !run) {
      return fail(run.error());
    }
    double burned = 0;
    std::memcpy(&burned, outputs[0].data.data(), sizeof(burned));
    return burned;
  }

  model::Candidate candidate_ = candidate();
  std::unique_ptr<model::Backend> backend_ = make_backend();
  std::shared_ptr<const model::Model> model_ = backend_->load(candidate_).value();
};

TEST_F(SimulatedTest, IsAModelWithoutAFile) {
  EXPECT_EQ(model_->name(), "busy");
  EXPECT_EQ(model_->version(), 3U);
  EXPECT_EQ(model_->file_bytes(), 0U);
  EXPECT_EQ(model_->known_run_time(), std::chrono::milliseconds(3));
  candidate_.manifest.without_file = false;
  EXPECT_FALSE(backend_->accepts(candidate_));
  EXPECT_THAT(backend_->load(candidate_).error().message, HasSubstr("task: simulated"));
}

TEST_F(SimulatedTest, SpendsWhatItWasGiven) {
  for (const double ms : {0.0, 1.0, 5.0, 25.0}) {
    timespec before{};
    timespec after{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    const double burned = burn(ms).value();
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    const double seen = static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 +
                        static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6;
    EXPECT_GE(burned, ms);
    EXPECT_GE(seen, burned);
  }
}

TEST_F(SimulatedTest, RefusesWhatIsNoTime) {
  for (const double ms : {-0.001, 60'000.1, std::numeric_limits<double>::infinity(),
                          std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT(burn(ms).error().message, HasSubstr("from 0 to 60000")) << ms;
  }
}

}  // namespace
}  // namespace podsense::simulated
