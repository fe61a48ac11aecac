#include "model/model_testing.h"
#include "model/repository.h"

namespace podsense::model {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::TempFolder;
using ::testing::UnorderedElementsAre;

class RepositoryTest : public ::testing::Test {
 protected:
  Listing list(std::string single = "model") {
    auto listing = scan({.root = root_.path(), .single_model_name = std::move(single)});
    EXPECT_TRUE(listing) << listing.error().message;
    return listing ? *listing : Listing{};
  }
  std::vector<std::string> served() {
    std::vector<std::string> out;
    for (const Candidate& c : list().candidates) {
      out.push_back(c.name + "/" + std::to_string(c.version));
    }
    return out;
  }
  /// "name/version: reason"
  std::vector<std::string> refused() {
    std::vector<std::string> out;
    for (const Refused& r : list().refused) {
      EXPECT_FALSE(r.fingerprint.empty());
      out.push_back(r.name + "/" + r.version + ": " + r.reason);
    }
    return out;
  }

  TempFolder root_;
};

TEST_F(RepositoryTest, ServesTheLatestVersionOfEachModel) {
  root_.write("b/2/model.onnx", "x");
  root_.write("b/10/model.onnx", "x");
  root_.write("a/1/model.onnx", "x");
  root_.write("README", "not a model");
  root_.write("a/labels.txt", "not a version");
  EXPECT_THAT(served(), ElementsAre("a/1", "b/10"));
  EXPECT_THAT(refused(), IsEmpty());
  const auto listing = list();
  EXPECT_EQ(listing.candidates[0].folder, root_ / "a/1");
  EXPECT_EQ(listing.candidates[0].file, root_ / "a/1/model.onnx");
}

TEST_F(RepositoryTest, PolicyChoosesVersions) {
  for (const char* version : {"1", "2", "3", "4"}) {
    root_.write(std::string("m/") + version + "/model.onnx", "x");
  }
  root_.write("m/model.yaml", "versions: {keep: 2}");
  EXPECT_THAT(served(), ElementsAre("m/3", "m/4"));
  root_.write("m/model.yaml", "versions: {policy: all}");
  EXPECT_THAT(served(), ElementsAre("m/1", "m/2", "m/3", "m/4"));
  root_.write("m/model.yaml", "versions: {policy: list, list: [1, 3, 9]}");
  EXPECT_THAT(served(), ElementsAre("m/1", "m/3"));
  EXPECT_THAT(
      refused(),
      ElementsAre("m/9: listed under 'versions' in model.yaml, but there is no such folder"));
}

TEST_F(RepositoryTest, ABrokenNewestVersionLeavesTheOneBefore) {
  root_.write("m/1/model.onnx", "x");
  root_.write("m/2/model.yaml", "threads: 1");
  EXPECT_THAT(served(), ElementsAre("m/1"));
  EXPECT_THAT(refused(), ElementsAre("m/2: no model.onnx in the version's folder"));
}

TEST_F(RepositoryTest, AVersionsManifestWins) {
  root_.write("m/1/model.onnx", "x");
  root_.write("m/2/model.onnx", "x");
  root_.write("m/model.yaml", "{versions: {policy: all}, threads: 2, instances: 5}");
  root_.write("m/2/model.yaml", "threads: 3");
  const auto listing = list();
  ASSERT_EQ(listing.candidates.size(), 2U);
  EXPECT_EQ(listing.candidates[0].manifest.threads, 2U);
  EXPECT_EQ(listing.candidates[1].manifest.threads, 3U);
  EXPECT_EQ(listing.candidates[1].manifest.instances, 5U);
}

TEST_F(RepositoryTest, KServesSingleModelTakesTheGivenName) {
  root_.write("model.onnx", "x");
  root_.write("model.yaml", "threads: 2");
  root_.write("weights/data.bin", "not a model's folder");
  const auto listing = list("resnet");
  ASSERT_EQ(listing.candidates.size(), 1U);
  EXPECT_EQ(listing.candidates[0].name, "resnet");
  EXPECT_EQ(listing.candidates[0].version, 1U);
  EXPECT_EQ(listing.candidates[0].manifest.threads, 2U);
  EXPECT_THAT(listing.refused, IsEmpty());
}

TEST_F(RepositoryTest, SimulatedModelsNeedNoFile) {
  root_.write("s/model.yaml", "{task: simulated, simulated: {cpu_ms: 5}}");
  root_.write("t/3/model.yaml", "task: simulated");
  const auto listing = list();
  ASSERT_EQ(listing.candidates.size(), 2U);
  EXPECT_EQ(listing.candidates[0].version, 1U);
  EXPECT_TRUE(listing.candidates[0].file.empty());
  EXPECT_EQ(listing.candidates[1].version, 3U);
  EXPECT_TRUE(listing.candidates[1].file.empty());
}

TEST_F(RepositoryTest, FollowsAKubernetesMount) {
  root_.write("..2026_01_01/m/1/model.onnx", "x");
  root_.write("..2026_01_01/m/model.yaml", "labels: labels.txt");
  root_.write("..2026_01_01/m/labels.txt", "a\nb\n");
  fs::create_symlink("..2026_01_01", root_ / "..data");
  fs::create_symlink("..data/m", root_ / "m");
  EXPECT_THAT(served(), ElementsAre("m/1"));
  EXPECT_EQ(list().candidates.at(0).manifest.labels.size(), 2U);

  const std::string before = list().candidates.at(0).fingerprint;
  root_.write("..2026_01_02/m/1/model.onnx", "xy");
  fs::remove(root_ / "..data");
  fs::create_symlink("..2026_01_02", root_ / "..data");
  EXPECT_NE(list().candidates.at(0).fingerprint, before);
}

TEST_F(RepositoryTest, LinksOutOfTheRepositoryAreRefused) {
  const TempFolder outside;
  outside.write("1/model.onnx", "x");
  outside.write("model.yaml", "threads: 1");
  fs::create_directory_symlink(outside.path(), root_ / "folder");
  fs::create_directories(root_ / "version");
  fs::create_directory_symlink(outside / "1", root_ / "version/1");
  fs::create_directories(root_ / "file/1");
  fs::create_symlink(outside / "1/model.onnx", root_ / "file/1/model.onnx");
  root_.write("manifest/1/model.onnx", "x");
  fs::create_symlink(outside / "model.yaml", root_ / "manifest/model.yaml");
  EXPECT_THAT(served(), IsEmpty());
  EXPECT_THAT(refused(),
              UnorderedElementsAre("folder/: a link that leaves the repository",
                                   "version/1: a link that leaves the repository",
                                   "file/1: model.onnx is a link that leaves the repository",
                                   "manifest/: model.yaml is a link that leaves the repository"));
}

TEST_F(RepositoryTest, SaysWhyAModelIsRefused) {
  fs::create_directories(root_ / "empty");
  fs::create_directories(root_ / "letters/one");
  fs::create_directories(root_ / "zero/0");
  fs::create_directories(root_ / "leading/01");
  fs::create_directories(root_ / "negative/-1");
  fs::create_directories(root_ / "huge/99999999999999999999");
  fs::create_directories(root_ / "no-file/1");
  fs::create_directories(root_ / "folder/1/model.onnx");
  root_.write("flat/model.onnx", "x");
  root_.write("bad/1/model.onnx", "x");
  root_.write("bad/model.yaml", "\nthread: 2");
  root_.write("bad-version/1/model.onnx", "x");
  root_.write("bad-version/1/model.yaml", "versions: {policy: all}");
  root_.write("both/1/model.onnx", "x");
  root_.write("both/model.yaml", "task: simulated");
  fs::create_directories(root_ / "a model");
  const std::string whole = "the version's folder is not a positive whole number, e.g. ";
  EXPECT_THAT(
      refused(),
      UnorderedElementsAre(
          "empty/: no version in it; put the model at empty/1/model.onnx",
          "letters/one: " + whole + "letters/1", "zero/0: " + whole + "zero/1",
          "leading/01: " + whole + "leading/1", "negative/-1: " + whole + "negative/1",
          "huge/99999999999999999999: " + whole + "huge/1",
          "no-file/1: no model.onnx in the version's folder",
          "folder/1: model.onnx is not a regular file",
          "flat/: model.onnx lies beside the versions; move it to flat/1/model.onnx",
          "bad/: model.yaml: line 2: unknown key 'thread'; did you mean 'threads'?",
          "bad-version/1: model.yaml: 'versions' belongs in the model's folder, not in a version's",
          "both/1: 'task: simulated' and a model.onnx; remove one of them",
          "a model/: a model's name is 1 to 64 of A-Z a-z 0-9 . _ -, not starting with '.'"));
  EXPECT_THAT(served(), IsEmpty());
}

TEST_F(RepositoryTest, IgnoresHiddenFoldersAndLostAndFound) {
  fs::create_directories(root_ / ".git/objects");
  fs::create_directories(root_ / "lost+found");
  root_.write("m/1/model.onnx", "x");
  fs::create_directories(root_ / "m/.cache");
  fs::create_directories(root_ / "m/lost+found");
  EXPECT_THAT(served(), ElementsAre("m/1"));
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(RepositoryTest, FingerprintChangesWithEverythingThatMatters) {
  root_.write("m/1/model.onnx", "x");
  root_.write("m/model.yaml", "labels: labels.txt");
  root_.write("m/labels.txt", "a\nb\n");
  std::vector<std::string> seen;
  const auto changed = [&] {
    std::string now = list().candidates.at(0).fingerprint;
    EXPECT_EQ(now, list().candidates.at(0).fingerprint) << "stable where nothing changed";
    const bool fresh = std::ranges::find(seen, now) == seen.end();
    seen.push_back(std::move(now));
    return fresh;
  };
  EXPECT_TRUE(changed());
  root_.write("m/1/model.onnx", "xx");
  EXPECT_TRUE(changed()) << "size";
  fs::last_write_time(root_ / "m/1/model.onnx",
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_TRUE(changed()) << "mtime";
  root_.write("m/model.yaml", "labels: labels.txt\nthreads: 2");
  EXPECT_TRUE(changed()) << "manifest";
  root_.write("m/labels.txt", "a\nc\n");
  EXPECT_TRUE(changed()) << "labels";
  root_.write("m/1/weights.bin", "1234");
  EXPECT_TRUE(changed()) << "a file of weights";
  root_.write("m/1/model.yaml", "threads: 2");
  EXPECT_TRUE(changed()) << "the version's manifest";
}

TEST_F(RepositoryTest, ARefusalKeepsItsFingerprintUntilItChanges) {
  root_.write("m/model.yaml", "thread: 2");
  const std::string first = list().refused.at(0).fingerprint;
  EXPECT_EQ(list().refused.at(0).fingerprint, first);
  root_.write("m/model.yaml", "threat: 22");
  EXPECT_NE(list().refused.at(0).fingerprint, first);
}

TEST(Repository, NeedsAReadableFolder) {
  const TempFolder folder;
  const auto file = folder.write("file", "x");
  for (const fs::path& root : {folder / "none", file}) {
    const auto listing = scan({.root = root});
    ASSERT_FALSE(listing);
    EXPECT_EQ(listing.error().code, ErrorCode::kNotFound);
    EXPECT_EQ(listing.error().message,
              "the model repository '" + root.string() + "' is not a readable folder");
  }
}

TEST(Repository, AnEmptyFolderServesNothing) {
  const TempFolder folder;
  const auto listing = scan({.root = folder.path()});
  ASSERT_TRUE(listing);
  EXPECT_THAT(listing->candidates, IsEmpty());
  EXPECT_THAT(listing->refused, IsEmpty());
}

}  // namespace
}  // namespace podsense::model
