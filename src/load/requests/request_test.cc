// What is sent: URLs, bodies, whole requests.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "load/requests/body_template.h"
#include "load/requests/expectation.h"
#include "load/requests/http_request.h"
#include "load/requests/url.h"

namespace podsense::load {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Url, IsReadAsBrowsersDo) {
  struct Case {
    const char* text;
    const char* authority;
    const char* target;
    bool tls;
  };
  for (const Case& one :
       {Case{"http://localhost:8080", "localhost:8080", "/", false},
        Case{"localhost:8080/infer", "localhost:8080", "/infer", false},
        Case{"https://h/x?a=b#c", "h", "/x?a=b", true}, Case{"HTTP://h", "h", "/", false},
        Case{"Grpcs://h", "h:443", "/", true},
        Case{"http://h/{{random_int 1 2}}", "h", "/{{random_int 1 2}}", false},
        Case{"grpc://h", "h:9000", "/", false}, Case{"grpcs://h", "h:443", "/", true},
        Case{"http://[::1]:81?q", "[::1]:81", "/?q", false}}) {
    const auto url = parse_url(one.text);
    ASSERT_TRUE(url) << one.text;
    EXPECT_EQ(url->authority(), one.authority);
    EXPECT_EQ(url->target, one.target);
    EXPECT_EQ(url->tls, one.tls);
  }
}

TEST(Url, RefusesWhatIsNone) {
  for (const char* text :
       {"", "ftp://x", "http://", "http://h:0", "http://h:99999", "http://h:x", "http://a@h/",
        "http://[::1", "http://h/a b", "http://h/{{{{ a}}", "http://[::1]x"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

std::string rendered(std::string_view text, std::uint64_t index,
                     std::shared_ptr<const Table> rows = nullptr) {
  const auto body = BodyTemplate::parse(text, std::move(rows), 1);
  EXPECT_TRUE(body) << (body ? "" : body.error().message);
  std::string out;
  if (body) {
    body->append(index, out);
  }
  return out;
}

TEST(BodyTemplate, CountsAndQuotes) {
  EXPECT_EQ(rendered(R"({"id": {{counter}}, "n": {{ counter }}})", 7), R"({"id": 7, "n": 7})");
  EXPECT_EQ(rendered("a{{{{b}}", 0), "a{{b}}");
  EXPECT_EQ(rendered("{\"a\": {\"b\": 1}}", 0), "{\"a\": {\"b\": 1}}");
}

TEST(BodyTemplate, RandomNumbersStayInRangeAndDependOnlyOnTheRequest) {
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const std::string text = rendered("{{random_int -2 2}}", i);
    EXPECT_EQ(text, rendered("{{random_int -2 2}}", i));
    seen.insert(text);
    const double real = std::stod(rendered("{{random 0.5 0.75}}", i));
    EXPECT_GE(real, 0.5);
    EXPECT_LE(real, 0.75);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"-2", "-1", "0", "1", "2"}));
  EXPECT_NE(rendered("{{random 0 1}}{{random 0 1}}", 0).substr(0, 8),
            rendered("{{random 0 1}}{{random 0 1}}", 0).substr(8));
}

TEST(BodyTemplate, TakesRowsInTurn) {
  const std::vector<std::string> used{"b"};
  const auto table = parse_table("a,b\n1,2\n3,4\n", text::HeaderLine::kGuess, used);
  ASSERT_TRUE(table);
  const auto rows = std::make_shared<const Table>(*table);
  EXPECT_EQ(rendered("[{{row}}] {{row b}}", 0, rows), "[1,2] 2");
  EXPECT_EQ(rendered("[{{row}}] {{row b}}", 3, rows), "[3,4] 4");
}

TEST(BodyTemplate, SaysWhatIsWrongWithAPlaceholder) {
  const auto error = [](std::string_view text) {
    const auto body = BodyTemplate::parse(text, nullptr, 1);
    EXPECT_FALSE(body) << text;
    return body ? std::string() : body.error().message;
  };
  EXPECT_THAT(error("{{countr}}"), HasSubstr("unknown placeholder"));
  EXPECT_THAT(error("{{counter"), HasSubstr("without"));
  EXPECT_THAT(error("{{random_int 5 1}}"), HasSubstr("smaller first"));
  EXPECT_THAT(error("{{row}}"), HasSubstr("--rows"));
}

