#include <gtest/gtest.h>

#include <string>

#include "protocol/form.h"
#include "protocol/json_codec.h"
#include "protocol/refusals_testing.h"

namespace podsense::protocol {
namespace {

TEST(ParseInstances, RefusesBadInputWithOneExactSentence) {
  static constexpr Refusal kTable[] = {
      {"",
       R"(the body is empty; it must be a JSON object such as {"instances": [[0.5, 1], [2, 3]]})"},
      {"{}", R"(the field 'instances' is missing; send {"instances": [[0.5, 1], [2, 3]]})"},
      {R"({"features":[1]})", "unknown field 'features'; accepted are: instances, model, version"},
      {R"({"instances":[]})", "instances holds 0 rows; at least 1 is needed"},
      {R"({"instances":[[]]})", "instances[0] holds 0 numbers; at least 1 is needed"},
      {R"({"instances":[[1],[]]})", "instances[1] holds 0 numbers; at least 1 is needed"},
      {R"({"instances":[1]})", "instances[0] is 1; it must be an array of numbers"},
      {R"({"instances":[1,[2]]})", "instances[0] is 1; it must be an array of numbers"},
      {R"({"instances":[[1],2]})", "instances[1] is 2; it must be an array of numbers"},
      {R"({"instances":[[1],"2"]})", "instances[1] is a string; it must be an array of numbers"},
      {R"({"instances":[[1],null]})", "instances[1] is null; it must be an array of numbers"},
      {R"({"instances":[[1],{}]})", "instances[1] is an object; it must be an array of numbers"},
      {R"({"instances":{}})", "instances is an object; it must be an array of arrays of numbers"},
      {R"({"instances":null})", "instances is null; it must be an array of arrays of numbers"},
      {R"({"instances":"[[1]]"})",
       "instances is a string; it must be an array of arrays of numbers"},
      {R"({"instances":[[1,2],[3]]})",
       "instances[1] holds 1 numbers and instances[0] 2; all rows must be equally long"},
      {R"({"instances":[[1],[2,3]]})",
       "instances[1] holds 2 numbers and instances[0] 1; all rows must be equally long"},
      {R"({"instances":[[1,2],[3,4],[5,6,7]]})",
       "instances[2] holds 3 numbers and instances[0] 2; all rows must be equally long"},
      {R"({"instances":[["a"]]})",
       "instances[0][0] is a string; it must be a finite number, or null where it is missing"},
      {R"({"instances":[[[1]]]})",
       "instances[0][0] is an array; it must be a finite number, or null where it is missing"},
      {R"({"instances":[[1],[1e39]]})",
       "instances[1][0] is 1e39; it must be within ±3.4028235e+38 (32-bit float)"},
      {R"({"instances":[[1],[2]})",
       "the body is not valid JSON at byte 21: expected ',' or ']' after an element, found '}'"},
      {R"({"instances":[[1}]})",
       "the body is not valid JSON at byte 16: expected ',' or ']' after an element, found '}'"},
      {R"({"instances":[[1][2]]})",
       "the body is not valid JSON at byte 17: expected ',' or ']' after an element, found '['"},
      {R"({"instances":[[1],]})",
       "the body is not valid JSON at byte 18: expected a value, found ']'"},
      {R"({"instances":[[1,]]})",
       "the body is not valid JSON at byte 17: expected a value, found ']'"},
      {R"({"instances":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]})",
       "the body nests deeper than 16 levels at byte 28"},
      {R"({"instances":[[1]],"instances":[[1]]})", "the field 'instances' is given twice"},
      {R"({"instance":[[1]]})", "unknown field 'instance'; did you mean 'instances'?"},
      {R"({"instances":[[1]]}])",
       "the body is not valid JSON at byte 19: expected the end of the body, found ']'"},
  };
  expect_refusals(kTable, of_numbers(parse_instances));
}

TEST(ParseInstances, ReadsRowsInOrder) {
  const auto request =
      parse_instances(R"({"model":"rf","instances":[[1,2],[3,4],[5,6]],"version":"1"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->rows, 3U);
  EXPECT_EQ(request->columns, 2U);
  EXPECT_EQ(request->values, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(request->model.name, "rf");
  EXPECT_EQ(request->model.version, "1");
}

TEST(ParseInstances, LimitsRows) {
  const auto body = [](std::size_t rows) {
    std::string out = R"({"instances":[[1])";
    for (std::size_t i = 1; i < rows; ++i) {
      out += ",[1]";
    }
    return out + "]}";
  };
  const auto most = parse_instances(body(kMaxRows));
  ASSERT_TRUE(most) << most.error().message;
  EXPECT_EQ(most->rows, kMaxRows);
  const auto more = parse_instances(body(kMaxRows + 1));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(more.error().message, "instances holds more than 4096 rows");
}

TEST(ParseSimulate, RefusesBadInputWithOneExactSentence) {
  static constexpr Refusal kTable[] = {
      {"[]", R"(the body is not a JSON object; it must be one such as {"cpu_ms": 25})"},
      {R"({"cpu_ms":})", "the body is not valid JSON at byte 10: expected a value, found '}'"},
      {R"({"cpu_ms":-0.001})", "cpu_ms is -0.001; it must be a number from 0 to 60000"},
      {R"({"cpu_ms":60000.1})", "cpu_ms is 60000.1; it must be a number from 0 to 60000"},
      {R"({"cpu_ms":"25"})", "cpu_ms is a string; it must be a number from 0 to 60000"},
      {R"({"cpu_ms":null})", "cpu_ms is null; it must be a number from 0 to 60000"},
      {R"({"cpu_ms":[25]})", "cpu_ms is an array; it must be a number from 0 to 60000"},
      {R"({"cpu_ms":{}})", "cpu_ms is an object; it must be a number from 0 to 60000"},
      {R"({"cpu_ms":1e999})", "cpu_ms is 1e999; it must be a number from 0 to 60000"},
      {R"({"cpu_ms":NaN})", "cpu_ms is NaN; it must be a number from 0 to 60000"},
      {R"({"cpu_ms":025})", "the body is not valid JSON at byte 10: '025' is not a JSON value"},
      {R"({"cpu":25})", "unknown field 'cpu'; accepted are: cpu_ms, model, version"},
      {R"({"cpums":25})", "unknown field 'cpums'; did you mean 'cpu_ms'?"},
      {R"({"cpu_ms":1,"cpu_ms":1})", "the field 'cpu_ms' is given twice"},
      {R"({"features":[1]})", "unknown field 'features'; accepted are: cpu_ms, model, version"},
      {R"({"model":5})", "model is 5; it must be a string of at most 64 characters"},
      {"x", "the body is not valid JSON at byte 0: 'x' is not a JSON value"},
      {R"({"cpu_ms":1}})",
       "the body is not valid JSON at byte 12: expected the end of the body, found '}'"},
  };
  expect_refusals(kTable, parse_simulate);
}

TEST(ParseSimulate, TakesAnEmptyBodyAsAnEmptyObject) {
  for (const std::string_view body : {"", " \r\n", "{}", " { } "}) {
    const auto request = parse_simulate(body);
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_FALSE(request->cpu);
  }
}

TEST(ParseSimulate, ReadsMillisecondsToTheNanosecond) {
  using std::chrono::nanoseconds;
  EXPECT_EQ(parse_simulate(R"({"cpu_ms":25})")->cpu, nanoseconds(25'000'000));
  EXPECT_EQ(parse_simulate(R"({"cpu_ms":0})")->cpu, nanoseconds(0));
  EXPECT_EQ(parse_simulate(R"({"cpu_ms":-0.0})")->cpu, nanoseconds(0));
  EXPECT_EQ(parse_simulate(R"({"cpu_ms":1.234567})")->cpu, nanoseconds(1'234'567));
  EXPECT_EQ(parse_simulate(R"({"cpu_ms":60000,"model":"m"})")->cpu, nanoseconds(60'000'000'000));
}

TEST(ParseClassifyImage, RefusesBadInputWithOneExactSentence) {
  static constexpr Refusal kTable[] = {
      {"", R"(the body is empty; it must be a JSON object such as {"image": "<base64>"})"},
      {"{}", R"(the field 'image' is missing; send {"image": "<base64>"})"},
      {R"({"image":""})", "image is empty; it must be the base64 of an image's bytes"},
      {R"({"image":"  "})", "image is empty; it must be the base64 of an image's bytes"},
      {R"({"image":5})", "image is 5; it must be a string of base64"},
      {R"({"image":null})", "image is null; it must be a string of base64"},
      {R"({"image":["AAAA"]})", "image is an array; it must be a string of base64"},
      {R"({"image":{}})", "image is an object; it must be a string of base64"},
      {R"({"image":"A"})", "image is not base64: the text ends inside a byte at offset 1"},
      {R"({"image":"AAAAA"})", "image is not base64: the text ends inside a byte at offset 5"},
      {R"({"image":"AAA*"})", "image is not base64: '*' at offset 3"},
      {R"({"image":"%FF"})", "image is not base64: '%' at offset 0"},
      {R"({"image":"AA=A"})", "image is not base64: nothing may follow the padding at offset 3"},
      {R"({"image":"AA="})", "image is not base64: the padding is incomplete at offset 3"},
      {R"({"image":"AAA=="})", "image is not base64: nothing may follow the padding at offset 4"},
      {R"({"image":"="})", "image is not base64: padding in the wrong place at offset 0"},
      {R"({"image":"AAAA="})", "image is not base64: padding in the wrong place at offset 4"},
      {R"({"image":"A==="})", "image is not base64: padding in the wrong place at offset 1"},
      {R"({"image":"AAAA\u0000"})", "image is not base64: 0x00 at offset 4"},
      {R"({"image":"data:image/png;base64,"})",
       "image is empty; it must be the base64 of an image's bytes"},
      {R"({"image":"data:image/png;base64"})",
       "image is a data: URL without ';base64,'; send data:image/jpeg;base64,…"},
      {R"({"image":"data:image/png,AAAA"})",
       "image is a data: URL without ';base64,'; send data:image/jpeg;base64,…"},
      {R"({"image":"data:;base64,A?"})", "image is not base64: '?' at offset 14"},
      {R"({"image":"DATA:IMAGE/PNG;BASE64,AA.A"})", "image is not base64: '.' at offset 24"},
      {R"({"image":"http://example.com/cat.jpg"})",
       "image is a URL; it must be base64; URLs go to /predict/url as the field 'url'"},
      {R"({"image":"HTTPS://example.com"})",
       "image is a URL; it must be base64; URLs go to /predict/url as the field 'url'"},
      {R"({"image":"éAAA"})", "image is not base64: 0xC3 at offset 0"},
      {R"({"image":"\ud800"})",
       "the body is not valid JSON at byte 10: a lone surrogate; characters above U+FFFF are "
       "written as a pair"},
      {R"({"image":"AAAA})",
       "the body is not valid JSON at byte 9: a string without its closing quote"},
      {"{\"image\":\"AA\nAA\"}",
       "the body is not valid JSON at byte 12: the control character 0x0A in a string must be "
       "escaped"},
      {R"({"image":"AAAA","image":"AAAA"})", "the field 'image' is given twice"},
      {R"({"img":"AAAA"})", "unknown field 'img'; did you mean 'image'?"},
      {R"({"imag":"AAAA"})", "unknown field 'imag'; did you mean 'image'?"},
      {R"({"image_url":"x"})",
       "unknown field 'image_url'; accepted are: image, model, version, top_k"},
      {R"({"image":"AAAA","topk":1})", "unknown field 'topk'; did you mean 'top_k'?"},
      {R"({"image":"AAAA","top_k":0})", "top_k is 0; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":-1})", "top_k is -1; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":1001})", "top_k is 1001; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":1.5})", "top_k is 1.5; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":5.0})", "top_k is 5.0; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":5e0})", "top_k is 5e0; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":"5"})",
       "top_k is a string; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":null})", "top_k is null; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":true})", "top_k is true; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":[5]})",
       "top_k is an array; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":{}})",
       "top_k is an object; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":99999999999999999999})",
       "top_k is 99999999999999999999; it must be an integer from 1 to 1000"},
      {R"({"image":"AAAA","top_k":05})",
       "the body is not valid JSON at byte 24: '05' is not a JSON value"},
      {R"({"image":"AAAA","model":5})", "model is 5; it must be a string of at most 64 characters"},
  };
  expect_refusals(kTable, parse_classify_image);
}

