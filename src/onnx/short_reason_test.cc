#include <gtest/gtest.h>

#include <string>

#include "onnx/ort.h"

namespace podsense::onnx {
namespace {

TEST(ShortReason, LeavesOutWhereItHappened) {
  EXPECT_EQ(
      short_reason("Exception during initialization: "
                   "/onnxruntime_src/onnxruntime/core/providers/cpu/text/"
                   "string_normalizer.cc:235 onnxruntime::StringNormalizer::Locale::Locale("
                   "const std::string&)::<lambda()> Failed to construct locale with "
                   "name:en_US.UTF-8:locale::facet::_S_create_c_locale name not valid:Please, "
                   "install necessary language-pack-en and configure locales"),
      "Failed to construct locale with name:en_US.UTF-8:locale::facet::_S_create_c_locale name "
      "not valid:Please, install necessary language-pack-en and configure locales");
  EXPECT_EQ(short_reason("/a/b.cc:12 void f(int (*)()) const [with T = int] it broke\nsecond line"),
            "it broke");
  EXPECT_EQ(short_reason("plain"), "plain");
  EXPECT_EQ(short_reason("/a(b)::<lambda"), "");
}

}  // namespace
}  // namespace podsense::onnx
