#include "protocol/form.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

#include "base/base64.h"
#include "protocol/refusals_testing.h"

namespace podsense::protocol {
namespace {

TEST(DecodeBase64, RefusesBadInputWithItsOffset) {
  static constexpr Refusal kTable[] = {
      {"A", "the text is not base64: the text ends inside a byte at offset 1"},
      {"AAAAA", "the text is not base64: the text ends inside a byte at offset 5"},
      {"AA=", "the text is not base64: the padding is incomplete at offset 3"},
      {"=", "the text is not base64: padding in the wrong place at offset 0"},
      {"==", "the text is not base64: padding in the wrong place at offset 0"},
      {"A=", "the text is not base64: padding in the wrong place at offset 1"},
      {"AA===", "the text is not base64: nothing may follow the padding at offset 4"},
      {"AA=A", "the text is not base64: nothing may follow the padding at offset 3"},
      {"AA==AA", "the text is not base64: nothing may follow the padding at offset 4"},
      {"AA==A", "the text is not base64: nothing may follow the padding at offset 4"},
      {"AAA==", "the text is not base64: nothing may follow the padding at offset 4"},
      {"AA = = =", "the text is not base64: nothing may follow the padding at offset 7"},
      {"****", "the text is not base64: '*' at offset 0"},
      {"AAA*", "the text is not base64: '*' at offset 3"},
      {"AAAA*", "the text is not base64: '*' at offset 4"},
      {std::string_view("AAAAAAAAAAAAAAAAAAAA\000", 21),
       "the text is not base64: 0x00 at offset 20"},
      {"\377", "the text is not base64: 0xFF at offset 0"},
      {"AAAA AAA\177", "the text is not base64: 0x7F at offset 8"},
      {"AA AA*", "the text is not base64: '*' at offset 5"},
  };
  expect_refusals(kTable, decode_base64);
}

TEST(DecodeBase64, ReadsBackWhatWasEncoded) {
  std::mt19937 random(7);
  for (std::size_t size = 0; size < 300; ++size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random());
    }
    for (const Padding padding : {Padding::kEquals, Padding::kNone}) {
      std::string text = encode_base64(bytes, padding);
      EXPECT_EQ(decode_base64(text).value(), bytes);
      for (std::size_t at = 60; at < text.size(); at += 62) {
        text.insert(at, "\r\n");
      }
      EXPECT_EQ(decode_base64(text).value(), bytes);
    }
  }
}

TEST(DecodeBase64, TakesBothAlphabetsAndWhiteSpace) {
  EXPECT_EQ(decode_base64("-_-_").value(), decode_base64("+/+/").value());
  EXPECT_EQ(decode_base64(" a G V s\tb\nG\r8\f\v= ").value(), "hello");
  EXPECT_EQ(decode_base64("AA").value(), std::string(1, '\0'));
  EXPECT_EQ(decode_base64("").value(), "");
  EXPECT_EQ(decode_base64(" \n").value(), "");
}

TEST(MediaType, IsLowerCaseWithoutParameters) {
  EXPECT_EQ(media_type("image/JPEG"), "image/jpeg");
  EXPECT_EQ(media_type(" Multipart/Form-Data ; boundary=x"), "multipart/form-data");
  EXPECT_EQ(media_type("application/vnd.api+json;charset=utf-8"), "application/vnd.api+json");
  for (const std::string_view bad : {"", "image", "/", "image/", "/png", "image/p ng", "a/b/c",
                                     "image/png,image/jpeg", "im age/png", ";", "\xC3\xA9/x"}) {
    EXPECT_EQ(media_type(bad), "") << bad;
  }
}

TEST(MediaType, OfJsonIsThatOrWhatClientsSendByHabit) {
  for (const std::string_view type : {"", "application/json", "text/json", "application/ld+json",
                                      "application/x-www-form-urlencoded", "text/plain"}) {
    EXPECT_TRUE(may_be_json(type)) << type;
  }
  for (const std::string_view type : {"text/html", "application/jsonp", "image/png"}) {
    EXPECT_FALSE(may_be_json(type)) << type;
  }
}

