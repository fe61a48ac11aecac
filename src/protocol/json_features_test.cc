#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "protocol/json_codec.h"
#include "protocol/json_syntax.h"
#include "protocol/refusals_testing.h"

namespace podsense::protocol {
namespace {

TEST(ParseFeatures, RefusesBadInputWithOneExactSentence) {
  static constexpr Refusal kTable[] = {
      {"", R"(the body is empty; it must be a JSON object such as {"features": [0.5, 1, 2]})"},
      {"  \r\n\t",
       R"(the body is empty; it must be a JSON object such as {"features": [0.5, 1, 2]})"},
      {"{}", R"(the field 'features' is missing; send {"features": [0.5, 1, 2]})"},
      {"[]", R"(the body is not a JSON object; it must be one such as {"features": [0.5, 1, 2]})"},
      {"[1,2]",
       R"(the body is not a JSON object; it must be one such as {"features": [0.5, 1, 2]})"},
      {"1", R"(the body is not a JSON object; it must be one such as {"features": [0.5, 1, 2]})"},
      {"null",
       R"(the body is not a JSON object; it must be one such as {"features": [0.5, 1, 2]})"},
      {"true",
       R"(the body is not a JSON object; it must be one such as {"features": [0.5, 1, 2]})"},
      {R"("features")",
       R"(the body is not a JSON object; it must be one such as {"features": [0.5, 1, 2]})"},
      {"{",
       "the body is not valid JSON at byte 1: expected a field name in double quotes, found the "
       "end of the body"},
      {"}", "the body is not valid JSON at byte 0: expected a value, found '}'"},
      {R"({"features")",
       "the body is not valid JSON at byte 11: expected ':' after a field name, found the end of "
       "the body"},
      {R"({"features":)",
       "the body is not valid JSON at byte 12: expected a value, found the end of the body"},
      {R"({"features":})", "the body is not valid JSON at byte 12: expected a value, found '}'"},
      {R"({"features":[)",
       "the body is not valid JSON at byte 13: expected a value, found the end of the body"},
      {R"({"features":[1)",
       "the body is not valid JSON at byte 14: expected ',' or ']' after an element, found the end "
       "of the body"},
      {R"({"features":[1,)",
       "the body is not valid JSON at byte 15: expected a value, found the end of the body"},
      {R"({"features":[1])",
       "the body is not valid JSON at byte 15: expected ',' or '}' after a field, found the end of "
       "the body"},
      {R"({"features":[1]}})",
       "the body is not valid JSON at byte 16: expected the end of the body, found '}'"},
      {R"({"features":[1]} x)",
       "the body is not valid JSON at byte 17: expected the end of the body, found 'x'"},
      {R"({"features":[1]},)",
       "the body is not valid JSON at byte 16: expected the end of the body, found ','"},
      {R"({"features":[1]}{"features":[2]})",
       "the body is not valid JSON at byte 16: expected the end of the body, found '{'"},
      {R"({"features":[1]} [])",
       "the body is not valid JSON at byte 17: expected the end of the body, found '['"},
      {std::string_view("{\"features\":[1]}\000", 17),
       "the body is not valid JSON at byte 16: expected the end of the body, found 0x00"},
      {R"({"features":[1],})",
       "the body is not valid JSON at byte 16: expected a field name in double quotes, found '}'"},
      {R"({,"features":[1]})",
       "the body is not valid JSON at byte 1: expected a field name in double quotes, found ','"},
      {R"({"features":[1];"model":"a"})",
       "the body is not valid JSON at byte 15: expected ',' or '}' after a field, found ';'"},
      {R"({"features"=[1]})",
       "the body is not valid JSON at byte 11: expected ':' after a field name, found '='"},
      {R"({"features" [1]})",
       "the body is not valid JSON at byte 12: expected ':' after a field name, found '['"},
      {"{features:[1]}",
       "the body is not valid JSON at byte 1: expected a field name in double quotes, found 'f'"},
      {"{'features':[1]}",
       "the body is not valid JSON at byte 1: expected a field name in double quotes, found '''"},
      {"{1:[1]}",
       "the body is not valid JSON at byte 1: expected a field name in double quotes, found '1'"},
      {"{null:1}",
       "the body is not valid JSON at byte 1: expected a field name in double quotes, found 'n'"},
      {R"({"features":[1]:})",
       "the body is not valid JSON at byte 15: expected ',' or '}' after a field, found ':'"},
      {R"({"features":[1})",
       "the body is not valid JSON at byte 14: expected ',' or ']' after an element, found '}'"},
      {R"({"features":[1]])",
       "the body is not valid JSON at byte 15: expected ',' or '}' after a field, found ']'"},
      {std::string_view("\000", 1),
       "the body is not valid JSON at byte 0: expected a value, found 0x00"},
      {"nul", "the body is not valid JSON at byte 0: 'nul' is not a JSON value"},
      {"<html>", "the body is not valid JSON at byte 0: '<html>' is not a JSON value"},
      {"features=1", "the body is not valid JSON at byte 0: 'features=1' is not a JSON value"},
      {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
       "the body is not valid JSON at byte 0: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' "
       "is not a JSON value"},
      {"// comment\n{\"features\":[1]}",
       "the body is not valid JSON at byte 0: '//' is not a JSON value"},
      {R"({"features":[1] /* c */})",
       "the body is not valid JSON at byte 16: expected ',' or '}' after a field, found '/'"},
      {R"({"features":["1"]})",
       "features[0] is a string; it must be a finite number, or null where it is missing"},
      {R"({"features":[""]})",
       "features[0] is a string; it must be a finite number, or null where it is missing"},
      {R"({"features":[true]})",
       "features[0] is true; it must be a finite number, or null where it is missing"},
      {R"({"features":[false]})",
       "features[0] is false; it must be a finite number, or null where it is missing"},
      {R"({"features":[{}]})",
       "features[0] is an object; it must be a finite number, or null where it is missing"},
      {R"({"features":[[]]})",
       "features[0] is an array; it must be a finite number, or null where it is missing"},
      {R"({"features":[[1]]})",
       "features[0] is an array; it must be a finite number, or null where it is missing"},
      {R"({"features":[{"a":1}]})",
       "features[0] is an object; it must be a finite number, or null where it is missing"},
      {R"({"features":[1,"2"]})",
       "features[1] is a string; it must be a finite number, or null where it is missing"},
      {R"({"features":[1,2,3,"4"]})",
       "features[3] is a string; it must be a finite number, or null where it is missing"},
      {R"({"features":[nan]})",
       "features[0] is nan; it must be a finite number, or null where it is missing"},
      {R"({"features":[-NaN]})",
       "features[0] is -NaN; it must be a finite number, or null where it is missing"},
      {R"({"features":[1,Infinity]})",
       "features[1] is Infinity; it must be a finite number, or null where it is missing"},
      {R"({"features":[-Infinity]})",
       "features[0] is -Infinity; it must be a finite number, or null where it is missing"},
      {R"({"features":[+Infinity]})",
       "features[0] is +Infinity; it must be a finite number, or null where it is missing"},
      {R"({"features":[inf]})",
       "features[0] is inf; it must be a finite number, or null where it is missing"},
      {R"({"features":[1e400]})",
       "features[0] is 1e400; it must be within ±3.4028235e+38 (32-bit float)"},
      {R"({"features":[-1e400]})",
       "features[0] is -1e400; it must be within ±3.4028235e+38 (32-bit float)"},
      {R"({"features":[3.4028236e38]})",
       "features[0] is 3.4028236e38; it must be within ±3.4028235e+38 (32-bit float)"},
      {R"({"features":[-3.5e38]})",
       "features[0] is -3.5e38; it must be within ±3.4028235e+38 (32-bit float)"},
      {R"({"features":[1e39]})",
       "features[0] is 1e39; it must be within ±3.4028235e+38 (32-bit float)"},
      {R"({"features":[99999999999999999999999999999999999999999999999999]})",
       "features[0] is 9999999999999999999999999999999999999...; it must be within ±3.4028235e+38 "
       "(32-bit float)"},
      {R"({"features":[01]})", "the body is not valid JSON at byte 13: '01' is not a JSON value"},
      {R"({"features":[-01]})", "the body is not valid JSON at byte 13: '-01' is not a JSON value"},
      {R"({"features":[00]})", "the body is not valid JSON at byte 13: '00' is not a JSON value"},
      {R"({"features":[1.]})", "the body is not valid JSON at byte 13: '1.' is not a JSON value"},
      {R"({"features":[.5]})", "the body is not valid JSON at byte 13: '.5' is not a JSON value"},
      {R"({"features":[-]})", "the body is not valid JSON at byte 13: '-' is not a JSON value"},
      {R"({"features":[-.5]})", "the body is not valid JSON at byte 13: '-.5' is not a JSON value"},
      {R"({"features":[+1]})", "the body is not valid JSON at byte 13: '+1' is not a JSON value"},
      {R"({"features":[0x10]})",
       "the body is not valid JSON at byte 13: '0x10' is not a JSON value"},
      {R"({"features":[1e]})", "the body is not valid JSON at byte 13: '1e' is not a JSON value"},
      {R"({"features":[1e+]})", "the body is not valid JSON at byte 13: '1e+' is not a JSON value"},
      {R"({"features":[1E-]})", "the body is not valid JSON at byte 13: '1E-' is not a JSON value"},
      {R"({"features":[1.5.5]})",
       "the body is not valid JSON at byte 13: '1.5.5' is not a JSON value"},
      {R"({"features":[1_000]})",
       "the body is not valid JSON at byte 13: '1_000' is not a JSON value"},
      {R"({"features":[1,000,]})",
       "the body is not valid JSON at byte 15: '000' is not a JSON value"},
      {R"({"features":[1 2]})",
       "the body is not valid JSON at byte 15: expected ',' or ']' after an element, found '2'"},
      {R"({"features":[1,]})",
       "the body is not valid JSON at byte 15: expected a value, found ']'"},
      {R"({"features":[1,,2]})",
       "the body is not valid JSON at byte 15: expected a value, found ','"},
      {R"({"features":[,1]})",
       "the body is not valid JSON at byte 13: expected a value, found ','"},
      {R"({"features":[,]})", "the body is not valid JSON at byte 13: expected a value, found ','"},
      {R"({"features":[1:2]})",
       "the body is not valid JSON at byte 14: expected ',' or ']' after an element, found ':'"},
      {R"({"features":[1;2]})", "the body is not valid JSON at byte 13: '1;2' is not a JSON value"},
      {R"({"features":[tru]})", "the body is not valid JSON at byte 13: 'tru' is not a JSON value"},
      {R"({"features":[True]})",
       "the body is not valid JSON at byte 13: 'True' is not a JSON value"},
      {R"({"features":[None]})",
       "the body is not valid JSON at byte 13: 'None' is not a JSON value"},
      {R"({"features":[nulll]})",
       "the body is not valid JSON at byte 13: 'nulll' is not a JSON value"},
      {R"({"features":[undefined]})",
       "the body is not valid JSON at byte 13: 'undefined' is not a JSON value"},
      {R"({"features":[1f]})", "the body is not valid JSON at byte 13: '1f' is not a JSON value"},
      {R"({"features":[1.0f]})",
       "the body is not valid JSON at byte 13: '1.0f' is not a JSON value"},
      {R"({"features":[--1]})", "the body is not valid JSON at byte 13: '--1' is not a JSON value"},
      {R"({"features":[1-]})", "the body is not valid JSON at byte 13: '1-' is not a JSON value"},
      {R"({"features":[0b1]})", "the body is not valid JSON at byte 13: '0b1' is not a JSON value"},
      {R"({"features":[1a]})", "the body is not valid JSON at byte 13: '1a' is not a JSON value"},
      {"{\"features\":[\377]}",
       "the body is not valid JSON at byte 13: expected a value, found 0xFF"},
      {"{\"features\":[\200]}",
       "the body is not valid JSON at byte 13: expected a value, found 0x80"},
      {"{\"features\":[1\014]}", "the body is not valid JSON at byte 13: '1?' is not a JSON value"},
      {"{\"features\":[1\240]}", "the body is not valid JSON at byte 13: '1?' is not a JSON value"},
      {std::string_view("{\"features\":[1\000]}", 17),
       "the body is not valid JSON at byte 13: '1?' is not a JSON value"},
      {R"({"features":["a]})",
       "the body is not valid JSON at byte 13: a string without its closing quote"},
      {R"({"features":["\x"]})",
       "features[0] is a string; it must be a finite number, or null where it is missing"},
      {R"({"features":[- 1]})", "the body is not valid JSON at byte 13: '-' is not a JSON value"},
      {R"({"features":[1 e5]})",
       "the body is not valid JSON at byte 15: expected ',' or ']' after an element, found 'e'"},
      {R"({"features":{}})", "features holds no names; at least 1 is needed"},
      {R"({"features":{"a":{}}})",
       "features.a is an object; it must be a finite number, a string, true, false or null"},
      {R"({"features":{"a":1,"a":1}})", "features.a is given twice"},
      {R"({"features":1})", "features is 1; it must be an array of numbers"},
      {R"({"features":-1.5e3})", "features is -1.5e3; it must be an array of numbers"},
      {R"({"features":"1,2"})", "features is a string; it must be an array of numbers"},
      {R"({"features":null})", "features is null; it must be an array of numbers"},
      {R"({"features":true})", "features is true; it must be an array of numbers"},
      {R"({"features":NaN})", "features is NaN; it must be an array of numbers"},
      {R"({"features":[]})", "features holds 0 numbers; at least 1 is needed"},
      {R"({"features":[ ]})", "features holds 0 numbers; at least 1 is needed"},
      {"{\"features\":\"\303", "the body is not valid JSON at byte 13: 0xC3 is not UTF-8"},
      {R"({"features":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]})",
       "the body nests deeper than 16 levels at byte 27"},
      {R"({"features":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]})",
       "the body nests deeper than 16 levels at byte 27"},
      {R"({"features":[1],"x":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]})",
       "unknown field 'x'; accepted are: features, model, version, instances"},
      {R"({"features":[1],"features":[1]})", "the field 'features' is given twice"},
      {R"({"features":[1],"\u0066eatures":[1]})", "the field 'features' is given twice"},
      {R"({"feature":[1]})", "unknown field 'feature'; did you mean 'features'?"},
      {R"({"Features":[1]})", "unknown field 'Features'; did you mean 'features'?"},
      {R"({"featuers":[1]})", "unknown field 'featuers'; did you mean 'features'?"},
      {R"({"instances":[[1],[2]]})",
       "instances holds 2 rows; this takes 1, /predict-batch takes several"},
      {R"({"instances":[]})", "instances holds 0 rows; at least 1 is needed"},
      {R"({"instances":[[1]],"features":[1]})",
       "there are both features and instances; send one of them"},
      {R"({"features":[1],"modle":"a"})", "unknown field 'modle'; did you mean 'model'?"},
      {R"({"features":[1],"top_k":5})",
       "unknown field 'top_k'; accepted are: features, model, version, instances"},
      {R"({"features":[1],"":1})",
       "unknown field ''; accepted are: features, model, version, instances"},
      {R"({"features":[1],"a\nb":1})",
       "unknown field 'a?b'; accepted are: features, model, version, instances"},
      {R"({"features":[1],"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk":1})",
       "unknown field 'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk…'; accepted are: features, "
       "model, version, instances"},
      {R"({"features":[1],"model":"a","model":"b"})", "the field 'model' is given twice"},
      {R"({"features":[1],"version":1,"version":"1"})", "the field 'version' is given twice"},
      {R"({"features":[1],"model":1})", "model is 1; it must be a string of at most 64 characters"},
      {R"({"features":[1],"model":null})",
       "model is null; it must be a string of at most 64 characters"},
      {R"({"features":[1],"model":["a"]})",
       "model is an array; it must be a string of at most 64 characters"},
      {R"({"features":[1],"model":{}})",
       "model is an object; it must be a string of at most 64 characters"},
      {R"({"features":[1],"model":true})",
       "model is true; it must be a string of at most 64 characters"},
      {R"({"features":[1],"model":"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"})",
       "model is 65 characters long; it must be at most 64 printable characters"},
      {R"({"features":[1],"model":"a\u0000b"})",
       "model holds a control character; it must be at most 64 printable characters"},
      {R"({"features":[1],"model":"a\nb"})",
       "model holds a control character; it must be at most 64 printable characters"},
      {R"({"features":[1],"model":"a\u007f"})",
       "model holds a control character; it must be at most 64 printable characters"},
      {R"({"features":[1],"model":"\ud800"})",
       "the body is not valid JSON at byte 25: a lone surrogate; characters above U+FFFF are "
       "written as a pair"},
      {R"({"features":[1],"model":"\udc00"})",
       "the body is not valid JSON at byte 25: a lone surrogate; characters above U+FFFF are "
       "written as a pair"},
      {R"({"features":[1],"model":"\ud800\ud800"})",
       "the body is not valid JSON at byte 25: a lone surrogate; characters above U+FFFF are "
       "written as a pair"},
      {R"({"features":[1],"model":"\ud83dx"})",
       "the body is not valid JSON at byte 25: a lone surrogate; characters above U+FFFF are "
       "written as a pair"},
      {R"({"features":[1],"model":"\x41"})",
       "the body is not valid JSON at byte 25: an unknown escape in a string"},
      {R"({"features":[1],"model":"\u12g4"})",
       R"(the body is not valid JSON at byte 25: \u must be followed by 4 hexadecimal digits)"},
      {R"({"features":[1],"model":"\u12"})",
       R"(the body is not valid JSON at byte 25: \u must be followed by 4 hexadecimal digits)"},
      {R"({"features":[1],"model":"\"})",
       "the body is not valid JSON at byte 24: a string without its closing quote"},
      {"{\"features\":[1],\"model\":\"a\tb\"}",
       "the body is not valid JSON at byte 26: the control character 0x09 in a string must be "
       "escaped"},
      {"{\"features\":[1],\"model\":\"a\nb\"}",
       "the body is not valid JSON at byte 26: the control character 0x0A in a string must be "
       "escaped"},
      {R"({"features":[1],"model":"a})",
       "the body is not valid JSON at byte 24: a string without its closing quote"},
      {"{\"features\":[1],\"model\":\"\377\"}",
       "the body is not valid JSON at byte 25: 0xFF is not UTF-8"},
      {"{\"features\":[1],\"model\":\"\303(\"}",
       "the body is not valid JSON at byte 25: 0xC3 is not UTF-8"},
      {"{\"features\":[1],\"model\":\"\303\251\251\"}",
       "the body is not valid JSON at byte 27: 0xA9 is not UTF-8"},
      {"{\"features\":[1],\"model\":\"\300\200\"}",
       "the body is not valid JSON at byte 25: 0xC0 is not UTF-8"},
      {"{\"features\":[1],\"model\":\"\355\240\200\"}",
       "the body is not valid JSON at byte 25: 0xED is not UTF-8"},
      {"{\"features\":[1],\"model\":\"\364\220\200\200\"}",
       "the body is not valid JSON at byte 25: 0xF4 is not UTF-8"},
      {"{\"features\":[1],\"model\":\"\342\202\"}",
       "the body is not valid JSON at byte 25: 0xE2 is not UTF-8"},
      {R"({"features":[1],"version":0})",
       "version is 0; it must be a string or a positive integer"},
      {R"({"features":[1],"version":-1})",
       "version is -1; it must be a string or a positive integer"},
      {R"({"features":[1],"version":1.0})",
       "version is 1.0; it must be a string or a positive integer"},
      {R"({"features":[1],"version":1e2})",
       "version is 1e2; it must be a string or a positive integer"},
      {R"({"features":[1],"version":01})",
       "the body is not valid JSON at byte 26: '01' is not a JSON value"},
      {R"({"features":[1],"version":18446744073709551616})",
       "version is 18446744073709551616; it must be a string or a positive integer"},
      {R"({"features":[1],"version":null})",
       "version is null; it must be a string or a positive integer"},
      {R"({"features":[1],"version":[1]})",
       "version is an array; it must be a string or a positive integer"},
      {R"({"features":[1],"version":"11111111111111111111111111111111111111111111111111111111111111111"})",
       "version is 65 characters long; it must be at most 64 printable characters"},
      {R"({"features":[1],"version":"\q"})",
       "the body is not valid JSON at byte 27: an unknown escape in a string"},
  };
  expect_refusals(kTable, of_numbers(parse_features));
}