TEST(ParseClassifyImage, ReadsBase64AndDataUrls) {
  for (const std::string_view image :
       {"aGVsbG8=", "aGVsbG8", "data:image/png;base64,aGVsbG8=", "data:;base64,aGVsbG8",
        "DATA:image/jpeg;charset=x;BASE64,aGVsbG8=", R"(aGV\nsbG8\u003d)",
        "data:image/png;base64,aGVs%62G8%3D", "data:image/png; base64,aGVsbG8%3d",
        "data:image/png;base64,%61%47%56%73%62%47%38%3D"}) {
    const auto request =
        parse_classify_image(R"({"image":")" + std::string(image) + R"(","top_k":3})");
    ASSERT_TRUE(request) << image << ": " << request.error().message;
    EXPECT_EQ(request->image, "hello");
    EXPECT_EQ(request->top_k, 3U);
    EXPECT_TRUE(request->url.empty());
  }
  EXPECT_EQ(parse_classify_image(R"({"image":"\/\/8="})")->image, "\xFF\xFF");
  EXPECT_FALSE(parse_classify_image(R"({"image":"AAAA"})")->top_k);
  EXPECT_EQ(parse_classify_image(R"({"top_k":1000,"image":"AAAA"})")->top_k, 1000U);
}

TEST(ParseClassifyUrl, TakesAPictureInADataUrl) {
  const auto request = parse_classify_url(R"({"url":"data:image/png;base64,aGVsbG8%3D"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->image, "hello");
  EXPECT_TRUE(request->url.empty());
  EXPECT_EQ(parse_classify_url(R"({"url":"data:text/plain,hello"})").error().message,
            "url is a data: URL without ';base64,'; send data:image/jpeg;base64,…");
}

TEST(ParseClassifySeveral, RefusesBadInputWithOneExactSentence) {
  static constexpr Refusal kTable[] = {
      {"{}", R"(there are no pictures; send {"images": ["<base64>", "<base64>"]})"},
      {R"({"images":[]})", R"(there are no pictures; send {"images": ["<base64>", "<base64>"]})"},
      {R"({"images":["AAAA"],"urls":["https://a"]})",
       "there are both images and urls; send one of the lists"},
      {R"({"images":"AAAA"})", "images is a string; it must be a list of strings"},
      {R"({"images":["AAAA",5]})", "images[1] is 5; it must be a string"},
      {R"({"urls":[null]})", "urls[0] is null; it must be a string"},
      {R"({"images":["AAAA"],"top_k":0})", "top_k is 0; it must be an integer from 1 to 1000"},
      {R"({"images":["AAAA"],"instances":[]})",
       "unknown field 'instances'; accepted are: images, model, version, top_k, urls"},
  };
  expect_refusals(kTable, parse_classify_several);
}

TEST(ParseClassifySeveral, KeepsTheOrderAndTheOptionsAndOneFaultToItself) {
  const auto images =
      parse_classify_several(R"({"images":["aGVsbG8=","!","AAAA"],"top_k":2,"model":"m"})");
  ASSERT_TRUE(images) << images.error().message;
  ASSERT_EQ(images->size(), 3U);
  EXPECT_EQ(images->at(0)->image, "hello");
  EXPECT_EQ(images->at(1).error().message, "images[1] is not base64: '!' at offset 0");
  EXPECT_EQ(images->at(2)->top_k, 2U);
  EXPECT_EQ(images->at(2)->model.name, "m");
  const auto urls = parse_classify_several(R"({"urls":["https://a/b","data:;base64,AAAA"]})");
  ASSERT_TRUE(urls) << urls.error().message;
  EXPECT_EQ(urls->at(0)->url, "https://a/b");
  EXPECT_EQ(urls->at(1)->image.size(), 3U);
  EXPECT_TRUE(holds_several_pictures(R"({"top_k":1,"urls":[]})"));
  EXPECT_FALSE(holds_several_pictures(R"({"instances":[["urls"]]})"));
}

TEST(ReadObject, PassesOverAByteOrderMark) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(parse_classify_image(mark + R"({"image":"AAAA"})")->image.size(), 3U);
  const std::string rows = mark + R"({"instances":[[16777217.0]]})";
  EXPECT_EQ(parse_instances(rows)->rows, 1U);
  EXPECT_EQ(read_exact_values(parse_instances(rows)->json).value().at(0), 16777217.0);
  EXPECT_TRUE(holds_several_pictures(mark + R"({"images":[]})"));
  EXPECT_EQ(
      parse_instances(mark).error().message,
      R"(the body is empty; it must be a JSON object such as {"instances": [[0.5, 1], [2, 3]]})");
}

TEST(ParseClassifyUrl, RefusesBadInputWithOneExactSentence) {
  static constexpr Refusal kTable[] = {
      {"",
       R"(the body is empty; it must be a JSON object such as {"url": "https://example.com/cat.jpg"})"},
      {"{}", R"(the field 'url' is missing; send {"url": "https://example.com/cat.jpg"})"},
      {R"({"url":""})", "url is 0 bytes long; it must be 1 to 8192"},
      {R"({"url":5})", "url is 5; it must be a string"},
      {R"({"url":null})", "url is null; it must be a string"},
      {R"({"url":["https://a"]})", "url is an array; it must be a string"},
      {R"({"url":"https://a","url":"https://b"})", "the field 'url' is given twice"},
      {R"({"ur":"https://a"})", "unknown field 'ur'; did you mean 'url'?"},
      {R"({"uri":"https://a"})", "unknown field 'uri'; did you mean 'url'?"},
      {R"({"URL":"https://a"})", "unknown field 'URL'; accepted are: url, model, version, top_k"},
      {R"({"image":"AAAA"})", "unknown field 'image'; accepted are: url, model, version, top_k"},
      {R"({"url":"https://a","top_k":0})", "top_k is 0; it must be an integer from 1 to 1000"},
      {R"({"url":"https://a","version":false})",
       "version is false; it must be a string or a positive integer"},
      {R"({"url":"\u00"})",
       R"(the body is not valid JSON at byte 8: \u must be followed by 4 hexadecimal digits)"},
      {R"({"url":"https://a"}x)",
       "the body is not valid JSON at byte 19: expected the end of the body, found 'x'"},
      {R"("https://a")",
       R"(the body is not a JSON object; it must be one such as {"url": "https://example.com/cat.jpg"})"},
  };
  expect_refusals(kTable, parse_classify_url);
}

TEST(ParseClassifyUrl, ReadsAUrlAndLimitsItsLength) {
  const auto request =
      parse_classify_url(R"({"url":"https:\/\/example.com\/a.jpg","model":"m","version":2})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->url, "https://example.com/a.jpg");
  EXPECT_TRUE(request->image.empty());
  EXPECT_EQ(request->model.name, "m");
  EXPECT_EQ(request->model.version, "2");
  EXPECT_TRUE(parse_classify_url(R"({"url":")" + std::string(8192, 'u') + "\"}"));
  const auto longer = parse_classify_url(R"({"url":")" + std::string(8193, 'u') + "\"}");
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().message, "url is 8193 bytes long; it must be 1 to 8192");
}

}  // namespace
}  // namespace podsense::protocol
