#pragma once

/// Files of testdata/, for this module's tests.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/source_dir_testing.h"

namespace podsense::image {

inline const std::string kTestData = source_dir().string() + "/src/image/testdata/";

inline std::vector<std::byte> bytes_of(std::string_view text) {
  std::vector<std::byte> bytes(text.size());
  std::ranges::transform(text, bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
  return bytes;
}

inline std::vector<std::byte> read_file(const std::string& name) {
  std::ifstream file(kTestData + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  std::ostringstream content;
  content << file.rdbuf();
  return bytes_of(content.view());
}

}  // namespace podsense::image