std::shared_ptr<const Table> table_of(std::string_view csv, text::HeaderLine header,
                                      const std::vector<std::string>& used = {}) {
  auto table = parse_table(csv, header, used);
  EXPECT_TRUE(table) << (table ? "" : table.error().message);
  return table ? std::make_shared<const Table>(std::move(*table)) : nullptr;
}

std::string rendered_json(std::string_view text, std::shared_ptr<const Table> rows) {
  const auto body = BodyTemplate::parse(text, std::move(rows), 1, Syntax::kJson);
  EXPECT_TRUE(body) << (body ? "" : body.error().message);
  std::string out;
  if (body) {
    body->append(0, out);
  }
  return out;
}

TEST(BodyTemplate, RowsFitIntoJson) {
  const auto rows =
      table_of("text,n,empty,list,flag\n\"say \"\"hi\"\", C:\\\",5,,\"[1, 2]\",true\n",
               text::HeaderLine::kYes);
  EXPECT_EQ(rendered_json(R"({"t": "{{row text}}"})", rows), R"({"t": "say \"hi\", C:\\"})");
  EXPECT_EQ(rendered_json(R"({"t": {{row text}}})", rows), R"({"t": "say \"hi\", C:\\"})");
  EXPECT_EQ(rendered_json(R"({"t": {{json row text}}})", rows), R"({"t": "say \"hi\", C:\\"})");
  EXPECT_EQ(rendered_json(R"({"n": {{row n}}, "s": "{{row n}}"})", rows), R"({"n": 5, "s": "5"})");
  EXPECT_EQ(rendered_json(R"({"n": {{json row n}}})", rows), R"({"n": "5"})");
  EXPECT_EQ(rendered_json(R"([{{row}}])", rows), R"(["say \"hi\", C:\\",5,null,[1, 2],true])");
  EXPECT_EQ(rendered_json(R"(["\"{{raw row n}}"])", rows), R"(["\"5"])");
  EXPECT_EQ(rendered(R"({{row text}})", 0, rows), R"(say "hi", C:\)") << "text stays as it is";
}

TEST(BodyTemplate, ColumnsHaveNumbersAndNamesOfAnyCase) {
  const auto named =
      table_of("City Name,n\n\"Berlin, DE\",1\n", text::HeaderLine::kGuess, {"city name"});
  EXPECT_EQ(rendered("{{row city name}} {{row N}} {{row 2}}", 0, named), "Berlin, DE 1 1");
  const auto bare = table_of("good film\nbad film\n", text::HeaderLine::kGuess, {"1"});
  EXPECT_EQ(rendered("{{row 1}}|{{row}}", 0, bare), "good film|good film");
  EXPECT_FALSE(BodyTemplate::parse("{{row 2}}", bare, 1));
  EXPECT_FALSE(BodyTemplate::parse("{{row film}}", bare, 1));
}

TEST(Table, TheFirstLineIsAHeaderWhereItsNamesAreUsed) {
  EXPECT_EQ(table_of("a,b\n1,2\n", text::HeaderLine::kGuess)->rows.size(), 2U);
  EXPECT_EQ(table_of("a,b\n1,2\n", text::HeaderLine::kGuess, {"B"})->rows.size(), 1U);
  EXPECT_EQ(table_of("\xEF\xBB\xBF"
                     "a,b\r\n1,2\r\n",
                     text::HeaderLine::kGuess, {"a"})
                ->rows.size(),
            1U);
  EXPECT_EQ(table_of("a,b\n1,2\n", text::HeaderLine::kNo, {"a"})->rows.size(), 2U);
  EXPECT_EQ(table_of("1,2\n3,4\n", text::HeaderLine::kYes)->rows.size(), 1U);
}

