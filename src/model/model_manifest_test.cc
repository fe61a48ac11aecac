#include "model/labels.h"
#include "model/manifest.h"
#include "model/model_testing.h"
#include "model/preprocess.h"

namespace podsense::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempFolder;

Result<Manifest> parse(std::string_view yaml) {
  return parse_manifest(yaml, "/nonexistent");
}

std::string reason(std::string_view yaml) {
  const auto manifest = parse(yaml);
  if (manifest) {
    return "accepted";
  }
  EXPECT_EQ(manifest.error().code, ErrorCode::kInvalidArgument);
  return manifest.error().message;
}

TEST(Manifest, ReadsEveryKey) {
  const auto manifest = parse(R"(
task: image-classification
labels: [cat, "dog: big", 3]
preprocess: {width: 224, height: 200, resize: letterbox, crop_fraction: 0.5, filter: lanczos,
             channels: bgr, layout: nhwc, scale: 0.5, mean: [1, 2, 3], std: [4, 5, 6]}
versions: {policy: list, list: [3, 1, 3]}
batching: {max_batch: 32, max_delay_ms: 1.5}
instances: 2
threads: 4
weight: 2.5
warmup: {runs: 3, max_ms: 500}
timeout_ms: 10000
limits: {max_bytes: 1000}
sha256: "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
simulated: {cpu_ms: 12.5}
)");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->task, "image-classification");
  EXPECT_FALSE(manifest->without_file);
  EXPECT_TRUE(parse("task: simulated")->without_file);
  EXPECT_THAT(manifest->labels, ElementsAre("cat", "dog: big", "3"));
  EXPECT_EQ(manifest->preprocess->width, 224U);
  EXPECT_EQ(manifest->preprocess->height, 200U);
  EXPECT_EQ(manifest->preprocess->resize, "letterbox");
  EXPECT_EQ(manifest->preprocess->crop_fraction, 0.5);
  EXPECT_EQ(manifest->preprocess->filter, "lanczos");
  EXPECT_EQ(manifest->preprocess->channels, "bgr");
  EXPECT_EQ(manifest->preprocess->layout, "nhwc");
  EXPECT_EQ(manifest->preprocess->scale, 0.5);
  EXPECT_THAT(manifest->preprocess->mean, ElementsAre(1, 2, 3));
  EXPECT_THAT(manifest->preprocess->std, ElementsAre(4, 5, 6));
  EXPECT_EQ(manifest->version_policy, VersionPolicy::kList);
  EXPECT_THAT(manifest->listed_versions, ElementsAre(1, 3));
  EXPECT_EQ(manifest->max_batch, 32U);
  EXPECT_EQ(manifest->max_delay, std::chrono::microseconds(1500));
  EXPECT_EQ(manifest->instances, 2U);
  EXPECT_EQ(manifest->threads, 4U);
  EXPECT_TRUE(manifest->threads_given);
  EXPECT_EQ(manifest->weight, 2.5);
  EXPECT_EQ(manifest->warmup_runs, 3U);
  EXPECT_EQ(manifest->warmup_limit, std::chrono::milliseconds(500));
  EXPECT_EQ(manifest->timeout, std::chrono::seconds(10));
  EXPECT_EQ(manifest->max_file_bytes, 1000U);
  EXPECT_EQ(manifest->sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(manifest->simulated_cpu, std::chrono::microseconds(12500));
}

TEST(Manifest, ReadsWhatScoresBecome) {
  for (const char* name : {"softmax", "sigmoid", "none"}) {
    EXPECT_EQ(parse(std::string("postprocess: ") + name)->postprocess, name);
  }
  EXPECT_EQ(reason("postprocess: logits"),
            "line 1: 'postprocess' must be one of softmax, sigmoid, none, not 'logits'");
}

TEST(Manifest, ReadsHowADetectorIsRead) {
  const auto manifest = parse(
      "detection: {head: yolox, boxes: yxyx, coordinates: normalized, first_class: 1, "
      "score_threshold: 0.3, iou_threshold: 0.6, max_boxes: 7}\n"
      "preprocess: {resize: letterbox, pad: 114, place: top-left}");
  ASSERT_TRUE(manifest) << manifest.error().message;
  const DetectionSpec& detection = manifest->detection;
  EXPECT_EQ(detection.head, "yolox");
  EXPECT_EQ(detection.boxes, "yxyx");
  EXPECT_EQ(detection.coordinates, "normalized");
  EXPECT_EQ(detection.first_class, 1U);
  EXPECT_EQ(detection.score_threshold, 0.3);
  EXPECT_EQ(detection.iou_threshold, 0.6);
  EXPECT_EQ(detection.max_boxes, 7U);
  EXPECT_EQ(manifest->preprocess->pad, 114U);
  EXPECT_EQ(manifest->preprocess->place, "top-left");
}

TEST(Manifest, EmptyTextKeepsTheBase) {
  Manifest base;
  base.threads = 7;
  for (const std::string_view yaml : {"", "\n", "# nothing\n", "---\n"}) {
    const auto manifest = parse_manifest(yaml, "/", base);
    ASSERT_TRUE(manifest) << yaml;
    EXPECT_EQ(manifest->threads, 7U);
  }
}

TEST(Manifest, AVersionsKeysWinKeyByKey) {
  auto base = parse("{threads: 2, warmup: {runs: 5, max_ms: 7}, preprocess: {width: 8, scale: 2}}");
  ASSERT_TRUE(base);
  const auto manifest =
      parse_manifest("{warmup: {runs: 1}, preprocess: {width: 9}, task: tensor}", "/", *base);
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->threads, 2U);
  EXPECT_EQ(manifest->warmup_runs, 1U);
  EXPECT_EQ(manifest->warmup_limit, std::chrono::milliseconds(7));
  EXPECT_EQ(manifest->preprocess->width, 9U);
  EXPECT_EQ(manifest->preprocess->scale, 2.0);
  EXPECT_EQ(manifest->task, "tensor");
}

