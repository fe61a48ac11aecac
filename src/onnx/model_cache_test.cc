#include "onnx/model_cache.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "model/model_testing.h"
#include "onnx/onnx_backend.h"

namespace podsense::onnx {
namespace {

namespace fs = std::filesystem;
using model::Candidate;
using model::fast_hash_file;
using model::Model;
using model::Outputs;
using model::TensorView;
using model::testing::bytes_of;
using model::testing::candidate;
using model::testing::read_file;
using model::testing::TempFolder;
using model::testing::tiny;
using model::testing::values_of;

class CacheTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Model> load(std::string_view file = "conv_softmax.onnx") {
    auto runtime = make_backend({.cache_dir = folder_ / "cache"});
    auto model = (*runtime)->load(candidate(file));
    EXPECT_TRUE(model) << model.error().message << " | " << model.error().detail;
    return model.value_or(nullptr);
  }
  std::vector<fs::path> entries() {
    std::vector<fs::path> out;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder_ / "cache", none)) {
      out.push_back(entry.path());
    }
    return out;
  }
  static std::vector<float> answer(const Model& model) {
    std::vector<float> x(2 * 3 * 8 * 8);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = static_cast<float>(i % 17) - 8.0F;
    }
    const std::vector<std::int64_t> shape{2, 3, 8, 8};
    const TensorView input{DataType::kFp32, shape, bytes_of(x)};
    Outputs outputs;
    EXPECT_TRUE(model.run({&input, 1}, outputs));
    return values_of<float>(outputs[0]);
  }

  TempFolder folder_;
};

TEST_F(CacheTest, TheSecondLoadUsesTheKeptCopyAndAnswersTheSame) {
  const auto plain = (*make_backend({}))->load(candidate("conv_softmax.onnx"));
  const auto first = load();
  ASSERT_EQ(entries().size(), 1U);
  const auto made = fs::last_write_time(entries()[0]);
  const auto second = load();
  ASSERT_EQ(entries().size(), 1U);
  EXPECT_EQ(fs::last_write_time(entries()[0]), made) << "not written again";
  EXPECT_EQ(answer(*first), answer(**plain));
  EXPECT_EQ(answer(*second), answer(**plain));
  EXPECT_EQ(second->signature().file_labels, first->signature().file_labels);
  EXPECT_EQ(second->file_bytes(), fs::file_size(tiny("conv_softmax.onnx")));
}

TEST_F(CacheTest, TheKeptCopyIsReadAndNotTheModelAgain) {
  const TempFolder models;
  Candidate c = candidate("conv_softmax.onnx");
  c.folder = models.path();
  c.file = models / "model.onnx";
  fs::copy(tiny("conv_softmax.onnx"), c.file);
  auto runtime = std::move(*make_backend({.cache_dir = folder_ / "cache"}));
  ASSERT_TRUE(runtime->load(c));
  // A sealed entry of another model under this one's name shows which file was opened.
  const ModelCache cache(folder_ / "cache", runtime->version());
  const std::string key = entries().at(0).stem();
  ASSERT_EQ(key, cache.key(*fast_hash_file(c.file)));
  const TempFolder other;
  auto second = std::move(*make_backend({.cache_dir = other / "cache"}));
  ASSERT_TRUE(second->load(candidate("tabular.onnx")));
  fs::copy(fs::directory_iterator(other / "cache")->path(), entries().at(0),
           fs::copy_options::overwrite_existing);
  EXPECT_EQ((*runtime->load(c))->signature().inputs[0].shape[1], 20);
}

TEST_F(CacheTest, ATornOrChangedEntryIsMadeAgain) {
  const auto plain = answer(*load());
  const std::string whole = read_file(entries().at(0));
  const auto entry = entries().at(0);
  std::string changed = whole;
  changed[whole.size() / 2] = static_cast<char>(changed[whole.size() / 2] ^ 1);
  const std::vector<std::string> broken{
      "",          "x",    whole.substr(0, whole.size() / 2), whole.substr(0, whole.size() - 1),
      whole + "x", changed};
  for (const std::string& content : broken) {
    std::ofstream(entry, std::ios::binary | std::ios::trunc) << content;
    EXPECT_EQ(answer(*load()), plain);
    ASSERT_EQ(entries().size(), 1U);
    EXPECT_EQ(read_file(entry).size(), whole.size());
  }
}

TEST_F(CacheTest, ACopyThatCannotBeOpenedIsNotMadeAtEveryStart) {
  const auto plain = answer(*load());
  const std::string key = entries().at(0).stem();
  const ModelCache cache(folder_ / "cache", "any");
  const auto scratch = cache.scratch(key);
  std::ofstream(scratch, std::ios::binary) << std::string(5000, 'x');
  ASSERT_TRUE(cache.keep(scratch, key));
  for (int start = 0; start < 2; ++start) {
    EXPECT_EQ(answer(*load()), plain);
    ASSERT_EQ(entries().size(), 1U);
    EXPECT_TRUE(cache.find(key)->barred());
  }
}

