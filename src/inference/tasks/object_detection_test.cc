#include <future>

#include "inference/tasks/task_testing.h"

namespace podsense::inference {
namespace {

using protocol::ScoredClass;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::FieldsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kPixels = "task: object-detection\npreprocess: {scale: 1}\n";

/// What models/make_tiny.py writes into each of the models, for pictures that are squashed.
class ObjectDetection : public TaskTest {
 protected:
  static std::string manifest(const std::string& detection, const std::string& more = {}) {
    return std::string(kPixels) + "labels: [cat, dog]\ndetection: {" + detection + "}\n" + more;
  }
  /// In a picture that is `x` and `y` times as large as the model's input.
  static auto found(std::uint32_t index, std::string_view label, float score,
                    std::array<float, 4> box, float x, float y) {
    return AllOf(Field(&ScoredClass::index, index), Field(&ScoredClass::label, label),
                 Field(&ScoredClass::score, FloatNear(score, 1e-5F)),
                 Field(&ScoredClass::box,
                       FieldsAre(FloatNear(box[0] * x, 0.01F), FloatNear(box[1] * y, 0.01F),
                                 FloatNear(box[2] * x, 0.01F), FloatNear(box[3] * y, 0.01F))));
  }
  /// The finds after suppression, if `first` is the number of the first class.
  static auto three(std::uint32_t first, float x, float y) {
    return ElementsAre(found(first + 1, "dog", 0.9F, {8, 4, 16, 12}, x, y),
                       found(first, "cat", 0.7F, {8, 4, 16, 12}, x, y),
                       found(first + 1, "dog", 0.6F, {20, 20, 28, 28}, x, y));
  }
};

TEST_F(ObjectDetection, EveryFormOfOutputsGivesTheSameBoxes) {
  struct Case {
    std::string model;
    std::string detection;
    std::uint32_t first = 0;
  };
  const std::vector<Case> cases{
      {"detect_yolov5", "head: yolov5"},
      {"detect_yolov8", ""},
      {"detect_yolox", "head: yolox"},
      {"detect_nms", "iou_threshold: 0.5"},
      {"detect_nms_numbered", "iou_threshold: 0.5"},
      {"detect_boxes_scores", "boxes: xyxy, coordinates: normalized, first_class: 1", 1},
      {"detect_ssd", "boxes: yxyx, coordinates: normalized, first_class: 1, iou_threshold: 0.5", 1},
      {"detect_torchvision", "boxes: xyxy, coordinates: pixels, first_class: 1, iou_threshold: 0.5",
       1}};
  for (const Case& c : cases) {
    put(c.model, c.model + ".onnx", manifest(c.detection));
  }
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  for (const Case& c : cases) {
    const auto answer = classify(c.model, picture("png_2_8.png"));
    ASSERT_TRUE(answer) << c.model << ": " << answer.error().message;
    ASSERT_TRUE(answer->picture) << c.model;
    const float x = static_cast<float>(answer->picture->width) / 32;
    const float y = static_cast<float>(answer->picture->height) / 32;
    EXPECT_THAT(answer->predictions, three(c.first, x, y)) << c.model;
  }
}

TEST_F(ObjectDetection, SuppressesWhereTheHeadOrTheManifestSaysSo) {
  put("as-is", "detect_nms.onnx", manifest("score_threshold: 0.05"));
  put("few", "detect_yolov8.onnx", manifest("max_boxes: 1"));
  put("sure", "detect_yolov8.onnx", manifest("score_threshold: 0.65, iou_threshold: 1"));
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  const auto image = picture("png_2_8.png");
  EXPECT_EQ(classify("as-is", image)->predictions.size(), 5U);
  EXPECT_EQ(classify("as-is", image, 2)->predictions.size(), 2U);
  EXPECT_EQ(classify("few", image)->predictions.size(), 1U);
  EXPECT_EQ(classify("few", image, 1000)->predictions.size(), 3U);
  EXPECT_EQ(classify("sure", image)->predictions.size(), 3U);
}

TEST_F(ObjectDetection, ALetterboxIsTakenOffAndOrientationCounts) {
  const std::string boxed = "task: object-detection\npreprocess: {scale: 1, resize: letterbox";
  put("middle", "detect_yolov8.onnx", boxed + "}\n");
  put("corner", "detect_yolov8.onnx", boxed + ", place: top-left, pad: 114}\n");
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  // Shown upright, though stored lying.
  const auto turned = classify("middle", picture("jpeg_orientation_6.jpg"));
  ASSERT_TRUE(turned) << turned.error().message;
  const float width = static_cast<float>(turned->picture->width);
  const float height = static_cast<float>(turned->picture->height);
  ASSERT_LT(width, height);
  const float scale = height / 32;
  const float left = (32 - width / scale) / 2;
  const auto& box = turned->predictions[0].box;
  EXPECT_NEAR(box.x_min, std::max((8 - left) * scale, 0.0F), scale);
  EXPECT_NEAR(box.x_max, std::min((16 - left) * scale, width), scale);
  EXPECT_NEAR(box.y_min, 4 * scale, scale / 2);
  EXPECT_NEAR(box.y_max, 12 * scale, scale / 2);
  const auto corner = classify("corner", picture("jpeg_orientation_6.jpg"));
  EXPECT_NEAR(corner->predictions[0].box.x_min, std::min(8 * scale, width), scale / 2);
}

TEST_F(ObjectDetection, PicturesOfOneRunGetTheirOwnGeometry) {
  put("detect", "detect_yolov8.onnx",
      manifest("", "batching: {max_batch: 8, max_delay_ms: 50, share_runs: true}\n"));
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  const std::array<std::string, 2> pictures{picture("png_2_8.png"),
                                            picture("jpeg_orientation_6.jpg")};
  std::vector<std::promise<Result<protocol::ClassifyAnswer>>> promises(16);
  for (std::size_t i = 0; i < promises.size(); ++i) {
    service_->classify(
        {.model = {.name = "detect"}, .image = pictures[i % 2]}, context(),
        [&promise = promises[i]](auto result) { promise.set_value(std::move(result)); });
  }
  for (std::size_t i = 0; i < promises.size(); ++i) {
    const auto answer = promises[i].get_future().get();
    ASSERT_TRUE(answer) << answer.error().message;
    const auto alone = classify("detect", pictures[i % 2]);
    EXPECT_EQ(answer->picture->width, alone->picture->width);
    EXPECT_THAT(answer->predictions, three(0, static_cast<float>(alone->picture->width) / 32,
                                           static_cast<float>(alone->picture->height) / 32));
  }
  const auto batches = catalog_->find({.name = "detect"}).value()->statistics().batches;
  EXPECT_GT(batches.back().size, 1U) << "no run was shared";
}

TEST_F(ObjectDetection, WhatIsNotSaidIsAskedFor) {
  EXPECT_EQ(name("detect_yolov8.onnx"), "tensor");
  EXPECT_THAT(refused("detect_yolov8.onnx", "task: object-detection"),
              HasSubstr("nothing says how pixels become the model's input"));
  const auto refusal = [](const std::string& model, const std::string& detection) {
    return refused(model, manifest(detection));
  };
  EXPECT_EQ(refusal("detect_yolov5.onnx", ""),
            "the outputs output0 FP32 [N, 21, 7] may be of several heads; write 'detection: {head: "
            "…}' in model.yaml with one of yolov5, yolox");
  EXPECT_THAT(refusal("detect_ssd.onnx", ""), HasSubstr("write 'detection: {boxes: …"));
  EXPECT_THAT(refusal("detect_ssd.onnx", "head: nms"), HasSubstr("are none of a head 'nms'"));
  EXPECT_THAT(refusal("detect_yolov8.onnx", "head: yolo"),
              HasSubstr("'detection.head' must be one of yolov5, yolov8, yolox, nms, "));
  EXPECT_THAT(refusal("detect_yolox.onnx", "head: yolox, boxes: xyxy"),
              HasSubstr("do not go with 'head: yolox'"));
  EXPECT_THAT(refused("conv_preprocess.onnx", "task: object-detection"),
              HasSubstr("knows no head with the outputs probabilities FP32 [N, 4]"));
  EXPECT_EQ(refused("tabular.onnx", "task: object-detection"),
            "'task: object-detection' needs one input of FP32 or UINT8 [N, 3, H, W] or [N, H, W, "
            "3]; there is FP32 [N, 20]");
}

TEST_F(ObjectDetection, LabelsAreThoseOfTheClasses) {
  EXPECT_EQ(refused("detect_yolov8.onnx", std::string(kPixels) + "labels: [a, b, c]\n"),
            "there are 3 labels for 2 classes");
  EXPECT_EQ(task("detect_boxes_scores.onnx",
                 manifest("boxes: xyxy, coordinates: normalized, first_class: 1"))
                ->labels.size(),
            2U);
}

TEST_F(ObjectDetection, AnswersWhereNoClassifierDoes) {
  put("detect", "detect_yolov8.onnx", manifest(""));
  open();
  ASSERT_THAT(reload().refused, IsEmpty());
  EXPECT_EQ(classify("", picture("png_2_8.png"))->model, "detect");
  put("classify", "conv_softmax.onnx", "task: image-classification");
  reload();
  EXPECT_EQ(classify("", picture("png_2_8.png"))->model, "classify");
  EXPECT_FALSE(classify("", picture("png_2_8.png"))->picture);
}

}  // namespace
}  // namespace podsense::inference