TEST(Manifest, ShortFormsOfVersionsHold) {
  EXPECT_EQ(parse("versions: {policy: all}")->version_policy, VersionPolicy::kAll);
  EXPECT_EQ(parse("versions: {keep: 3}")->keep_versions, 3U);
  EXPECT_THAT(parse("versions: {list: [2]}")->listed_versions, ElementsAre(2));
  EXPECT_EQ(parse("versions: {list: [2]}")->version_policy, VersionPolicy::kList);
}

struct Refusal {
  const char* yaml;
  const char* reason;
};

TEST(Manifest, SaysWhatIsWrongAndWhere) {
  const Refusal cases[] = {
      {"thread: 2", "line 1: unknown key 'thread'; did you mean 'threads'?"},
      {"# c\n\nbatchin: 1", "line 3: unknown key 'batchin'; did you mean 'batching'?"},
      {"warmup: {run: 1}", "line 1: unknown key 'run' in 'warmup'; did you mean 'runs'?"},
      {"simulated:\n  zzzzzzzz: 1",
       "line 2: unknown key 'zzzzzzzz' in 'simulated'; known are cpu_ms"},
      {"[1]: 2",
       "line 1: unknown key a list; known are backend, task, labels, preprocess, postprocess, "
       "detection, "
       "versions, batching, instances, threads, weight, warmup, timeout_ms, limits, file, sha256, "
       "simulated"},
      {"threads: 1\nthreads: 2", "line 2: 'threads' stands twice"},
      {"[]", "line 1: the manifest must be a map of keys to values"},
      {"just text", "line 1: the manifest must be a map of keys to values"},
      {"task: [tensor]", "line 1: 'task' must be text, not a list"},
      {"threads: 0", "line 1: 'threads' must be a whole number from 1 to 256, not '0'"},
      {"threads: -1", "line 1: 'threads' must be a whole number from 1 to 256, not '-1'"},
      {"threads: 1.5", "line 1: 'threads' must be a whole number from 1 to 256, not '1.5'"},
      {"threads: 0x10", "line 1: 'threads' must be a whole number from 1 to 256, not '0x10'"},
      {"threads:", "line 1: 'threads' must be a whole number from 1 to 256, not nothing"},
      {"threads: {a: 1}", "line 1: 'threads' must be a whole number from 1 to 256, not a map"},
      {"threads: 99999999999999999999",
       "line 1: 'threads' must be a whole number from 1 to 256, not '99999999999999999999'"},
      {"instances: 2000", "line 1: 'instances' must be a whole number from 1 to 1024, not '2000'"},
      {"weight: 0", "line 1: 'weight' must be a number from 0.01 to 1000, not '0'"},
      {"timeout_ms: 0", "line 1: 'timeout_ms' must be a number from 1 to 3600000, not '0'"},
      {"timeout_ms: .inf", "line 1: 'timeout_ms' must be a number from 1 to 3600000, not '.inf'"},
      {"timeout_ms: nan", "line 1: 'timeout_ms' must be a number from 1 to 3600000, not 'nan'"},
      {"timeout_ms: -5", "line 1: 'timeout_ms' must be a number from 1 to 3600000, not '-5'"},
      {"simulated: {cpu_ms: 1e9}",
       "line 1: 'simulated.cpu_ms' must be a number from 0.001 to 60000, not '1e9'"},
      {"batching: {max_delay_ms: -1}",
       "line 1: 'batching.max_delay_ms' must be a number from 0 to 10000, not '-1'"},
      {"batching: [1]", "line 1: 'batching' must be a map"},
      {"batching:", "line 1: 'batching' must be a map"},
      {"warmup: {inputs: [x]}", "line 1: 'warmup.inputs' must be a map of inputs' names"},
      {"warmup: {inputs: {x: {shape: 3}}}",
       "line 1: 'warmup.inputs.x.shape' must be a list of at most 12 dimensions, e.g. "
       "[1, 3, 224, 224]"},
      {"warmup: {inputs: {x: {shape: [-1]}}}",
       "line 1: 'warmup.inputs.x.shape' must be a whole number from 0 to 1099511627776, not '-1'"},
      {"warmup: {inputs: {x: {range: [2, 1]}}}",
       "line 1: 'warmup.inputs.x.range' must not end before it begins"},
      {"warmup: {inputs: {x: {range: 1}}}",
       "line 1: 'warmup.inputs.x.range' must be a list of two numbers, e.g. [0, 255]"},
      {"warmup: {inputs: {x: {ranges: [0, 1]}}}",
       "line 1: unknown key 'ranges' in 'warmup.inputs.x'; did you mean 'range'?"},
      {"warmup: {request: ../x}",
       "line 1: 'warmup.request': '../x' leaves the model's folder; name a file inside it"},
      {"file: ../x",
       "line 1: 'file' must be the name of a file in the version's folder, e.g. "
       "net.onnx"},
      {"warmup: {max_ms: 0}",
       "line 1: 'warmup.max_ms' must be a number from 0.001 to 600000, not '0'"},
      {"limits: {max_bytes: 0}",
       "line 1: 'limits.max_bytes' must be a whole number from 1 to 1099511627776, not '0'"},
      {"sha256: abc", "line 1: 'sha256' must be 64 hexadecimal digits"},
      {"sha256: [a]", "line 1: 'sha256' must be text, not a list"},
      {"versions: {policy: newest}",
       "line 1: 'versions.policy' must be one of latest, all, list, not 'newest'"},
      {"versions: {policy: list}", "line 1: 'versions.policy: list' needs 'list', e.g. [1, 3]"},
      {"versions: {policy: all, list: [1]}",
       "line 1: 'versions.list' goes with 'policy: list' only"},
      {"versions: {policy: all, keep: 2}",
       "line 1: 'versions.keep' goes with 'policy: latest' only"},
      {"versions: {list: [0]}",
       "line 1: 'versions.list' must be a whole number from 1 to 9007199254740992, not '0'"},
      {"versions: {list: []}", "line 1: 'versions.list' must be a list of 1 to 1000 versions"},
      {"labels: []", "line 1: 'labels' must be a file's name or a list of texts"},
      {"labels:", "line 1: 'labels' must be a file's name or a list of texts"},
      {"labels: [a, [b]]", "line 1: 'labels' must be text, not a list"},
      {"labels: ../x", "line 1: 'labels': '../x' leaves the model's folder; name a file inside it"},
      {"labels: /etc/passwd",
       "line 1: 'labels': '/etc/passwd' leaves the model's folder; name a file inside it"},
      {"preprocess: {std: 0}",
       "line 1: 'preprocess.std' must be a number from 1e-09 to 1e+09, not '0'"},
      {"preprocess: {mean: [1, 2]}",
       "line 1: 'preprocess.mean' must be one number or a list of three"},
      {"preprocess: {crop_fraction: 2}",
       "line 1: 'preprocess.crop_fraction' must be a number from 0.01 to 1, not '2'"},
      {"preprocess: {width: 99999}",
       "line 1: 'preprocess.width' must be a whole number from 1 to 16384, not '99999'"},
      {"preprocess: {filter: bicubik}",
       "line 1: 'preprocess.filter' must be one of bicubic, bilinear, lanczos, box, nearest, not "
       "'bicubik'; did you mean 'bicubic'?"},
      {"a: &x 1", "line 1: anchors and aliases are not accepted"},
      {"threads: 1\nwarmup: &x {}", "line 2: anchors and aliases are not accepted"},
      {"threads: !!int 1", "line 1: tags are not accepted"},
      {"threads: 1\n---\nthreads: 2", "more than one YAML document"},
      {"[[[[[[[[[1]]]]]]]]]", "line 1: nested too deeply"},
      {"threads: \x01", "line 1: not text (a control character)"},
  };
  for (const Refusal& c : cases) {
    EXPECT_EQ(reason(c.yaml), c.reason) << c.yaml;
  }
}

