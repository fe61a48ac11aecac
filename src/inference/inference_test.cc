#include "base/source_dir_testing.h"
#include "inference/control.h"
#include "inference/tasks/cpu_time.h"
#include "inference/tasks/registry.h"
#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(InferenceTest, PredictsRowsInline) {
  open();
  EXPECT_THAT(reload().loaded, testing::ElementsAre("simulated/1", "tabular/1"));
  const auto answer = predict(20);
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_EQ(answer->rows.size(), 1U);
  const auto& row = answer->rows[0];
  ASSERT_EQ(row.probabilities.size(), 2U);
  EXPECT_NEAR(row.probabilities[0] + row.probabilities[1], 1.0, 1e-5);
  EXPECT_EQ(row.prediction, row.probabilities[1] > row.probabilities[0] ? 1 : 0);
  EXPECT_EQ(answer->model, "tabular");
  EXPECT_EQ(answer->version, "1");
  EXPECT_TRUE(answer->timing.compute);
}

TEST_F(InferenceTest, TheMetricsNameWhatIsLoaded) {
  open();
  reload();
  EXPECT_THAT(registry_.expose(), HasSubstr(R"(podsense_model_info{model="tabular",version="1",)"
                                            R"(task="tabular-classification",plan="inline"} 1)"));
}

TEST_F(InferenceTest, NamesHowManyFeaturesTheModelTakes) {
  open();
  reload();
  const auto answer = predict(19);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message, "model 'tabular' takes 20 features; got 19");
}

TEST_F(InferenceTest, SimulatesThroughTheQueueAndBurnsWhatWasAsked) {
  open();
  reload();
  const auto asked = simulate(milliseconds(5));
  ASSERT_TRUE(asked);
  EXPECT_GE(asked->cpu, milliseconds(5));
  EXPECT_TRUE(asked->timing.queue);
  EXPECT_GE(simulate(std::nullopt)->cpu, milliseconds(2));
}

/// A request that came a second ago and whose client left `after` its arrival.
class DepartureTest : public InferenceTest {
 protected:
  Context left(Duration after) {
    open();
    reload();
    Context gone = context();
    gone.received -= seconds(1);
    const auto departure = std::make_shared<Departure>();
    departure->leave(gone.received + after);
    departure->leave(gone.received + seconds(1));  // the first time counts
    gone.departure = departure;
    return gone;
  }
  void ask(const Context& context) {
    std::promise<void> ended;
    service_->simulate({.cpu = milliseconds(1)}, context,
                       [&ended](const auto&) { ended.set_value(); });
    ended.get_future().wait();
  }
  void expect_counted(int cancelled, int abandoned, int expired = 0) {
    const std::string text = registry_.expose();
    const auto counted = [&text](const std::string& name, const std::string& labels, int times) {
      EXPECT_THAT(text, HasSubstr(name + "{" + labels + "} " + std::to_string(times) + "\n"));
    };
    const std::string model = R"(,model="simulated",protocol="http",version="1")";
    counted("podsense_requests_total", R"(code="CANCELLED")" + model, cancelled);
    counted("podsense_requests_total", R"(code="OK")" + model, 0);
    const auto slow = [&](const std::string& outcome, int times) {
      counted("podsense_slow_requests_total",
              R"(model="simulated",outcome=")" + outcome + R"(",version="1")", times);
    };
    slow("abandoned", abandoned);
    slow("expired", expired);
  }
};

TEST_F(DepartureTest, AnAnswerThatNobodyWaitsForAnyMoreIsNoSuccess) {
  ask(left(milliseconds(400)));
  expect_counted(/*cancelled=*/1, /*abandoned=*/1);
}

TEST_F(DepartureTest, WhoLeftWithinTheObjectiveIsNoFaultHoweverLateItIsNoticed) {
  ask(left(milliseconds(200)));
  expect_counted(/*cancelled=*/1, /*abandoned=*/0);
}

TEST_F(DepartureTest, WhoLeftBeforeTheDeadlineDidNotWaitForIt) {
  const Context context = left(milliseconds(200));
  const auto served = catalog_->find({.name = "simulated"}, Form::kCpuTime);
  ASSERT_TRUE(served);
  CpuTimeTask task(*served, context, milliseconds(1), [](const auto&) {});
  task.answer_at_deadline()();
  expect_counted(/*cancelled=*/1, /*abandoned=*/0, /*expired=*/0);
}

TEST_F(InferenceTest, RefusesSimulatedWorkThatCannotMeetTheDeadline) {
  open();
  reload();
  EXPECT_EQ(simulate(std::chrono::seconds(60)).error().code, ErrorCode::kDeadlineExceeded);
}

