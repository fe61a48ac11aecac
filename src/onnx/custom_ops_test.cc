#include "onnx/custom_ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/digest.h"
#include "base/temp_folder_testing.h"

namespace podsense::onnx {
namespace {

using testing::HasSubstr;

class CustomOpsTest : public testing::Test {
 protected:
  static std::string reason(const std::string& file, const std::string& hash) {
    const auto opened = CustomOps::open({{file, hash}});
    return opened ? "opened" : opened.error().message;
  }
  std::string file(const std::string& content) const {
    std::ofstream(folder_ / "ops.so") << content;
    return folder_ / "ops.so";
  }
  const TempFolder folder_;
};

TEST_F(CustomOpsTest, NothingIsFine) {
  EXPECT_TRUE(CustomOps::open({}));
}

TEST_F(CustomOpsTest, OnlyTheFileThatWasMeantIsLoaded) {
  const std::string ops = file("something else");
  EXPECT_EQ(reason(ops, std::string(64, '0')), "onnxruntime.custom_ops: " + ops +
                                                   " has the SHA-256 " + sha256_file(ops).value() +
                                                   ", not " + std::string(64, '0'));
  EXPECT_THAT(reason(ops, sha256_file(ops).value()), HasSubstr(ops + " cannot be loaded: "));
}

TEST_F(CustomOpsTest, WhatIsNoFileBlocksNothing) {
  const std::string pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(reason(pipe, ""), "onnxruntime.custom_ops: " + pipe + " is no regular file");
  EXPECT_THAT(reason(folder_ / "missing", ""), HasSubstr("missing cannot be read: "));
}

TEST_F(CustomOpsTest, AModuleOfPythonsIsNamed) {
  EXPECT_THAT(loader_reason("/a.so", "/a.so: undefined symbol: PyInstanceMethod_Type"),
              HasSubstr("is an extension of Python's (it misses PyInstanceMethod_Type)"));
  EXPECT_EQ(loader_reason("/a.so", "/a.so: undefined symbol: other"),
            "cannot be loaded: undefined symbol: other");
}

}  // namespace
}  // namespace podsense::onnx
