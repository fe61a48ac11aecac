#include "model/triton_config.h"

#include "model/model_testing.h"
#include "model/repository.h"

namespace podsense::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using testing::TempFolder;

class TritonConfigTest : public ::testing::Test {
 protected:
  Manifest read(std::string_view text) {
    auto manifest = read_triton_config(text, folder_.path());
    EXPECT_TRUE(manifest) << manifest.error().message;
    return manifest.value_or(Manifest{});
  }
  std::string refused(std::string_view text) {
    const auto manifest = read_triton_config(text, folder_.path());
    return manifest ? "read" : manifest.error().message;
  }
  const TempFolder folder_;
};

TEST_F(TritonConfigTest, WhatHasACounterpartIsFollowed) {
  folder_.write("labels.txt", "cat\ndog\n");
  folder_.write("warmup/ids.bin", "12345678");
  const Manifest manifest = read(R"(
    name: "resnet"
    platform: "onnxruntime_onnx"   # a comment
    max_batch_size: 16
    input [ { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 224, 224 ] } ]
    output [ { name: "y" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "labels.txt" } ]
    default_model_filename: "resnet.onnx"
    version_policy: { specific { versions: [ 3, 1 ] } }
    instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_AUTO } ]
    dynamic_batching { max_queue_delay_microseconds: 500 }
    parameters { key: "intra_op_thread_count" value: { string_value: "4" } }
    model_warmup [ { name: "sample" batch_size: 2 count: 5
      inputs { key: "x" value: { data_type: TYPE_FP32 dims: [ 3, 224, 224 ] random_data: true } }
      inputs { key: "ids" value: { data_type: TYPE_INT64 dims: 1 input_data_file: "ids.bin" } } } ]
  )");
  EXPECT_EQ(manifest.max_batch, 16U);
  EXPECT_FALSE(manifest.share_runs) << "whether rows are independent is shown as for any model";
  EXPECT_THAT(manifest.labels, ElementsAre("cat", "dog"));
  EXPECT_EQ(manifest.file, "resnet.onnx");
  EXPECT_EQ(manifest.version_policy, VersionPolicy::kList);
  EXPECT_THAT(manifest.listed_versions, ElementsAre(1, 3));
  EXPECT_EQ(manifest.instances, 3U);
  EXPECT_EQ(manifest.max_delay, std::chrono::microseconds(500));
  EXPECT_TRUE(manifest.threads_given);
  EXPECT_EQ(manifest.threads, 4U);
  EXPECT_EQ(manifest.warmup_runs, 5U);
  EXPECT_THAT(manifest.warmup_inputs.at("x").shape, ElementsAre(2, 3, 224, 224));
  EXPECT_EQ(manifest.warmup_inputs.at("x").range->most, 1);
  EXPECT_THAT(manifest.warmup_inputs.at("ids").shape, ElementsAre(2, 1));
  EXPECT_EQ(manifest.warmup_inputs.at("ids").file.filename(), "ids.bin");
  EXPECT_THAT(manifest.remarks, IsEmpty());
}

TEST_F(TritonConfigTest, OneRemarkListsWhatIsNotFollowed) {
  const Manifest manifest = read(R"(
    platform: "tensorrt_plan"
    optimization { graph { level: 1 } execution_accelerators { cpu_execution_accelerator: [
      { name: "openvino" } ] } }
    sequence_batching { max_sequence_idle_microseconds: 5000000 }
    dynamic_batching { preferred_batch_size: [ 4, 8 ] preserve_ordering: true }
    instance_group [ { count: 1 kind: KIND_GPU gpus: [ 0 ] } ]
    parameters { key: "execution_mode" value: { string_value: "1" } }
    response_cache { enable: true }
  )");
  EXPECT_THAT(
      manifest.remarks,
      ElementsAre("these settings of config.pbtxt are ignored: gpus, instance_group on "
                  "GPUs, optimization, parameters 'execution_mode', platform 'tensorrt_plan', "
                  "preferred_batch_size, preserve_ordering, response_cache, sequence_batching"));
}

TEST_F(TritonConfigTest, WithoutABatchSizeRequestsAreNeverStacked) {
  EXPECT_EQ(read("").share_runs, false);
  EXPECT_FALSE(read("").max_batch);
}

TEST_F(TritonConfigTest, FaultsNameTheLineOrTheField) {
  EXPECT_THAT(refused("name: \"a\"\nmax_batch_size: many"), StartsWith("line 2: "));
  EXPECT_THAT(refused("input { data_type: TYPE_FP1 }"), HasSubstr("TYPE_FP1"));
  EXPECT_THAT(refused("max_batch_size: -1"), HasSubstr("max_batch_size"));
  EXPECT_THAT(refused("default_model_filename: \"../../etc/passwd\""),
              HasSubstr("default_model_filename"));
  EXPECT_THAT(refused("output { label_filename: \"/etc/passwd\" }"),
              StartsWith("label_filename: "));
  EXPECT_THAT(refused("model_warmup { inputs { key: \"x\" value { input_data_file: \"../x\" } } }"),
              StartsWith("model_warmup: "));
  EXPECT_THAT(refused("version_policy { specific { versions: 0 } }"), HasSubstr("version_policy"));
  EXPECT_EQ(refused(std::string(kMaxTritonConfigBytes + 1, ' ')), "larger than 256 KiB");
  std::string deep;
  for (int i = 0; i < 10'000; ++i) {
    deep += "a {";
  }
  EXPECT_NE(refused(deep), "read");
}

TEST_F(TritonConfigTest, TheManifestGoesOverIt) {
  folder_.write("m/1/net.onnx", "x");
  folder_.write("m/1/other.onnx", "x");
  folder_.write("m/config.pbtxt",
                "max_batch_size: 8 default_model_filename: \"net.onnx\" ensemble_scheduling {}");
  folder_.write("m/model.yaml", "batching: {max_batch: 4}");
  const auto listing = scan({.root = folder_.path()}).value();
  ASSERT_EQ(listing.candidates.size(), 1U);
  EXPECT_EQ(listing.candidates[0].file, folder_ / "m/1/net.onnx");
  EXPECT_EQ(listing.candidates[0].manifest.max_batch, 4U);
  ASSERT_EQ(listing.remarks.size(), 1U);
  EXPECT_EQ(listing.remarks[0].text,
            "these settings of config.pbtxt are ignored: ensemble_scheduling");
  folder_.write("m/config.pbtxt", "max_batch_size: 9 default_model_filename: \"net.onnx\"");
  EXPECT_NE(scan({.root = folder_.path()})->candidates[0].fingerprint,
            listing.candidates[0].fingerprint);
}

}  // namespace
}  // namespace podsense::model