TEST_F(InferenceTest, NamesTheModelsThereAre) {
  open();
  reload();
  const auto missing = catalog_->find({.name = "tabula"}, Form::kRows);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message, "no model 'tabula' is served; there are: simulated, tabular");
  const auto version = catalog_->find({.name = "tabular", .version = "7"}, Form::kRows);
  EXPECT_THAT(version.error().message, HasSubstr("no version '7'"));
  const auto task = catalog_->find({.name = "simulated"}, Form::kRows);
  EXPECT_EQ(task.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(InferenceTest, ThePreferredModelIsTheDefaultOfItsTask) {
  put_model("another", 1, "tabular.onnx");
  open();
  reload();
  EXPECT_EQ(catalog_->default_model(*find_task("tabular-classification")), "another");
  Catalog preferring({.repository = {.root = root_}, .preferred_model = "tabular"}, *backends_,
                     *scheduler_, registry_, clock_);
  ASSERT_TRUE(preferring.reload());
  EXPECT_EQ(preferring.default_model(*find_task("tabular-classification")), "tabular");
  EXPECT_EQ(preferring.default_model(*find_task("simulated")), "simulated");
}

TEST_F(InferenceTest, IsUnavailableBeforeTheFirstLoad) {
  open();
  EXPECT_FALSE(catalog_->started());
  EXPECT_FALSE(catalog_->ready());
  EXPECT_EQ(predict(20).error().code, ErrorCode::kUnavailable);
}

TEST_F(InferenceTest, ANewVersionTakesOver) {
  open();
  reload();
  put_model("tabular", 2, "tabular.onnx");
  const auto report = reload();
  EXPECT_THAT(report.loaded, testing::ElementsAre("tabular/2"));
  EXPECT_THAT(report.retired, testing::ElementsAre("tabular/1"));
  EXPECT_EQ(predict(20)->version, "2");
  EXPECT_THAT(reload().loaded, IsEmpty());
}

TEST_F(InferenceTest, ABrokenVersionIsRefusedAndTheOldGoesOn) {
  open();
  reload();
  write("tabular/2/model.onnx", "this is no model");
  const auto report = reload();
  EXPECT_THAT(report.refused, testing::ElementsAre(HasSubstr("tabular/2: ")));
  EXPECT_EQ(predict(20)->version, "1");
  EXPECT_TRUE(catalog_->ready());
  EXPECT_THAT(catalog_->problems(), testing::ElementsAre(HasSubstr("tabular/2")));
  put_model("tabular", 2, "tabular.onnx");
  reload();
  EXPECT_EQ(predict(20)->version, "2");
  EXPECT_THAT(catalog_->problems(), IsEmpty());
}

TEST_F(InferenceTest, WhereTheNewestVersionCannotBeLoadedTheNewestThatCanServes) {
  put_model("tabular", 2, "tabular.onnx");
  write("tabular/3/model.onnx", "this is no model");
  write("tabular/4/model.onnx", "this is no model");
  open();
  const auto report = reload();
  EXPECT_THAT(report.loaded, testing::UnorderedElementsAre("simulated/1", "tabular/2"));
  EXPECT_EQ(predict(20)->version, "2") << "as on a server that was there before";
  EXPECT_THAT(catalog_->problems(),
              testing::ElementsAre(HasSubstr("tabular/4: "), HasSubstr("tabular/3: ")));
}

TEST_F(InferenceTest, IsReadyWhileOneModelServesUnlessReadinessIsStrict) {
  write("broken/1/model.onnx", "this is no model");
  open();
  reload();
  EXPECT_TRUE(catalog_->started());
  EXPECT_TRUE(catalog_->ready());
  EXPECT_TRUE(predict(20));
  const auto broken = catalog_->find({.name = "broken"});
  EXPECT_EQ(broken.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(broken.error().message, HasSubstr("'broken/1' cannot be served: "));
  Catalog strict({.repository = {.root = root_}, .strict_readiness = true}, *backends_, *scheduler_,
                 registry_, clock_);
  ASSERT_TRUE(strict.reload());
  EXPECT_FALSE(strict.ready());
}

TEST_F(InferenceTest, AFailedDefaultIsUnavailableAndAnUnknownOneIsAWrongSetting) {
  write("broken/1/model.onnx", "this is no model");
  open();
  const auto with_default = [this](const std::string& name) {
    return std::make_unique<Catalog>(CatalogOptions{.repository = {.root = root_},
                                                    .defaults = {{"tabular-classification", name}}},
                                     *backends_, *scheduler_, registry_, clock_);
  };
  const auto failed = with_default("broken");
  EXPECT_TRUE(failed->check_start());
  ASSERT_TRUE(failed->reload());
  EXPECT_TRUE(failed->ready());
  EXPECT_EQ(failed->find({}, Form::kRows).error().code, ErrorCode::kUnavailable);
  const auto unknown = with_default("nosuch")->check_start();
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(unknown.error().message, HasSubstr("'nosuch'"));
  EXPECT_THAT(unknown.error().message, HasSubstr("there are: broken, simulated, tabular"));
}

TEST_F(InferenceTest, WithoutAnythingToServeItStartsOnlyWherePollsMayBringSomething) {
  open();
  for (const bool polls : {false, true}) {
    Catalog empty({.repository = {.root = folder_ / "nowhere"}, .polls = polls}, *backends_,
                  *scheduler_, registry_, clock_);
    EXPECT_EQ(empty.check_start().has_value(), polls);
  }
}

TEST_F(InferenceTest, ARemovedModelIsGoneAndItsRequestsEndWell) {
  open();
  reload();
  auto held = catalog_->find({}, Form::kCpuTime).value();
  fs::remove_all(root_ / "simulated");
  EXPECT_THAT(reload().retired, testing::ElementsAre("simulated/1"));
  Control control({}, *catalog_, clock_);
  ASSERT_TRUE(control.start());  // only now: its own first load would have reported the removal
  EXPECT_EQ(simulate(milliseconds(1)).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(held->name(), "simulated");  // those who hold it may go on
}

TEST_F(InferenceTest, AnUnreadableRepositoryKeepsWhatServes) {
  open();
  reload();
  fs::rename(root_, root_.string() + ".away");
  EXPECT_EQ(catalog_->reload().error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(predict(20));
  fs::rename(root_.string() + ".away", root_);
}

TEST_F(InferenceTest, RefusesWhatIsNoPictureBeforeItTakesAPlaceInTheQueue) {
  put_model("picture", 1, "conv_softmax.onnx");
  write("picture/model.yaml", "task: image-classification\npreprocess: {width: 8, height: 8}\n");
  open();
  const auto report = reload();
  ASSERT_THAT(report.refused, IsEmpty());
  std::promise<Result<protocol::ClassifyAnswer>> promise;
  service_->classify({.image = "BM no picture"}, context(),
                     [&](auto result) { promise.set_value(std::move(result)); });
  const auto answer = promise.get_future().get();
  EXPECT_EQ(answer.error().code, ErrorCode::kUnsupportedMedia);
}

TEST_F(InferenceTest, CountsADecodedPictureAsTheInputOfItsRun) {
  put_model("picture", 1, "conv_softmax.onnx");
  write("picture/model.yaml", "task: image-classification\npreprocess: {width: 8, height: 8}\n");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  std::ifstream file(source_dir() / "src/image/testdata/jpeg_420.jpg", std::ios::binary);
  const std::string picture{std::istreambuf_iterator<char>(file), {}};
  std::promise<Result<protocol::ClassifyAnswer>> promise;
  service_->classify({.image = picture}, context(),
                     [&](auto result) { promise.set_value(std::move(result)); });
  const auto answer = promise.get_future().get();
  ASSERT_TRUE(answer) << answer.error().message;
  const auto batches = catalog_->find({.name = "picture"}).value()->statistics().batches;
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].size, 1U);
  EXPECT_EQ(batches[0].runs, 1U);
  EXPECT_EQ(batches[0].compute_input, answer->timing.preprocess);
  EXPECT_EQ(batches[0].compute_infer, answer->timing.compute);
}

TEST_F(InferenceTest, TellsOnceWhoWaitsForTheFirstLoad) {
  open();
  int told = 0;
  const auto wait = [&] {
    std::move_only_function<void()> tell = [&] { ++told; };
    return catalog_->when_started(tell);
  };
  for (int i = 0; i < 64; ++i) {
    EXPECT_TRUE(wait());
  }
  EXPECT_FALSE(wait()) << "so many may wait";
  EXPECT_EQ(told, 0);
  reload();
  EXPECT_EQ(told, 64);
  EXPECT_TRUE(wait());
  EXPECT_EQ(told, 65) << "it has ended before";
  reload();
  EXPECT_EQ(told, 65);
}

TEST_F(InferenceTest, WhoWaitsForTheFirstLoadIsToldAtTheEnd) {
  open();
  bool started = true;
  std::move_only_function<void()> look = [&] { started = catalog_->started(); };
  EXPECT_TRUE(catalog_->when_started(look));
  catalog_->stop_trials();
  EXPECT_FALSE(started);
  int told = 0;
  std::move_only_function<void()> count = [&] { ++told; };
  EXPECT_TRUE(catalog_->when_started(count));
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace podsense::inference
