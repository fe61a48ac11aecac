#pragma once

/// Helpers for this module's tests.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/source_dir_testing.h"
#include "base/temp_folder_testing.h"
#include "model/model.h"

namespace podsense::model::testing {

using podsense::TempFolder;

inline std::filesystem::path tiny(std::string_view name) {
  return source_dir() / "src/model/testdata/tiny" / name;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Candidate candidate(std::string_view file, Manifest manifest = {}) {
  return {.name = "tiny",
          .version = 1,
          .folder = tiny(file).parent_path(),
          .file = tiny(file),
          .manifest = std::move(manifest),
          .fingerprint = "f"};
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

template <class T>
std::vector<T> values_of(const TensorView& view) {
  std::vector<T> out(view.data.size() / sizeof(T));
  std::memcpy(out.data(), view.data.data(), view.data.size());
  return out;
}

}  // namespace podsense::model::testing