TEST(Manifest, SaysTheLineOfBrokenYaml) {
  EXPECT_THAT(reason("threads: 1\nlabels: [a, b\n"), HasSubstr("line "));
  EXPECT_THAT(reason("threads: 1\nlabels: [a, b\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(reason("a: *x"), HasSubstr("line 1: "));
  EXPECT_THAT(reason("\"\\ud800\": 1"), HasSubstr("not valid YAML"));
}

TEST(Manifest, RefusesBillionLaughsAndBigFiles) {
  std::string laughs = "a: &a [x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    laughs += std::string(1, c) + ": &" + c + " [*" + before + ", *" + before + "]\n";
  }
  EXPECT_EQ(reason(laughs), "line 1: anchors and aliases are not accepted");
  EXPECT_EQ(reason("# " + std::string(64U << 10U, 'x')), "larger than 64 KiB");
  EXPECT_THAT(reason(std::string(60'000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(reason(std::string(60'000, '{')), HasSubstr("line 1: "));
}

TEST(Labels, FileIsReadLineByLine) {
  const TempFolder folder;
  folder.write("labels.txt", "\xEF\xBB\xBFtench\r\ngreat white shark\n\nlast\n\n\n");
  const auto manifest = parse_manifest("labels: labels.txt", folder.path());
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_THAT(manifest->labels, ElementsAre("tench", "great white shark", "", "last"));
}

TEST(Labels, ThatAreNotUtf8AreServedWithARemark) {
  const TempFolder folder;
  folder.write("labels.txt", "cr\xE8me\ntea\ncaf\xE9\n");  // Latin-1
  const auto manifest = parse_manifest("labels: labels.txt", folder.path());
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->labels.size(), 3U);
  ASSERT_EQ(manifest->remarks.size(), 1U);
  EXPECT_THAT(manifest->remarks[0],
              ::testing::StartsWith("2 of the labels of 'labels.txt' are not UTF-8 (the first is "
                                    "number 1)"));
  folder.write("labels.txt", "crème\n");
  EXPECT_TRUE(parse_manifest("labels: labels.txt", folder.path())->remarks.empty());
}