class NamedFeatures : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(
    Of, NamedFeatures,
    testing::Values(
        R"({"features":{"age":41,"size":-1.5,"city":"K\u00f6ln","member":true,"income":null}})",
        R"({"instances":[{"age":41,"size":-1.5,"city":"K\u00f6ln","member":true,"income":null}]})"));

TEST_P(NamedFeatures, AreReadWithValuesOfEveryType) {
  const auto request = parse_features(GetParam());
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->rows, 1U);
  ASSERT_TRUE(request->named);
  EXPECT_THAT(request->named->names,
              testing::ElementsAre("age", "size", "city", "member", "income"));
  const auto cell = [&](std::size_t at) { return request->named->columns.at(at).at(0); };
  EXPECT_EQ(cell(0), Cell(std::int64_t{41}));
  EXPECT_EQ(cell(1), Cell(-1.5));
  EXPECT_EQ(cell(2), Cell(std::string("Köln")));
  EXPECT_EQ(cell(3), Cell(true));
  EXPECT_EQ(cell(4), Cell());
}

TEST(ParseFeatures, DoublesCanBeReadAgainExactly) {
  for (const std::string_view json :
       {R"({"model":"m","features":[0.1,null,1e30]})", R"({"instances":[[0.1,null],[1e30,7]]})"}) {
    const auto values = read_exact_values(json);
    ASSERT_TRUE(values) << values.error().message;
    EXPECT_EQ(values->at(0), 0.1);
    EXPECT_TRUE(std::isnan(values->at(1)));
  }
}

