#include "inference/saved_profiles.h"

#include "inference/backends_testing.h"
#include "inference/test_fixture.h"

namespace podsense::inference {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;
using testing::HasSubstr;

const ProfileKey kKey{.model = "tabular-1",
                      .content = "c0ffee",
                      .cpu = "feed",
                      .runtime = "1.31.1",
                      .plan = "cores 2, threads auto"};
const SavedProfile kSaved{.threads = 2, .profile = {{1, microseconds(10)}, {2, microseconds(12)}}};

TEST(SavedProfileText, ReadsBackWhatItWrote) {
  const auto back = read_profile(write_profile(kKey, kSaved), kKey);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->threads, 2U);
  ASSERT_EQ(back->profile.size(), 2U);
  EXPECT_EQ(back->profile[1].rows, 2U);
  EXPECT_EQ(back->profile[1].time, microseconds(12));
}

TEST(SavedProfileText, SaysWhatItWasMeasuredWith) {
  const std::string text = write_profile(kKey, kSaved);
  for (const auto part : {&ProfileKey::model, &ProfileKey::content, &ProfileKey::cpu,
                          &ProfileKey::runtime, &ProfileKey::plan}) {
    ProfileKey other = kKey;
    other.*part = "other";
    const auto refused = read_profile(text, other);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr(kKey.*part + "', now it is 'other'"));
  }
}

TEST(SavedProfileText, SaysThatAnotherVersionWroteIt) {
  std::string text = write_profile(kKey, kSaved);
  text.replace(0, text.find('\n'), "podsense profile 1");
  EXPECT_EQ(read_profile(text, kKey).error().message, "another version of PodSense has written it");
}

TEST(SavedProfileFiles, WhatIsNotUsedIsOneLineWithPathAndReason) {
  const TempFolder folder;
  const SavedProfiles profiles(folder.path());
  EXPECT_FALSE(profiles.read(kKey).value());
  profiles.keep(kKey, kSaved);
  EXPECT_EQ(profiles.read(kKey).value()->file, (folder / "tabular-1.podsense-profile").string());
  ProfileKey other = kKey;
  other.runtime = "1.32";
  testing::internal::CaptureStdout();
  EXPECT_FALSE(profiles.find(other));
  const std::string line = testing::internal::GetCapturedStdout();
  EXPECT_THAT(line, HasSubstr("\"event\":\"profile_refused\""));
  EXPECT_THAT(line, HasSubstr((folder / "tabular-1.podsense-profile").string()));
  EXPECT_THAT(line, HasSubstr("it was measured with runtime '1.31.1', now it is '1.32'"));
}

TEST(SavedProfileFiles, AFolderThatCannotBeWrittenIsToldOnce) {
  const TempFolder folder;
  folder.write("file", "x");
  const SavedProfiles profiles(folder / "file" / "cache");
  testing::internal::CaptureStdout();
  profiles.keep(kKey, kSaved);
  profiles.keep(kKey, kSaved);
  const std::string lines = testing::internal::GetCapturedStdout();
  EXPECT_EQ(std::ranges::count(lines, '\n'), 1) << lines;
  EXPECT_THAT(lines, HasSubstr("\"event\":\"model_cache_unwritable\""));
  EXPECT_THAT(lines, HasSubstr((folder / "file" / "cache").string()));
}

TEST(SavedProfileText, RefusesEveryTornOrChangedByte) {
  const std::string text = write_profile(kKey, kSaved);
  for (std::size_t i = 0; i < text.size(); ++i) {
    EXPECT_FALSE(read_profile(std::string_view(text).substr(0, i), kKey)) << "cut at " << i;
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(read_profile(changed, kKey)) << "changed at " << i;
  }
}

TEST(SavedProfileText, RefusesWhatNoMeasurementGives) {
  for (const SavedProfile& wrong :
       {SavedProfile{.threads = 0, .profile = kSaved.profile}, SavedProfile{.threads = 1},
        SavedProfile{.profile = {{2, microseconds(1)}}},
        SavedProfile{.profile = {{1, microseconds(1)}, {1, microseconds(1)}}},
        SavedProfile{.profile = {{1, microseconds(1)}, {64, microseconds(1)}}},
        SavedProfile{.profile = {{1, microseconds(-1)}}},
        SavedProfile{.profile = {{1, std::chrono::hours(1)}}}}) {
    EXPECT_FALSE(read_profile(write_profile(kKey, wrong), kKey));
  }
}