TEST(Labels, StayInsideTheFolder) {
  const TempFolder outside;
  outside.write("secret", "x\n");
  const TempFolder folder;
  folder.write("data/labels.txt", "a\nb\n");
  std::filesystem::create_symlink("data", folder / "..data");
  std::filesystem::create_symlink("..data/labels.txt", folder / "labels.txt");
  std::filesystem::create_symlink(outside / "secret", folder / "secret.txt");
  std::filesystem::create_directory_symlink(outside.path(), folder / "out");
  const auto labels = [&](const std::string& name) {
    const auto read = read_label_file(folder.path(), name);
    return read ? std::to_string(read->size()) + " labels" : read.error().message;
  };
  EXPECT_EQ(labels("labels.txt"), "2 labels") << "a ConfigMap's links stay inside";
  EXPECT_EQ(labels("secret.txt"), "'secret.txt' is a link that leaves the model's folder");
  EXPECT_EQ(labels("out/secret"), "'out/secret' is a link that leaves the model's folder");
  EXPECT_EQ(labels("data"), "'data' is not a regular file");
  EXPECT_EQ(labels("none"), "there is no file 'none' in the model's folder");
  EXPECT_EQ(labels("a/../../x"), "'a/../../x' leaves the model's folder; name a file inside it");
}

TEST(Labels, AreBounded) {
  const TempFolder folder;
  folder.write("many", std::string(2 * (kMaxLabels + 1), '\n'));
  folder.write("big", std::string(kMaxLabelBytes + 1, 'x'));
  folder.write("empty", "\n\n");
  EXPECT_EQ(read_label_file(folder.path(), "many").error().message,
            "'many' has more than 1000000 lines");
  EXPECT_EQ(read_label_file(folder.path(), "big").error().message, "'big' is larger than 16 MiB");
  EXPECT_EQ(read_label_file(folder.path(), "empty").error().message,
            "'empty' is empty; one label a line");
}