TEST(ParseFeatures, ReadsNumbersOfAnyLengthAsNear) {
  const std::string digits = "69999999999999995559107901499373838305473327636718750000000000000000";
  for (const std::string start :
       {"0.", "-0.", "0.000", "7.", "-12345678.", "1", "0.0000000000000000000000"}) {
    for (std::size_t length = 1; length <= digits.size(); ++length) {
      for (const std::string end : {"", "e-7", "E+12"}) {
        const std::string number = start + digits.substr(0, length) + end;
        const double nearest = std::strtod(number.c_str(), nullptr);
        if (std::abs(nearest) > std::numeric_limits<float>::max()) {
          continue;
        }
        const std::string json = R"({"features":[)" + number + " ]}";
        const auto request = parse_features(json);
        ASSERT_TRUE(request) << number << ": " << request.error().message;
        ASSERT_EQ(request->values.at(0), static_cast<float>(nearest)) << number;
        const auto exact = read_exact_values(json);
        ASSERT_TRUE(exact) << number;
        ASSERT_EQ(exact->at(0), nearest) << number;
      }
    }
  }
}

TEST(ParseFeatures, TakesOneInstance) {
  const auto request = parse_features(R"({"instances":[[0.5,1]],"model":"m"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->rows, 1U);
  EXPECT_EQ(request->values, (std::vector<float>{0.5F, 1.0F}));
  const auto cells = parse_features(R"({"instances":[["Berlin",41]]})");
  ASSERT_TRUE(cells) << cells.error().message;
  ASSERT_TRUE(cells->cells);
  EXPECT_EQ(cells->cells->cells.size(), 2U);
}

TEST(ParseFeatures, ReadsNumbersInAllTheirForms) {
  const auto request = parse_features(
      R"( {"features" : [0, -0, 1.5, -2e-3, 1E+2, 123456789012345678901, 1e-400, 3.4028234e38] } )");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->rows, 1U);
  EXPECT_EQ(request->columns, 8U);
  EXPECT_EQ(request->values, (std::vector<float>{0.0F, -0.0F, 1.5F, -2e-3F, 100.0F,
                                                 123456789012345678901.0F, 0.0F, 3.4028234e38F}));
  EXPECT_TRUE(std::signbit(request->values[1]));
  EXPECT_TRUE(request->model.name.empty());
  EXPECT_TRUE(request->model.version.empty());
}

