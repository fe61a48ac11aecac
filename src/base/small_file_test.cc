#include "base/small_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/temp_folder_testing.h"

namespace podsense {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ReplaceFileTest : public testing::Test {
 protected:
  static std::string content(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  const TempFolder temporary_;
  const fs::path& folder_ = temporary_.path();
};

TEST_F(ReplaceFileTest, WritesANewFileAndReplacesAnOldOne) {
  const fs::path path = folder_ / "ports.json";
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(replace_file(path, bytes));
  EXPECT_EQ(content(path), bytes);
  ASSERT_TRUE(replace_file(path, ""));
  EXPECT_EQ(content(path), "");
  EXPECT_EQ(entries(), 1U) << "nothing is left beside it";
}

TEST_F(ReplaceFileTest, SaysWhatStoodInTheWayAndChangesNothing) {
  const auto nowhere = replace_file(folder_ / "none" / "file", "x");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().message,
            (folder_ / "none" / "file").string() + " cannot be written: No such file or directory");
  fs::create_directories(folder_ / "taken" / "inside");
  const auto folder = replace_file(folder_ / "taken", "x");
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("cannot be written: "));
  EXPECT_TRUE(fs::is_directory(folder_ / "taken" / "inside"));
  EXPECT_EQ(entries(), 1U) << "what had been written is gone";
}

TEST_F(ReplaceFileTest, AFullDiskLeavesTheOldFile) {
  if (!fs::exists("/dev/full")) {
    GTEST_SKIP() << "needs /dev/full";
  }
  // The name that is written first, for all numbers that this process may have come to.
  const fs::path path = folder_ / "file";
  ASSERT_TRUE(replace_file(path, "old"));
  for (unsigned i = 0; i < 100; ++i) {
    fs::create_symlink("/dev/full", path.string() + "." + std::to_string(::getpid()) + "-" +
                                        std::to_string(i) + ".tmp");
  }
  const auto full = replace_file(path, "new");
  ASSERT_FALSE(full);
  EXPECT_THAT(full.error().message, HasSubstr("No space left on device"));
  EXPECT_EQ(content(path), "old");
}

TEST_F(ReplaceFileTest, AReaderNeverSeesAPart) {
  const fs::path path = folder_ / "file";
  const std::string first(100'000, 'a');
  const std::string second(200'000, 'b');
  ASSERT_TRUE(replace_file(path, first));
  std::atomic<bool> done{false};
  std::vector<std::jthread> writers;
  for (const std::string* text : {&first, &second}) {
    writers.emplace_back([&path, &done, text] {
      while (!done) {
        EXPECT_TRUE(replace_file(path, *text));
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    const std::string seen = content(path);
    EXPECT_TRUE(seen == first || seen == second) << seen.size();
  }
  done = true;
}

}  // namespace
}  // namespace podsense
