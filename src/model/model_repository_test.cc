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

  /// "name: text"
  std::vector<std::string> remarks() {
    std::vector<std::string> out;
    for (const Remark& remark : list().remarks) {
      out.push_back(remark.name + ": " + remark.text);
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
  root_.write("letters/one/model.onnx", "x");
  root_.write("zero/0/model.onnx", "x");
  root_.write("negative/-1/model.onnx", "x");
  root_.write("huge/99999999999999999999/model.onnx", "x");
  fs::create_directories(root_ / "no-file/1");
  fs::create_directories(root_ / "folder/1/model.onnx");
  fs::create_directories(root_ / "loop/1");
  fs::create_symlink("model.onnx", root_ / "loop/1/model.onnx");
  root_.write("no-version/model.yaml", "threads: 2");
  root_.write("several/1/a.onnx", "x");
  root_.write("several/1/b.onnx", "x");
  root_.write("wanted/1/model.onnx", "x");
  root_.write("wanted/model.yaml", "file: other.onnx");
  root_.write("bad/1/model.onnx", "x");
  root_.write("bad/model.yaml", "\nthread: 2");
  root_.write("bad-version/1/model.onnx", "x");
  root_.write("bad-version/1/model.yaml", "versions: {policy: all}");
  root_.write("both/1/model.onnx", "x");
  root_.write("both/model.yaml", "task: simulated");
  root_.write("a model/1/model.onnx", "x");
  const std::string whole = "the version's folder is not a positive whole number, e.g. ";
  EXPECT_THAT(
      refused(),
      UnorderedElementsAre(
          "letters/one: " + whole + "letters/1", "zero/0: " + whole + "zero/1",
          "negative/-1: " + whole + "negative/1", "huge/99999999999999999999: " + whole + "huge/1",
          "no-file/1: no model.onnx in the version's folder",
          "folder/1: model.onnx is not a regular file", "loop/1: model.onnx is not a regular file",
          "no-version/: no version in it; put the model at no-version/1/model.onnx",
          "several/1: several files that may be the model (a.onnx, b.onnx); name one model.onnx, "
          "or in model.yaml: 'file: a.onnx'",
          "wanted/1: no other.onnx in the version's folder, which 'file' asks for",
          "bad/: model.yaml: line 2: unknown key 'thread'; did you mean 'threads'?",
          "bad-version/1: model.yaml: 'versions' belongs in the model's folder, not in a version's",
          "both/1: 'task: simulated' and a model.onnx; remove one of them",
          "a model/: a model's name is 1 to 64 of A-Z a-z 0-9 . _ -, not starting with '.'"));
  EXPECT_THAT(served(), IsEmpty());
}

TEST_F(RepositoryTest, VersionsAreNumbersHoweverTheyAreWritten) {
  root_.write("m/v2/model.onnx", "x");
  root_.write("m/0010/model.onnx", "x");
  root_.write("m/9/model.onnx", "x");
  EXPECT_THAT(served(), ElementsAre("m/10"));
  root_.write("m/10/model.onnx", "x");
  root_.write("m/v10/model.onnx", "x");
  const auto listing = list();
  ASSERT_EQ(listing.candidates.size(), 1U);
  EXPECT_EQ(listing.candidates[0].folder, root_ / "m/10") << "the plain number goes before";
  EXPECT_THAT(remarks(), ElementsAre("m: the folder '0010' is ignored: '10' is the same version",
                                     "m: the folder 'v10' is ignored: '10' is the same version"));
}

TEST_F(RepositoryTest, FindsTheFilesThatOthersWrite) {
  root_.write("ort/1/model.ort", "x");
  root_.write("hub/1/onnx/model.onnx", "x");
  root_.write("hub/1/onnx/model_quantized.onnx", "x");
  root_.write("hub/1/config.json", "{}");
  root_.write("single/1/resnet50.onnx", "x");
  root_.write("single/1/resnet50.onnx.data", "x");
  root_.write("chosen/1/a.onnx", "x");
  root_.write("chosen/1/b.onnx", "x");
  root_.write("chosen/model.yml", "file: b.onnx");
  root_.write("flat/model.onnx", "x");
  root_.write("flat-hub/onnx/model.onnx", "x");
  std::vector<std::string> files;
  for (const Candidate& c : list().candidates) {
    EXPECT_EQ(c.folder, c.file.parent_path()) << "external data lies beside the file";
    EXPECT_EQ(c.version, 1U);
    files.push_back(fs::relative(c.file, root_.path()).string());
  }
  EXPECT_THAT(files,
              ElementsAre("chosen/1/b.onnx", "flat/model.onnx", "flat-hub/onnx/model.onnx",
                          "hub/1/onnx/model.onnx", "ort/1/model.ort", "single/1/resnet50.onnx"));
  EXPECT_THAT(refused(), IsEmpty());
  EXPECT_THAT(remarks(), IsEmpty());
}

TEST_F(RepositoryTest, WhatIsNoModelIsPassedOver) {
  root_.write("m/1/model.onnx", "x");
  root_.write("m/scripts/train.py", "");
  root_.write("m/model.onnx", "x");
  root_.write("m/model.yaml", "threads: 2");
  root_.write("m/model.yml", "threads: 3");
  root_.write("scripts/convert.py", "");
  root_.write("__pycache__/convert.pyc", "");
  root_.write(".git/HEAD", "");
  fs::create_directories(root_ / "a new one");
  EXPECT_THAT(served(), ElementsAre("m/1"));
  EXPECT_EQ(list().candidates[0].manifest.threads, 2U);
  EXPECT_THAT(refused(), IsEmpty());
  EXPECT_THAT(remarks(),
              UnorderedElementsAre(
                  "m: model.yml is ignored: there is a model.yaml",
                  "m: the folder 'scripts' is ignored: it is no version",
                  "m: the model's file beside its versions is ignored; move it to m/VERSION/",
                  "scripts: ignored: the folder holds no model (scripts/1/model.onnx)",
                  "__pycache__: ignored: the folder holds no model (__pycache__/1/model.onnx)",
                  "a new one: ignored: the folder holds no model (a new one/1/model.onnx)"));
}

TEST_F(RepositoryTest, OneModelAloneMayHaveVersions) {
  root_.write("1/model.onnx", "x");
  root_.write("2/model.onnx", "x");
  root_.write("scripts/convert.py", "");
  EXPECT_THAT(served(), ElementsAre("model/2"));
  root_.write("other/1/model.onnx", "x");
  EXPECT_THAT(served(), ElementsAre("1/1", "2/1", "other/1")) << "names like any other now";
}

TEST_F(RepositoryTest, OneModelAloneMayComeFromAHub) {
  root_.write("onnx/model.onnx", "x");
  root_.write("tokenizer.json", "{}");
  EXPECT_THAT(served(), ElementsAre("model/1"));
  root_.write("other/1/model.onnx", "x");
  EXPECT_THAT(served(), ElementsAre("onnx/1", "other/1"));
}

TEST_F(RepositoryTest, OnlyTheModelsAskedForAreLookedAt) {
  root_.write("a/1/model.onnx", "x");
  root_.write("b/1/model.onnx", "x");
  root_.write("b/model.yaml", "unknown: 1");
  const auto listing = scan({.root = root_.path(), .only = {"a", "c"}}).value();
  ASSERT_EQ(listing.candidates.size(), 1U);
  EXPECT_EQ(listing.candidates[0].name, "a");
  ASSERT_EQ(listing.refused.size(), 1U);
  EXPECT_EQ(listing.refused[0].name, "c");
  EXPECT_EQ(listing.refused[0].reason,
            "models.only names it, but the repository has no such model");
}

TEST_F(RepositoryTest, OlderVersionsAreSpares) {
  for (const char* version : {"1", "2", "3", "4"}) {
    root_.write(std::string("m/") + version + "/model.onnx", "x");
  }
  std::vector<std::uint64_t> spares;
  for (const Candidate& c : list().spares) {
    spares.push_back(c.version);
  }
  EXPECT_THAT(spares, ElementsAre(3, 2, 1));
  root_.write("m/model.yaml", "versions: {policy: list, list: [4]}");
  EXPECT_THAT(list().spares, IsEmpty());
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
