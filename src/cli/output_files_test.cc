#include "cli/output_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/temp_folder_testing.h"

namespace podsense::cli {
namespace {

namespace fs = std::filesystem;

std::string fault(const std::vector<OutputFlag>& outputs) {
  const auto good = check_outputs(outputs);
  return good ? "" : good.error().message;
}

TEST(OutputFiles, LeavesWhatIsThereAndMakesNothing) {
  const TempFolder folder;
  const fs::path old = folder.path() / "old.json";
  std::ofstream(old) << "text";
  EXPECT_EQ(fault({{.flag = "--json", .path = old},
                   {.flag = "--out", .path = folder.path() / "new.yaml"},
                   {.flag = "--html", .path = "-"},
                   {.flag = "--dump", .path = {}}}),
            "");
  std::ifstream file(old);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "text");
  EXPECT_FALSE(fs::exists(folder.path() / "new.yaml"));
}

TEST(OutputFiles, NamesFlagPathAndReason) {
  const TempFolder folder;
  const fs::path missing = folder.path() / "no" / "x.json";
  EXPECT_EQ(fault({{.flag = "--json", .path = missing}}),
            "--json: cannot write " + missing.string() + ": No such file or directory");
  EXPECT_EQ(fault({{.flag = "--out", .path = folder.path()}}),
            "--out: cannot write " + folder.path().string() + ": Is a directory");
  std::ofstream(folder.path() / "file") << "text";
  EXPECT_NE(
      fault({{.flag = "--out", .path = folder.path() / "file" / "x"}}).find("Not a directory"),
      std::string::npos);
}

TEST(OutputFiles, FollowsLinksToFilesThatAreNotThereYet) {
  const TempFolder folder;
  fs::create_symlink("new", folder.path() / "good");
  fs::create_symlink("no/new", folder.path() / "bad");
  EXPECT_EQ(fault({{.flag = "--out", .path = folder.path() / "good"}}), "");
  EXPECT_FALSE(fs::exists(folder.path() / "new"));
  EXPECT_NE(fault({{.flag = "--out", .path = folder.path() / "bad"}}), "");
  fs::create_symlink("round", folder.path() / "round");
  EXPECT_NE(fault({{.flag = "--out", .path = folder.path() / "round"}}), "");
}

TEST(OutputFiles, DoesNotWaitForTheReaderOfAPipe) {
  const TempFolder folder;
  const fs::path pipe = folder.path() / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(fault({{.flag = "--json", .path = pipe}}), "");
}

TEST(OutputFiles, RefusesTwoResultsInOneFile) {
  const TempFolder folder;
  const fs::path file = folder.path() / "x";
  EXPECT_EQ(fault({{.flag = "--json", .path = "-"}, {.flag = "--html", .path = "-"}}),
            "--json and --html are both standard output: each needs a file of its own");
  EXPECT_NE(fault({{.flag = "--json", .path = file},
                   {.flag = "--html", .path = folder.path() / "." / "x"}}),
            "");
  std::ofstream(file) << "text";
  fs::create_symlink("x", folder.path() / "link");
  EXPECT_NE(
      fault({{.flag = "--json", .path = file}, {.flag = "--html", .path = folder.path() / "link"}}),
      "");
  // Both go where they went before.
  EXPECT_EQ(
      fault({{.flag = "--json", .path = "/dev/null"}, {.flag = "--html", .path = "/dev/null"}}),
      "");
}

}  // namespace
}  // namespace podsense::cli