TEST(Table, SaysWhereItIsNoCsv) {
  const auto fault = [](std::string_view csv) {
    const auto table = parse_table(csv);
    return table ? std::string("taken") : table.error().message;
  };
  EXPECT_THAT(fault("1,2\n3\n"), StartsWith("line 2, column 2: the record has 1 fields"));
  EXPECT_THAT(fault("1,2\n3,4,5\n"), StartsWith("line 2, column 5: the record has 3 fields"));
  EXPECT_THAT(fault("1,\"2\n3"), StartsWith("line 1, column 3: this quote is not closed"));
  EXPECT_THAT(fault("\"a\"b\n"), StartsWith("line 1, column 4: text after a closing quote"));
  EXPECT_THAT(fault("\xFF\xFE"
                    "1"),
              HasSubstr("UTF-16"));
}

TEST(Table, BlanksBelongToAFieldAndNamesHaveNone) {
  const auto rows =
      table_of("text , n\n  two words ,  7\n \"quoted\" , 8\n", text::HeaderLine::kGuess, {"n"});
  ASSERT_EQ(rows->columns, (std::vector<std::string>{"text", "n"}));
  EXPECT_EQ(rows->rows[0].fields, (std::vector<std::string>{"  two words ", "  7"}));
  EXPECT_EQ(rows->rows[1].fields[0], "quoted");
  EXPECT_EQ(rendered_json(R"(["{{row text}}", {{row n}}])", rows), R"(["  two words ",   7])");
}

TEST(Table, TextIsUtf8) {
  EXPECT_TRUE(parse_table("K\xC3\xB6ln,\xE2\x82\xAC,\xF0\x9F\x98\x80\n"));
  for (const auto& [csv, place] :
       {std::pair{std::string("a\nK\xF6ln\n"), "line 2, column 2"},    // ISO 8859-1
        {std::string("a,\x80"), "line 1, column 3"},                   // Windows-1252's euro
        {std::string("\xC0\xAF"), "line 1, column 1"},                 // too long a form
        {std::string("\xED\xA0\x80"), "line 1, column 1"},             // a surrogate
        {std::string("\xF5\x80\x80\x80"), "line 1, column 1"},         // beyond Unicode
        {std::string("a\r\nb\r\n\"x\n\xE2\x82"), "line 4, column 1"},  // cut off
        {std::string("a\0b", 3), "line 1, column 2"}}) {
    const auto table = parse_table(csv);
    ASSERT_FALSE(table) << csv;
    EXPECT_THAT(table.error().message, StartsWith(place));
    EXPECT_THAT(table.error().message, HasSubstr("UTF-8"));
  }
}

TEST(Table, ANameOfSeveralColumnsIsRefused) {
  const auto rows = table_of("a,A,b,b\n1,2,3,4\n", text::HeaderLine::kYes);
  EXPECT_EQ(rendered("{{row a}} {{row A}} {{row 4}}", 0, rows), "1 2 4");
  const auto twice = BodyTemplate::parse("{{row b}}", rows, 1);
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("several columns have this name"));
  EXPECT_FALSE(BodyTemplate::parse("{{row B}}", rows, 1));
}

TEST(Table, NumbersOfFilesBecomeJsons) {
  const auto rows = table_of(".5,-.5,+49,007,5\n", text::HeaderLine::kNo);
  EXPECT_EQ(rendered_json("[{{row}}]", rows), R"([0.5,-0.5,"+49","007",5])");
}

TEST(Expectation, SaysWhatAnAnswerLacks) {
  const std::string_view body =
      R"({"prediction": 1, "predictions": [{"label": "cat", "score": 0.5}], "a/b": null})";
  for (const char* const good :
       {"json:prediction=1", "json:prediction=1.0", "json:predictions.0.label=cat",
        "json:predictions.0.label=\"cat\"", "json:predictions.0.score=0.5", "json:predictions",
        "json:a/b=null", "body:cat"}) {
    const auto expectation = AnswerExpectation::parse(good);
    ASSERT_TRUE(expectation) << good;
    EXPECT_EQ(expectation->fault_of(body), "") << good;
  }
  for (const auto& [bad, said] : {std::pair{"json:prediction=0", "it is 1"},
                                  {"json:predictions.1.label=cat", "no such value"},
                                  {"json:predictions.x=1", "no such value"},
                                  {"body:dog", "does not contain 'dog'"}}) {
    EXPECT_THAT(AnswerExpectation::parse(bad)->fault_of(body), HasSubstr(said)) << bad;
  }
  EXPECT_THAT(AnswerExpectation::parse("json:a")->fault_of("<html>"), HasSubstr("is no JSON"));
  for (const char* const text : {"", "prediction=1", "json:", "body:", "json:a..b=1"}) {
    EXPECT_FALSE(AnswerExpectation::parse(text)) << text;
  }
}