TEST(ParseFeatures, ReadsModelAndVersionInAnyOrder) {
  const auto request =
      parse_features(R"({"version":7,"f\u0065atures":[1],"model":"caf\u00e9 \ud83d\ude00"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model.name, "café 😀");
  EXPECT_EQ(request->model.version, "7");
  EXPECT_EQ(parse_features(R"({"features":[1],"version":"v2"})")->model.version, "v2");
  EXPECT_EQ(parse_features(R"({"features":[1],"version":18446744073709551615})")->model.version,
            "18446744073709551615");
}

TEST(ParseFeatures, CountsCharactersOfAModelsName) {
  std::string name;
  for (int i = 0; i < 64; ++i) {
    name += "é";
  }
  EXPECT_TRUE(parse_features(R"({"features":[1],"model":")" + name + "\"}"));
  EXPECT_FALSE(parse_features(R"({"features":[1],"model":"x)" + name + "\"}"));
}

std::string row_of(std::size_t count) {
  std::string out = "[0";
  for (std::size_t i = 1; i < count; ++i) {
    out += ",0";
  }
  return out + "]";
}

TEST(ParseFeatures, LimitsColumns) {
  const auto most = parse_features(R"({"features":)" + row_of(kMaxColumns) + "}");
  ASSERT_TRUE(most) << most.error().message;
  EXPECT_EQ(most->columns, kMaxColumns);
  const auto more = parse_features(R"({"features":)" + row_of(kMaxColumns + 1) + "}");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(more.error().message, "features holds more than 65536 numbers");
}