TEST_F(CacheTest, NoFolderIsNoFailure) {
  folder_.write("cache", "a file where the folder should be");
  EXPECT_NE(load(), nullptr);
  EXPECT_EQ(read_file(folder_ / "cache"), "a file where the folder should be");
}

TEST_F(CacheTest, ModelsWithExternalDataAreNotKept) {
  EXPECT_NE(load("external_inside.onnx"), nullptr);
  EXPECT_TRUE(entries().empty());
}

TEST_F(CacheTest, RefusedModelsLeaveNothing) {
  auto runtime = std::move(*make_backend({.cache_dir = folder_ / "cache"}));
  EXPECT_FALSE(runtime->load(candidate("external_escaping.onnx")));
  const TempFolder models;
  Candidate c = candidate("conv_softmax.onnx");
  std::string bad = read_file(c.file);
  bad.replace(bad.find("Conv"), 4, "Cnov");
  c.file = models.write("model.onnx", bad);
  c.folder = models.path();
  EXPECT_FALSE(runtime->load(c));
  EXPECT_TRUE(entries().empty());
}

TEST_F(CacheTest, KeysDependOnContentAndMachine) {
  const ModelCache one(folder_.path(), "1.31.1");
  const ModelCache two(folder_.path(), "1.31.2");
  EXPECT_NE(one.key({1, 2}), one.key({1, 3}));
  EXPECT_NE(one.key({1, 2}), two.key({1, 2}));
  EXPECT_EQ(one.key({1, 2}), ModelCache(folder_.path(), "1.31.1").key({1, 2}));
}

TEST_F(CacheTest, KeepsABoundedNumberOfEntries) {
  const ModelCache cache(folder_ / "cache", "v");
  const auto start = fs::file_time_type::clock::now() - std::chrono::hours(3);
  for (int i = 0; i < 40; ++i) {
    const std::string key = cache.key({1, static_cast<std::uint64_t>(i)});
    const auto scratch = cache.scratch(key);
    std::ofstream(scratch) << "content " << i;
    fs::last_write_time(scratch, start + std::chrono::minutes(i));
    ASSERT_TRUE(cache.keep(scratch, key));
  }
  EXPECT_EQ(entries().size(), 32U);
  EXPECT_TRUE(cache.find(cache.key({1, 39})));
}

TEST_F(CacheTest, ScratchFilesOfDeadProcessesAreRemoved) {
  const ModelCache cache(folder_ / "cache", "v");
  const auto dead = folder_.write("cache/abc.1-1.tmp", "x");
  fs::last_write_time(dead, fs::file_time_type::clock::now() - std::chrono::hours(2));
  const auto living = folder_.write("cache/abc.2-1.tmp", "x");
  const auto scratch = cache.scratch("k");
  std::ofstream(scratch) << "content";
  ASSERT_TRUE(cache.keep(scratch, "k"));
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(living));
}

TEST_F(CacheTest, ManyLoadersMakeOneWholeEntry) {
  auto runtime = std::move(*make_backend({.cache_dir = folder_ / "cache"}));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { EXPECT_TRUE(runtime->load(candidate("conv_softmax.onnx"))); });
    }
  }
  EXPECT_EQ(entries().size(), 1U);
  EXPECT_NE(load(), nullptr);
}

TEST(CpuDescription, HoldsModelAndFlagsOfOneCore) {
  const TempFolder folder;
  const auto x86 = folder.write("x86",
                                "processor\t: 0\nmodel name\t: Some CPU\ncpu MHz\t\t: 2000.1\n"
                                "flags\t\t: avx avx2\n\nprocessor\t: 1\nmodel name\t: Other\n");
  EXPECT_EQ(cpu_description(x86), "model name\t: Some CPU\nflags\t\t: avx avx2\n");
  const auto arm = folder.write("arm", "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n");
  EXPECT_EQ(cpu_description(arm), "Features\t: fp asimd\nCPU part\t: 0xd0c\n");
  EXPECT_EQ(cpu_description(folder / "none"), "");
}

TEST(FastHash, TellsContentsApart) {
  std::vector<std::string> seen;
  for (std::size_t size = 0; size < 300; ++size) {
    seen.push_back(fast_hash(std::string(size, '\0')).hex());
    seen.push_back(fast_hash(std::string(size, 'a')).hex());
  }
  seen.erase(seen.begin() + 1);  // the empty text stands twice
  std::ranges::sort(seen);
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
  EXPECT_EQ(seen[0].size(), 32U);
}

TEST(FastHash, AFileHashesAlikeHoweverItIsRead) {
  const TempFolder folder;
  const std::string big(700'000, 'q');
  EXPECT_EQ(fast_hash_file(folder.write("a", big)), fast_hash_file(folder.write("b", big)));
  EXPECT_NE(fast_hash_file(folder / "a"), fast_hash_file(folder.write("c", big + "q")));
  EXPECT_FALSE(fast_hash_file(folder / "none"));
  EXPECT_TRUE(fast_hash_file(folder.write("empty", "")));
}

}  // namespace
}  // namespace podsense::onnx
