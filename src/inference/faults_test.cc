#include "inference/faults.h"

#include <thread>

#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

TEST(Faults, OfAModelStandBeforeThoseOfAll) {
  Faults faults;
  EXPECT_FALSE(faults.hits("a"));
  faults.set({.unready = true, .models = {{"", {.fail = true}}, {"b", {}}}});
  EXPECT_TRUE(faults.unready());
  EXPECT_TRUE(faults.hits("a"));
  EXPECT_FALSE(faults.hits("b"));
  EXPECT_EQ(faults.before_run("a")->code, ErrorCode::kInternal);
  EXPECT_EQ(faults.before_run("b"), std::nullopt);
}

TEST(Faults, AStuckRunGoesOnWhenTheFaultIsTakenBack) {
  Faults faults;
  faults.set({.models = {{"a", {.stuck = true}}}});
  std::promise<bool> ended;
  std::jthread run([&] { ended.set_value(!faults.before_run("a")); });
  auto future = ended.get_future();
  EXPECT_EQ(future.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  faults.set({});
  EXPECT_TRUE(future.get());
}

TEST_F(InferenceTest, AFailingModelFailsAndOthersDoNot) {
  Faults faults;
  serve_.faults = &faults;
  open();
  reload();
  EXPECT_TRUE(predict(20));
  faults.set({.models = {{"tabular", {.fail = true}}}});
  EXPECT_EQ(predict(20).error().code, ErrorCode::kInternal);
  EXPECT_TRUE(simulate(std::chrono::milliseconds(1)));
  faults.set({});
  EXPECT_TRUE(predict(20));
}

}  // namespace
}  // namespace podsense::inference