TEST(ParseFeatures, SurvivesAnyCutOfAGoodBody) {
  const std::string good = R"({"features":[1.25,-3e2],"model":"a\u00e9","version":12})";
  ASSERT_TRUE(parse_features(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_features(good.substr(0, size))) << size;
  }
}

TEST(ParseFeatures, WorksAgainAfterARefusalAndAfterALargeBody) {
  const std::string large = R"({"features":["x"],"model":")" + std::string(5'000'000, 'a') + "\"}";
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(parse_features(large));
    EXPECT_FALSE(parse_features("{"));
    EXPECT_TRUE(parse_features(R"({"features":[1]})"));
  }
}

TEST(ParseFeatures, RefusesDeepNestingWithoutDescending) {
  const std::string deep(1'000'000, '[');
  const auto result = parse_features(R"({"features":)" + deep + "}");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "the body nests deeper than 16 levels at byte 27");
}

TEST(JsonFault, AcceptsSixteenLevelsAndNoMore) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_FALSE(json_fault(nested(16)));
  ASSERT_TRUE(json_fault(nested(17)));
  EXPECT_TRUE(json_fault(nested(17))->too_deep);
}

TEST(JsonFeatures, MissingValuesAreNaN) {
  for (const char* body : {R"({"features":[1,null,3]})", R"({"features":[1,NaN,3]})",
                           "{\"features\":[1, NaN\n,3]}", R"({"features":[1,null ,3]})"}) {
    const auto request = parse_features(body);
    ASSERT_TRUE(request) << body << ": " << request.error().message;
    ASSERT_EQ(request->values.size(), 3U);
    EXPECT_TRUE(std::isnan(request->values[1])) << body;
    EXPECT_EQ(request->values[2], 3) << body;
  }
  EXPECT_FALSE(parse_features(R"({"features":[nul]})"));
  EXPECT_FALSE(parse_features(R"({"features":[nulls]})"));
  EXPECT_FALSE(parse_features(R"({"features":[NaNa]})"));
}

}  // namespace
}  // namespace podsense::protocol