TEST(Labels, JsonListHoldsEveryEscape) {
  const auto labels =
      parse_label_json(R"( ["a\"\\\/\b\f\n\r\t", "\u00e9\u20ac\ud83d\ude00", "", 7, -1] )");
  ASSERT_TRUE(labels);
  EXPECT_THAT(*labels, ElementsAre("a\"\\/\b\f\n\r\t", "é€😀", "", "7", "-1"));
  EXPECT_TRUE(parse_label_json("[]")->empty());
  for (const std::string_view bad :
       {"", "[", "[\"a\"", "[\"a\",]", "[\"a\"] x", "[\"\\x\"]", "[\"\\ud800\"]", "7", "\"a\"",
        "[\"\\ud800\\u0041\"]", "[\"\\udc00\"]", "[\"\\u12\"]", "[\"\n\"]", "[1.5]", "[[\"a\"]]",
        "[\"a\" \"b\"]", "[null]", "[\"\\"}) {
    EXPECT_FALSE(parse_label_json(bad)) << bad;
  }
}

TEST(Labels, JsonObjectsAreInTheOrderOfTheirNumbers) {
  for (const std::string_view json :
       {R"({"1": "dog", "0": "cat", "2": "3"})",
        R"({"id2label": {"2": 3, "1": "dog", "0": "cat"}})",
        R"({"0": ["n02121808", "cat"], "1": ["n02084071", "dog"], "2": ["n0", "3"]})"}) {
    const auto labels = parse_label_json(json);
    ASSERT_TRUE(labels) << labels.error().message;
    EXPECT_THAT(*labels, ElementsAre("cat", "dog", "3")) << json;
  }
  for (const std::string_view bad :
       {R"({"1": "a"})", R"({"0": "a", "2": "b"})", R"({"0": "a", "00": "b"})", R"({"0": null})",
        R"({"0": []})", R"({"0": [["a"]]})", R"({"a": "b"})", R"({"-1": "b"})",
        R"({"id2label": ["a"]})"}) {
    EXPECT_FALSE(parse_label_json(bad)) << bad;
  }
}

TEST(Labels, OfAJsonFileAreNotItsLines) {
  const TempFolder folder;
  folder.write("labels.json", "\xEF\xBB\xBF[\n  \"cat\",\n  \"dog\"\n]\n");
  folder.write("wrong.json", "cat\ndog\n");
  folder.write("none.json", "[]");
  const auto manifest = parse_manifest("labels: labels.json", folder.path());
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_THAT(manifest->labels, ElementsAre("cat", "dog"));
  EXPECT_THAT(read_label_file(folder.path(), "wrong.json").error().message,
              ::testing::StartsWith("'wrong.json' is not JSON; accepted: "));
  EXPECT_EQ(read_label_file(folder.path(), "none.json").error().message, "'none.json' is empty");
}

TEST(Preprocess, ReadsBothFormsOfMetadata) {
  const auto ours = parse_preprocess_metadata(
      R"({"width": 8, "height": 9, "filter": "box", "layout": "nhwc", "mean": [1, 2, 3], "new": {}})");
  ASSERT_TRUE(ours) << ours.error().message;
  EXPECT_EQ(ours->width, 8U);
  EXPECT_EQ(ours->height, 9U);
  EXPECT_EQ(ours->filter, "box");
  EXPECT_EQ(ours->layout, "nhwc");
  EXPECT_THAT(ours->mean, ElementsAre(1, 2, 3));
  const auto older = parse_preprocess_metadata(
      R"({"size": 224, "crop": "center", "crop_fraction": 0.9, "resize": "bilinear",
          "channels": "BGR", "mean": 127.0, "std": 128.0, "layout": "NCHW f32"})");
  ASSERT_TRUE(older) << older.error().message;
  EXPECT_EQ(older->width, 224U);
  EXPECT_EQ(older->height, 224U);
  EXPECT_EQ(older->resize, "crop-then-resize");
  EXPECT_EQ(older->crop_fraction, 0.9);
  EXPECT_EQ(older->filter, "bilinear");
  EXPECT_EQ(older->channels, "bgr");
  EXPECT_EQ(older->layout, "nchw");
  EXPECT_THAT(older->std, ElementsAre(128, 128, 128));
  EXPECT_FALSE(parse_preprocess_metadata("[]"));
  EXPECT_FALSE(parse_preprocess_metadata(R"({"width": "wide"})"));
}

TEST(Preprocess, TheManifestGoesOverTheFile) {
  const auto file = parse_preprocess_metadata(R"({"size": 224, "mean": 1, "resize": "squash"})");
  const auto manifest = parse("preprocess: {height: 100, mean: 5}");
  const PreprocessSpec both = overlay(*file, *manifest->preprocess);
  EXPECT_EQ(both.width, 224U);
  EXPECT_EQ(both.height, 100U);
  EXPECT_EQ(both.resize, "squash");
  EXPECT_THAT(both.mean, ElementsAre(5, 5, 5));
  EXPECT_THAT(both.std, ElementsAre(128, 128, 128));
}

}  // namespace
}  // namespace podsense::model