TEST(Table, RefusesRaggedRows) {
  EXPECT_FALSE(parse_table("1,2\n3\n"));
  EXPECT_FALSE(parse_table("a,b\n", text::HeaderLine::kYes));
  EXPECT_FALSE(parse_table(""));
}

HttpRequestOptions to_host(std::string method) {
  return {.url = *parse_url("http://h:1/x"), .method = std::move(method)};
}

TEST(HttpRequests, WritesHeadAndBody) {
  HttpRequestOptions options = to_host("POST");
  options.headers = {{"X-A", "b"}};
  options.bodies = {{.content = BodyTemplate::fixed("{}"), .content_type = "application/json"}};
  const auto requests = HttpRequests::create(options);
  ASSERT_TRUE(requests);
  std::string scratch;
  EXPECT_EQ(requests->request(0, scratch),
            "POST /x HTTP/1.1\r\nHost: h:1\r\nX-A: b\r\nUser-Agent: podsense-load\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

TEST(HttpRequests, UrlsFollowTheTemplateAndAreEncoded) {
  const auto rows = std::make_shared<const Table>(
      *parse_table("city\nBad Ems\na/b&c=\xC3\xA4\n", text::HeaderLine::kYes));
  HttpRequestOptions options = to_host("GET");
  options.target = *BodyTemplate::parse("/{{counter}}?q={{row city}}", rows, 1);
  const auto requests = HttpRequests::create(options);
  ASSERT_TRUE(requests);
  std::string scratch;
  EXPECT_THAT(requests->request(0, scratch), StartsWith("GET /0?q=Bad%20Ems HTTP/1.1\r\n"));
  EXPECT_THAT(requests->request(3, scratch), StartsWith("GET /3?q=a/b%26c%3D%C3%A4 HTTP/1.1\r\n"));
  EXPECT_THAT(requests->request(3, scratch), EndsWith("\r\n\r\n"));
}

TEST(HttpRequests, LengthFollowsTheTemplate) {
  HttpRequestOptions options = to_host("POST");
  auto body = BodyTemplate::parse("n={{counter}}", nullptr, 1);
  ASSERT_TRUE(body);
  options.bodies = {{.content = *body, .content_type = ""}};
  const auto requests = HttpRequests::create(options);
  ASSERT_TRUE(requests);
  std::string scratch;
  EXPECT_TRUE(requests->request(5, scratch).ends_with("Content-Length: 3\r\n\r\nn=5"));
  EXPECT_TRUE(requests->request(1234, scratch).ends_with("Content-Length: 6\r\n\r\nn=1234"));
}

TEST(HttpRequests, ClosesAndCountsOnlyWhereAsked) {
  HttpRequestOptions options = to_host("GET");
  options.keep_alive = false;
  std::string scratch;
  EXPECT_THAT(std::string(HttpRequests::create(options)->request(0, scratch)),
              HasSubstr("Connection: close\r\n\r\n"));
  EXPECT_THAT(std::string(HttpRequests::create(to_host("POST"))->request(0, scratch)),
              HasSubstr("Content-Length: 0\r\n\r\n"));
}

TEST(HttpRequests, RefusesHeadersThatSplitARequest) {
  HttpRequestOptions options = to_host("GET");
  options.headers = {{"X-A", "b\r\nX-B: c"}};
  EXPECT_FALSE(HttpRequests::create(options));
  options.headers = {{"Content-Length", "5"}};
  EXPECT_FALSE(HttpRequests::create(options));
  EXPECT_FALSE(HttpRequests::create(to_host("G ET")));
}

}  // namespace
}  // namespace podsense::load