class SavedProfilesTest : public InferenceTest {
 protected:
  void SetUp() override {
    InferenceTest::SetUp();
    write("tabular/model.yaml", kOneRun);
    cache_ = folder_ / "cache";
  }
  void TearDown() override {
    fs::permissions(cache_, fs::perms::owner_all, ignored_);  // or the folder cannot be removed
    InferenceTest::TearDown();
  }
  /// A start of the server: the profile of the model "tabular", and where it came from.
  std::shared_ptr<const ServedModel> start() {
    service_.reset();
    catalog_.reset();
    scheduler_.reset();
    backends_ = test_backends({.cache_dir = cache_});
    scheduler_.emplace(batching::Scheduler::Options{.executors = executors_}, clock_);
    catalog_.emplace(
        CatalogOptions{.repository = {.root = root_}, .serve = serve_, .profile_dir = cache_},
        *backends_, *scheduler_, registry_, clock_);
    reload();
    return catalog_->find({.name = "tabular"}).value();
  }
  [[nodiscard]] fs::path file() const { return cache_ / "tabular-1.podsense-profile"; }
  [[nodiscard]] std::string text() const {
    std::ifstream in(file());
    return {std::istreambuf_iterator<char>(in), {}};
  }

  /// One run has nothing to compare: what was saved holds however busy this machine is.
  static constexpr const char* kOneRun = "warmup: {runs: 1}\n";
  fs::path cache_;
  unsigned executors_ = 2;
  std::error_code ignored_;
};

TEST_F(SavedProfilesTest, ASecondStartMeasuresNothing) {
  const auto first = start()->profile;
  const auto second = start();
  EXPECT_TRUE(second->profile_saved);
  ASSERT_EQ(second->profile.size(), first.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(second->profile[i].rows, first[i].rows);
    EXPECT_EQ(second->profile[i].time, first[i].time);
  }
  EXPECT_THAT(second->plan_facts(), testing::Contains(testing::Pair("profile", "saved")));
  EXPECT_THAT(registry_.expose(), HasSubstr("profile=\"saved\""));
}

TEST_F(SavedProfilesTest, ADamagedFileIsReplaced) {
  start();
  std::ofstream(file()) << "podsense profile 1\nnonsense";
  EXPECT_FALSE(start()->profile_saved);
  EXPECT_TRUE(start()->profile_saved);
}

TEST_F(SavedProfilesTest, AnotherModelOfThatNameIsMeasuredAnew) {
  start();
  const std::string before = text();
  put_model("tabular", 1, "tabular_no_label.onnx");
  EXPECT_FALSE(start()->profile_saved);
  EXPECT_NE(text(), before);
}

TEST_F(SavedProfilesTest, OtherCoresOrBatchesAreMeasuredAnew) {
  start();
  executors_ = 1;
  EXPECT_FALSE(start()->profile_saved);
  EXPECT_TRUE(start()->profile_saved);
  write("tabular/model.yaml", std::string(kOneRun) + "batching: {max_batch: 4}\n");
  EXPECT_FALSE(start()->profile_saved);
}

TEST_F(SavedProfilesTest, NoFolderAndOneThatCannotBeWrittenCostTheMeasurementAlone) {
  cache_ = "";
  EXPECT_FALSE(start()->profile_saved);
  cache_ = root_ / "tabular" / "1" / "model.onnx" / "cache";
  EXPECT_FALSE(start()->profile_saved);
  EXPECT_FALSE(start()->profile_saved);
  cache_ = "";
}

TEST_F(SavedProfilesTest, ASingleInstanceTriesAllCoresAndOthersDoNot) {
  write("tabular/model.yaml", std::string(kOneRun) + "instances: 1\nthreads: 2\n");
  EXPECT_EQ(start()->model->threads(), 2U) << "what the manifest says is not questioned";
  EXPECT_TRUE(start()->profile_saved);
  write("tabular/model.yaml", "instances: 2\n");
  EXPECT_EQ(start()->model->threads(), 1U);
}

}  // namespace
}  // namespace podsense::inference
