#include "inference/tasks/pictures.h"
#include "inference/tasks/task_testing.h"

namespace podsense::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ImageClassification : public TaskTest {
 protected:
  static image::TensorSpec spec(std::string_view file, std::string_view yaml = {}) {
    const auto made = task(file, yaml);
    EXPECT_EQ(made->kind().name(), "image-classification") << file;
    return static_cast<const PictureModel&>(*made).spec;
  }
};

TEST_F(ImageClassification, IsNotGuessedWherePreprocessingIsUnknown) {
  const auto guessed = task("conv_softmax.onnx");
  EXPECT_EQ(guessed->kind().name(), "tensor");
  ASSERT_EQ(guessed->warnings.size(), 1U);
  EXPECT_THAT(guessed->warnings[0], HasSubstr("task: image-classification"));
  EXPECT_EQ(name("conv_preprocess.onnx"), "image-classification");
}

TEST_F(ImageClassification, TakesWhatTheInputSays) {
  const auto made = task("conv_softmax.onnx", "task: image-classification");
  EXPECT_THAT(made->labels, ElementsAre("a", "b", "c", "d"));
  const auto color = spec("conv_softmax.onnx", "task: image-classification");
  EXPECT_EQ(color.width, 8U);
  EXPECT_EQ(color.height, 8U);
  EXPECT_EQ(color.layout, image::Layout::kNchw);
  EXPECT_EQ(color.channels, image::Channels::kRgb);
  EXPECT_THAT(color.mean, ElementsAre(127, 127, 127));
  EXPECT_EQ(spec("conv_gray.onnx", "task: image-classification").channels, image::Channels::kGray);
}

TEST_F(ImageClassification, AModelOfBytesNormalisesByItself) {
  const auto made = task("image_u8_nhwc.onnx");
  EXPECT_TRUE(static_cast<const PictureModel&>(*made).byte_input);
  const auto bytes = spec("image_u8_nhwc.onnx");
  EXPECT_EQ(bytes.layout, image::Layout::kNhwc);
  EXPECT_EQ(bytes.resize, image::Resize::kCropThenResize);
  EXPECT_EQ(bytes.scale, 1.0F);
  EXPECT_THAT(bytes.mean, ElementsAre(0, 0, 0));
  EXPECT_THAT(bytes.std, ElementsAre(1, 1, 1));
}

TEST_F(ImageClassification, MetadataGivesPreprocessingAndTheManifestWins) {
  const auto file = spec("conv_preprocess.onnx");
  EXPECT_EQ(file.resize, image::Resize::kSquash);
  EXPECT_EQ(file.filter, image::Filter::kBilinear);
  EXPECT_EQ(file.channels, image::Channels::kBgr);
  EXPECT_EQ(file.scale, 0.5F);
  EXPECT_THAT(file.mean, ElementsAre(1, 2, 3));
  EXPECT_THAT(file.std, ElementsAre(4, 5, 6));
  const auto both = spec("conv_preprocess.onnx", "preprocess: {channels: rgb, mean: 9}");
  EXPECT_EQ(both.channels, image::Channels::kRgb);
  EXPECT_THAT(both.mean, ElementsAre(9, 9, 9));
  EXPECT_EQ(both.filter, image::Filter::kBilinear);
}

TEST_F(ImageClassification, OpenSizesNeedTheManifest) {
  const auto sized = spec("conv_open_size.onnx", "preprocess: {width: 16, height: 12}");
  EXPECT_EQ(sized.width, 16U);
  EXPECT_EQ(sized.height, 12U);
  EXPECT_EQ(refused("conv_open_size.onnx", "task: image-classification"),
            "the input's width is open; say 'preprocess: {width: …}' in model.yaml");
}

TEST_F(ImageClassification, TheManifestMustFitTheFile) {
  EXPECT_THAT(task("conv_softmax.onnx", "labels: [w, x, y, z]")->labels,
              ElementsAre("w", "x", "y", "z"));
  EXPECT_EQ(refused("conv_softmax.onnx", "task: image-classification\nlabels: [w, x, y]"),
            "there are 3 labels for 4 classes");
  EXPECT_EQ(refused("conv_softmax.onnx", "preprocess: {width: 9}"),
            "'preprocess.width' is 9, but the model's input has 8");
  EXPECT_EQ(refused("conv_softmax.onnx", "preprocess: {layout: nhwc}"),
            "'preprocess.layout' is nhwc, but the model's input is nchw");
  EXPECT_EQ(refused("conv_softmax.onnx", "preprocess: {channels: gray}"),
            "'preprocess.channels' is gray, but the model's input has 3 channels");
  EXPECT_EQ(refused("conv_gray.onnx", "preprocess: {channels: bgr}"),
            "'preprocess.channels' is bgr, but the model's input has 1 channel");
  EXPECT_EQ(refused("tabular.onnx", "task: image-classification"),
            "'task: image-classification' needs one input of FP32 or UINT8 [N, 3, H, W] or "
            "[N, H, W, 3]; there is FP32 [N, 20]");
}

TEST_F(ImageClassification, AnswersTheBestClassesOfEachPicture) {
  put("picture", "conv_softmax.onnx", "task: image-classification\n");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  const auto all = classify("picture", picture("jpeg_420.jpg"), 1000);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->predictions.size(), 4U);
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_GE(all->predictions[i - 1].score, all->predictions[i].score);
  }
  const auto two = classify("picture", picture("jpeg_420.jpg"), 2);
  ASSERT_EQ(two->predictions.size(), 2U);
  EXPECT_EQ(two->predictions[0].label, all->predictions[0].label);
  EXPECT_EQ(classify("picture", "BM no picture").error().code, ErrorCode::kUnsupportedMedia);
}

TEST_F(ImageClassification, AThumbnailComesWhereOneIsWanted) {
  put("picture", "conv_softmax.onnx", "task: image-classification\n");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  const auto plain = classify("picture", picture("jpeg_orientation_6.jpg"));
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->thumbnail, "");
  const auto shown = classify("picture", picture("jpeg_orientation_6.jpg"), {}, true);
  ASSERT_TRUE(shown) << shown.error().message;
  EXPECT_EQ(shown->predictions[0].score, plain->predictions[0].score);
  const auto info = image::inspect(std::as_bytes(std::span(shown->thumbnail)), {});
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->format, image::Format::kJpeg);
  EXPECT_EQ(classify("picture", "BM no picture", {}, true).error().code,
            ErrorCode::kUnsupportedMedia);
}

TEST_F(ImageClassification, TheAnswerComesWithoutAThumbnailThatDoesNotFit) {
  put("picture", "conv_softmax.onnx", "task: image-classification\n");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  // Rows of 8 pixels fit into it, rows of 320 do not.
  service_.emplace(ServiceOptions{.image_limits = {.max_memory = 400U << 10U}}, *catalog_, nullptr,
                   registry_, clock_);
  const auto answered = classify("picture", picture("jpeg_large_420.jpg"), {}, true);
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_EQ(answered->predictions.size(), 4U);
  EXPECT_EQ(answered->thumbnail, "");
}

TEST(TensorSpec, NamesWhatItAccepts) {
  model::PreprocessSpec preprocess;
  preprocess.filter = "cubic";
  EXPECT_EQ(tensor_spec(preprocess).error().message,
            "preprocess.filter is 'cubic'; accepted: bicubic, bilinear, lanczos, box, nearest");
}

}  // namespace
}  // namespace podsense::inference