TEST(DecodeSegment, UndoesEscapesAndKeepsBrokenOnes) {
  EXPECT_EQ(decode_segment("a%20b+c%2F%3a"), "a b+c/:");
  EXPECT_EQ(decode_segment("%"), "%");
  EXPECT_EQ(decode_segment("%4"), "%4");
  EXPECT_EQ(decode_segment("%4g%41"), "%4gA");
  EXPECT_EQ(decode_segment("%2541"), "%41");
}

TEST(MediaParameter, IsUnquoted) {
  EXPECT_EQ(media_parameter("multipart/form-data; boundary=abc", "boundary"), "abc");
  EXPECT_EQ(media_parameter("a/b;x=1 ; BOUNDARY = \"a;b c\" ; y=2", "boundary"), "a;b c");
  EXPECT_EQ(media_parameter(R"(a/b; x="q\"\\z")", "x"), R"(q"\z)");
  EXPECT_EQ(media_parameter("a/b;;; x=1;", "x"), "1");
  EXPECT_EQ(media_parameter("a/b; x=", "x"), "");
  EXPECT_EQ(media_parameter("a/b; x=\"\"", "x"), "");
  EXPECT_EQ(media_parameter("a/b; x=1; x=2", "x"), "1");
  for (const std::string_view bad : {"a/b", "a/b; xx=1", "a/b; x", "a/b; x=\"1", "a/b; x=\"1\"y",
                                     "a/b; x=\"1\\", "a/b; (=1; x=2", "a/b; =1; x=2", "x=1"}) {
    EXPECT_EQ(media_parameter(bad, "x"), std::nullopt) << bad;
  }
}

template <class Request>
Result<void> apply(std::string_view text) {
  const auto query = parse_query(text);
  if (!query) {
    return tl::unexpected(query.error());
  }
  Request request;
  return apply_query(*query, request);
}

TEST(Query, LeavesOutWhatIsForOthers) {
  const auto query = parse_query("_=1&utm_source=a&top_k=2&gclid&_=2&timestamp=3&%5Ft=4");
  ASSERT_TRUE(query);
  ASSERT_EQ(query->size(), 1U);
  EXPECT_EQ(query->front().name, "top_k");
  EXPECT_EQ(parse_query("t=1&utm=2&v=3")->size(), 3U) << "may be meant for us";
}

TEST(Query, RefusesBadInputForClassify) {
  static constexpr Refusal kTable[] = {
      {"a=1", "unknown query parameter 'a'; accepted are: model, version, top_k, thumbnail"},
      {"model=a&model=b",
       "query parameter 'model' is given twice; accepted once each are: model, version, top_k, "
       "thumbnail"},
      {"top_k=0", "top_k is '0'; it must be an integer from 1 to 1000"},
      {"top_k=", "top_k is ''; it must be an integer from 1 to 1000"},
      {"top_k", "top_k is ''; it must be an integer from 1 to 1000"},
      {"top_k=1001", "top_k is '1001'; it must be an integer from 1 to 1000"},
      {"top_k=5x", "top_k is '5x'; it must be an integer from 1 to 1000"},
      {"top_k= 5", "top_k is ' 5'; it must be an integer from 1 to 1000"},
      {"top_k=+5", "top_k is ' 5'; it must be an integer from 1 to 1000"},
      {"top_k=-1", "top_k is '-1'; it must be an integer from 1 to 1000"},
      {"top_k=4294967301", "top_k is '4294967301'; it must be an integer from 1 to 1000"},
      {"topk=1", "unknown query parameter 'topk'; accepted are: model, version, top_k, thumbnail"},
      {"cpu_ms=1",
       "unknown query parameter 'cpu_ms'; accepted are: model, version, top_k, thumbnail"},
      {"model=%", "the query holds the bad escape '%'; a '%' is written %25"},
      {"model=%4", "the query holds the bad escape '%4'; a '%' is written %25"},
      {"model=%zz", "the query holds the bad escape '%zz'; a '%' is written %25"},
      {"model=%00", "the query holds a NUL character"},
      {std::string_view("model=\000", 7), "the query holds a NUL character"},
      {"model=%ff", "the query is not UTF-8"},
      {"model=%c3%28", "the query is not UTF-8"},
      {"model=mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm",
       "model is 65 characters long; it must be at most 64 printable characters"},
      {"model=a%0Ab",
       "model holds a control character; it must be at most 64 printable characters"},
      {"=1", "unknown query parameter ''; accepted are: model, version, top_k, thumbnail"},
      {"%=1", "the query holds the bad escape '%'; a '%' is written %25"},
      {"a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a="
       "1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1&a=1",
       "the query has more than 32 parameters"},
      {"model=a&Model=b",
       "unknown query parameter 'Model'; accepted are: model, version, top_k, thumbnail"},
  };
  expect_refusals(kTable, apply<ClassifyRequest>);
}

TEST(Query, RefusesBadInputForRows) {
  static constexpr Refusal kTable[] = {
      {"top_k=5", "unknown query parameter 'top_k'; accepted are: model, version"},
      {"model=a&version=1&version=2",
       "query parameter 'version' is given twice; accepted once each are: model, version"},
      {"x", "unknown query parameter 'x'; accepted are: model, version"},
  };
  expect_refusals(kTable, apply<RowsRequest>);
}

TEST(Query, RefusesBadInputForSimulate) {
  static constexpr Refusal kTable[] = {
      {"cpu_ms=", "cpu_ms is ''; it must be a number from 0 to 60000"},
      {"cpu_ms=x", "cpu_ms is 'x'; it must be a number from 0 to 60000"},
      {"cpu_ms=-1", "cpu_ms is '-1'; it must be a number from 0 to 60000"},
      {"cpu_ms=60001", "cpu_ms is '60001'; it must be a number from 0 to 60000"},
      {"cpu_ms=nan", "cpu_ms is 'nan'; it must be a number from 0 to 60000"},
      {"cpu_ms=inf", "cpu_ms is 'inf'; it must be a number from 0 to 60000"},
      {"cpu_ms=1e999", "cpu_ms is '1e999'; it must be a number from 0 to 60000"},
      {"cpu_ms=0x10", "cpu_ms is '0x10'; it must be a number from 0 to 60000"},
      {"cpu_ms=1ms", "cpu_ms is '1ms'; it must be a number from 0 to 60000"},
      {"cpu_ms=%201", "cpu_ms is ' 1'; it must be a number from 0 to 60000"},
      {"top_k=1", "unknown query parameter 'top_k'; accepted are: model, version, cpu_ms"},
  };
  expect_refusals(kTable, apply<SimulateRequest>);
}

TEST(Query, DecodesPercentAndPlus) {
  const auto query = parse_query("a=1&&b=x+y%20z&%63=%C3%A9%2B&d&e=f=g&");
  ASSERT_TRUE(query) << query.error().message;
  const auto shown = [&] {
    std::string out;
    for (const auto& [name, value] : *query) {
      out += name + "[" + value + "]";
    }
    return out;
  };
  EXPECT_EQ(shown(), "a[1]b[x y z]c[é+]d[]e[f=g]");
  EXPECT_TRUE(parse_query("")->empty());
}

TEST(Query, OverridesWhatTheBodySaid) {
  ClassifyRequest classify{.model = {.name = "body", .version = "1"}, .image = {}, .url = {}};
  ASSERT_TRUE(apply_query(*parse_query("model=m&top_k=1000"), classify));
  EXPECT_EQ(classify.model.name, "m");
  EXPECT_EQ(classify.model.version, "1");
  EXPECT_EQ(classify.top_k, 1000U);
  SimulateRequest simulate;
  EXPECT_FALSE(classify.thumbnail);
  ASSERT_TRUE(apply_query(*parse_query("thumbnail=true"), classify));
  EXPECT_TRUE(classify.thumbnail);
  ASSERT_TRUE(apply_query(*parse_query("thumbnail=false"), classify));
  EXPECT_FALSE(classify.thumbnail);
  EXPECT_EQ(apply_query(*parse_query("thumbnail=1"), classify).error().message,
            "thumbnail is '1'; it must be true or false");
  ASSERT_TRUE(apply_query(*parse_query("cpu_ms=2.5&version=3"), simulate));
  EXPECT_EQ(simulate.cpu, std::chrono::microseconds(2500));
  EXPECT_EQ(simulate.model.version, "3");
  RowsRequest rows;
  ASSERT_TRUE(apply_query(*parse_query("model=rf"), rows));
  EXPECT_EQ(rows.model.name, "rf");
}

}  // namespace
}  // namespace podsense::protocol
