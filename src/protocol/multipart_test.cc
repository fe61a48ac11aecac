#include <gtest/gtest.h>

#include <string>

#include "protocol/form.h"
#include "protocol/refusals_testing.h"

namespace podsense::protocol {
namespace {

Result<std::vector<FormPart>> parse(std::string_view body) {
  return parse_multipart(body, "b");
}
Result<Pictures> classify(std::string_view body) {
  return classify_from_form(body, "b");
}

TEST(Multipart, RefusesBadInputWithOneExactSentence) {
  static constexpr Refusal kTable[] = {
      {"", "the form does not hold its boundary 'b'"},
      {"hello", "the form does not hold its boundary 'b'"},
      {"--b", "the form does not hold its boundary 'b'"},
      {"--b\r\n", "form part 1 ends inside its headers"},
      {"--bb\r\n", "the form does not hold its boundary 'b'"},
      {"--B--", "the form does not hold its boundary 'b'"},
      {"--b\n\n", "lines of a multipart form must end in CR LF, not in LF alone"},
      {"--b\nContent-Disposition: form-data; name=\"image\"\n\nx\n--b--\n",
       "lines of a multipart form must end in CR LF, not in LF alone"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx",
       "the form ends without its closing delimiter; it was cut short"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\r\n--b",
       "the form ends without its closing delimiter; it was cut short"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\n--b--\r\n",
       "the form ends without its closing delimiter; it was cut short"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx--b--\r\n",
       "the form ends without its closing delimiter; it was cut short"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\r\n--bx\r\n",
       "the form ends without its closing delimiter; it was cut short"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx\r\n--b \t\r\n",
       "form part 2 ends inside its headers"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n",
       "form part 1 ends inside its headers"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"",
       "form part 1 ends inside its headers"},
      {"--b\r\n\r\nx\r\n--b--\r\n",
       R"(form part 1 has no name; send Content-Disposition: form-data; name="image")"},
      {"--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n",
       R"(form part 1 has no name; send Content-Disposition: form-data; name="image")"},
      {"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
       R"(form part 1 has no name; send Content-Disposition: form-data; name="image")"},
      {"--b\r\nContent-Disposition: attachment; name=\"image\"\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has Content-Disposition 'attachment'; it must be form-data"},
      {"--b\r\nContent-Disposition: ; name=\"image\"\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has Content-Disposition ''; it must be form-data"},
      {"--b\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nx\r\n--b--\r\n",
       R"(form part 1 has no name; send Content-Disposition: form-data; name="image")"},
      {"--b\r\nContent-Disposition: form-data; filename=\"a.png\"\r\n\r\nx\r\n--b--\r\n",
       R"(form part 1 has no name; send Content-Disposition: form-data; name="image")"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed Content-Disposition header"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"x\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed Content-Disposition header"},
      {"--b\r\nContent-Disposition: form-data; name\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed Content-Disposition header"},
      {"--b\r\nContent-Disposition: form-data; na me=\"a\"\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed Content-Disposition header"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"; name=\"b\"\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has two names"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; "
       "name=\"b\"\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has two Content-Disposition headers"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n folded\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed header line"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nno colon\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed header line"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n: x\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed header line"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nX : y\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed header line"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\001\"\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has a malformed header line"},
      {std::string_view(
           "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nX: \000\r\n\r\nx\r\n--b--\r\n",
           65),
       "form part 1 has a malformed header line"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: "
       "base64\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has Content-Transfer-Encoding 'base64'; send the bytes as they are"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: "
       "quoted-printable\r\n\r\nx\r\n--b--\r\n",
       "form part 1 has Content-Transfer-Encoding 'quoted-printable'; send the bytes as they are"},
      {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b\r\nContent-Disposition: "
       "form-data; name=\"c\"\r\n\r\nx",
       "the form ends without its closing delimiter; it was cut short"},
  };
  expect_refusals(kTable, parse);
}

TEST(ClassifyFromForm, RefusesBadInputWithOneExactSentence) {
  static constexpr Refusal kTable[] = {
      {"--b--\r\n", "the form holds no image; send it as the part 'image'"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n\r\n--b--\r\n",
       "the form part 'image' is empty; it must hold the bytes of an image"},
      {"--b\r\nContent-Disposition: form-data; name=\"picture\"\r\n\r\nx\r\n--b--\r\n",
       "unknown form part 'picture'; accepted are: image, file, model, version, top_k"},
      {"--b\r\nContent-Disposition: form-data; name=\"imag\"\r\n\r\nx\r\n--b--\r\n",
       "unknown form part 'imag'; did you mean 'image'?"},
      {"--b\r\nContent-Disposition: form-data; "
       "name=\"image\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; "
       "name=\"modle\"\r\n\r\ny\r\n--b--\r\n",
       "unknown form part 'modle'; did you mean 'model'?"},
      {"--b\r\nContent-Disposition: form-data; "
       "name=\"image\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; "
       "name=\"top_k\"\r\n\r\n0\r\n--b--\r\n",
       "top_k is '0'; it must be an integer from 1 to 1000"},
      {"--b\r\nContent-Disposition: form-data; "
       "name=\"image\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name=\"top_k\"\r\n\r\n5 "
       "\r\n--b--\r\n",
       "top_k is '5 '; it must be an integer from 1 to 1000"},
      {"--b\r\nContent-Disposition: form-data; "
       "name=\"image\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; "
       "name=\"model\"\r\n\r\na\r\n--b\r\nContent-Disposition: form-data; "
       "name=\"model\"\r\n\r\na\r\n--b--\r\n",
       "the form part 'model' is given twice"},
      {"--b\r\nContent-Disposition: form-data; "
       "name=\"image\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; "
       "name="
       "\"model\"\r\n\r\nmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\r\n--b--"
       "\r\n",
       "model is 65 characters long; it must be at most 64 printable characters"},
      {"--b\r\nContent-Disposition: form-data; "
       "name=\"image\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; "
       "name=\"version\"\r\n\r\n\377\r\n--b--\r\n",
       "version is not UTF-8; it must be at most 64 printable characters"},
      {"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--b--\r\n",
       "the form holds no image; send it as the part 'image'"},
      {"--b\r\nContent-Disposition: form-data; "
       "name=\"image\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; "
       "name=\"version\"\r\n\r\na\nb\r\n--b--\r\n",
       "version holds a control character; it must be at most 64 printable characters"},
      {"--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nx",
       "the form ends without its closing delimiter; it was cut short"},
  };
  expect_refusals(kTable, classify);
}

std::string part(std::string_view parameters, std::string_view data) {
  return "--b\r\nContent-Disposition: form-data; " + std::string(parameters) + "\r\n\r\n" +
         std::string(data) + "\r\n";
}

TEST(Multipart, RefusesABadBoundary) {
  for (const std::string& boundary :
       {std::string(), std::string(71, 'a'), std::string("a "), std::string("a\r\n"),
        std::string("a\"b"), std::string("\xC3\xA9"), std::string(1, '\0')}) {
    const auto parts = parse_multipart("--" + boundary + "--", boundary);
    ASSERT_FALSE(parts);
    EXPECT_TRUE(parts.error().message.starts_with("the multipart boundary is '"));
  }
  const std::string longest(70, 'x');
  EXPECT_TRUE(parse_multipart("--" + longest + "--", longest));
  EXPECT_TRUE(parse_multipart("--a b'()+_,-./:=?--", "a b'()+_,-./:=?"));
}

TEST(Multipart, ReadsWhatBrowsersSendAndKeepsEveryByte) {
  const std::string bytes("\r\n\0--\r\n--x\r\n--bb\r\n\r\n", 20);
  const std::string body =
      "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a \\\"b\\\".png\"\r\n"
      "Content-Type:  image/png\r\n\r\n" +
      bytes + "\r\n" +
      "--b\r\ncontent-disposition: Form-Data; NAME=top_k\r\n"
      "content-transfer-encoding: Binary\r\n\r\n5\r\n--b--\r\n";
  const auto parts = parse(body);
  ASSERT_TRUE(parts) << parts.error().message;
  ASSERT_EQ(parts->size(), 2U);
  EXPECT_EQ(parts->at(0).name, "image");
  EXPECT_EQ(parts->at(0).filename, R"(a \"b\".png)") << "escapes stay as sent";
  EXPECT_EQ(parts->at(0).content_type, "image/png");
  EXPECT_EQ(parts->at(0).data, bytes);
  EXPECT_EQ(parts->at(1).name, "top_k");
  EXPECT_EQ(parts->at(1).data, "5");
}

TEST(Multipart, SkipsPreambleEpilogueAndPadding) {
  const auto parts = parse(
      "preamble\r\n--bb\r\n--b \t\r\nContent-Disposition: form-data; name=\"a\""
      "\r\n\r\nx\r\n--b-- \r\nepilogue\r\n--b\r\n");
  ASSERT_TRUE(parts) << parts.error().message;
  ASSERT_EQ(parts->size(), 1U);
  EXPECT_EQ(parts->at(0).data, "x");
  EXPECT_TRUE(parse("--b--")->empty());
  EXPECT_TRUE(parse("\r\n--b--")->empty());
}

TEST(Multipart, TakesABoundaryInsideALineAsData) {
  const std::string_view data = "--b\r\nx--b--\n--b--\r--b--\r\n-b--\r\n--b\n\r\n--b-";
  const std::string body = part("name=a", "y" + std::string(data)) + "--b--";
  const auto parts = parse(body);
  ASSERT_TRUE(parts) << parts.error().message;
  ASSERT_EQ(parts->size(), 1U);
  EXPECT_EQ(parts->at(0).data, "y" + std::string(data));
}

TEST(Multipart, TakesEmptyPartsWithAndWithoutTheirOwnLine) {
  for (const std::string_view body :
       {"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--b--",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--"}) {
    const auto parts = parse(body);
    ASSERT_TRUE(parts) << parts.error().message;
    ASSERT_EQ(parts->size(), 1U);
    EXPECT_EQ(parts->at(0).data, "");
  }
}

TEST(Multipart, ReadsExtendedFileNamesAsSent) {
  const std::string alone = part("name=a; filename*=UTF-8''%e2%82%ac.png", "x") + "--b--";
  const auto extended = parse(alone);
  EXPECT_EQ(extended->at(0).filename, "UTF-8''%e2%82%ac.png");
  const std::string beside = part("name=a; filename*=UTF-8''x; filename=\"y;z\"", "x") + "--b--";
  const auto both = parse(beside);
  EXPECT_EQ(both->at(0).filename, "y;z");
}

TEST(Multipart, LimitsParts) {
  std::string body;
  for (int i = 0; i < 64; ++i) {
    body += part("name=a", "x");
  }
  EXPECT_EQ(parse(body + "--b--")->size(), 64U);
  const auto more = parse(body + part("name=a", "x") + "--b--");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "the form has more than 64 parts");
}

TEST(Multipart, LimitsHeaders) {
  const std::string head = "name=a\r\nX: ";
  // Up to the blank line, headers are "Content-Disposition: form-data; " + head + filler + CRLF.
  const std::size_t filler = 8192 - 32 - head.size() - 2;
  EXPECT_TRUE(parse(part(head + std::string(filler, 'y'), "x") + "--b--"));
  const auto more = parse(part(head + std::string(filler + 1, 'y'), "x") + "--b--");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "form part 1 has headers over 8192 bytes");
}

TEST(ClassifyFromForm, FindsTheImageByNameOrAsTheOnlyFile) {
  for (const std::string_view parameters :
       {"name=\"image\"", "name=\"file\"; filename=\"x.png\"", "name=photo; filename=x.png"}) {
    const auto request = classify(part("name=model", "m") + part(parameters, "bytes") +
                                  part("name=top_k", "7") + part("name=version", "2") + "--b--");
    ASSERT_TRUE(request) << request.error().message;
    ASSERT_EQ(request->size(), 1U);
    const auto& picture = request->front();
    EXPECT_EQ(picture->image, "bytes");
    EXPECT_EQ(picture->model.name, "m");
    EXPECT_EQ(picture->model.version, "2");
    EXPECT_EQ(picture->top_k, 7U);
    EXPECT_TRUE(picture->url.empty());
  }
}

TEST(ClassifyFromForm, PassesOverInputsLeftEmptyAndFieldsOfOthers) {
  const auto request = classify(
      part("name=csrf_token", "abc") + part("name=first; filename=\"\"", "") +
      part("name=image; filename=x.png", "bytes") + part("name=file; filename=\"\"", "") +
      part("name=top_k", "") + part("name=model", "") + part("name=submit", "Send") + "--b--");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->size(), 1U);
  EXPECT_EQ(request->front()->image, "bytes");
  EXPECT_FALSE(request->front()->top_k);
}

TEST(ClassifyFromForm, ReadsSeveralPicturesInTheirOrder) {
  const auto request =
      classify(part("name=image", "1") + part("name=\"files[]\"; filename=b", "2") +
               part("name=other; filename=c", "3") + part("name=images", "4") +
               part("name=model", "m") + "--b--");
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(request->at(i)->image, std::to_string(i + 1));
    EXPECT_EQ(request->at(i)->model.name, "m");
  }
  std::string many;
  for (std::size_t i = 0; i < kMaxPictures; ++i) {
    many += part("name=image", "x");
  }
  EXPECT_TRUE(classify(many + "--b--"));
  const auto more = classify(many + part("name=image", "x") + "--b--");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::kPayloadTooLarge);
  EXPECT_EQ(more.error().message,
            "the request holds more than 16 pictures; send them in several requests");
}

TEST(BeginsBinary, TellsPicturesFromText) {
  using std::string_view_literals::operator""sv;
  for (const auto binary :
       {"\xFF\xD8\xFF\xE0"sv, "\x89PNG\r\n\x1A\n"sv, "RIFF\x10\0\0\0WEBP"sv, "GIF89a\x01\0"sv,
        "\0\0\0\x18"
        "ftypavif"sv,
        "BM\0\0\0\0"sv}) {
    EXPECT_TRUE(begins_binary(binary)) << testing::PrintToString(binary);
  }
  for (const auto text : {"{\"image\": \"\"}"sv, "\xEF\xBB\xBF{}"sv, "--boundary\r\n"sv, ""sv,
                          "data:image/png;base64,"sv, "\r\n\t [1]"sv}) {
    EXPECT_FALSE(begins_binary(text)) << testing::PrintToString(text);
  }
}

TEST(ClassifyFromForm, SurvivesAnyCutOfAGoodForm) {
  const std::string good = part("name=image; filename=a", "x") + part("name=model", "m") + "--b--";
  ASSERT_TRUE(classify(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(classify(std::string_view(good).substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace podsense::protocol
