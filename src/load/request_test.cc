// What is sent: URLs, bodies, whole requests; and the small languages of the command line.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "load/body_template.h"
#include "load/expectation.h"
#include "load/http_request.h"
#include "load/quantity.h"
#include "load/report.h"
#include "load/target.h"
#include "load/threshold.h"
#include "load/url.h"

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

TEST(Target, KnowsOwnAddressesFromPublicOnes) {
  const auto own = [](const char* text) { return is_private(boost::asio::ip::make_address(text)); };
  for (const char* text :
       {"127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1",
        "100.64.0.1", "::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1"}) {
    EXPECT_TRUE(own(text)) << text;
  }
  for (const char* text : {"8.8.8.8", "172.32.0.1", "172.15.0.1", "192.169.0.1", "100.128.0.1",
                           "2001:db8::1", "::ffff:8.8.8.8", "0.0.0.0"}) {
    EXPECT_FALSE(own(text)) << text;
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
  const auto table = parse_table("a,b\n1,2\n3,4\n", HeaderLine::kGuess, used);
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

std::shared_ptr<const Table> table_of(std::string_view csv, HeaderLine header,
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
  const auto rows = table_of(
      "text,n,empty,list,flag\n\"say \"\"hi\"\", C:\\\",5,,\"[1, 2]\",true\n", HeaderLine::kYes);
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
  const auto named = table_of("City Name,n\n\"Berlin, DE\",1\n", HeaderLine::kGuess, {"city name"});
  EXPECT_EQ(rendered("{{row city name}} {{row N}} {{row 2}}", 0, named), "Berlin, DE 1 1");
  const auto bare = table_of("good film\nbad film\n", HeaderLine::kGuess, {"1"});
  EXPECT_EQ(rendered("{{row 1}}|{{row}}", 0, bare), "good film|good film");
  EXPECT_FALSE(BodyTemplate::parse("{{row 2}}", bare, 1));
  EXPECT_FALSE(BodyTemplate::parse("{{row film}}", bare, 1));
}

TEST(Table, TheFirstLineIsAHeaderWhereItsNamesAreUsed) {
  EXPECT_EQ(table_of("a,b\n1,2\n", HeaderLine::kGuess)->rows.size(), 2U);
  EXPECT_EQ(table_of("a,b\n1,2\n", HeaderLine::kGuess, {"B"})->rows.size(), 1U);
  EXPECT_EQ(table_of("\xEF\xBB\xBF"
                     "a,b\r\n1,2\r\n",
                     HeaderLine::kGuess, {"a"})
                ->rows.size(),
            1U);
  EXPECT_EQ(table_of("a,b\n1,2\n", HeaderLine::kNo, {"a"})->rows.size(), 2U);
  EXPECT_EQ(table_of("1,2\n3,4\n", HeaderLine::kYes)->rows.size(), 1U);
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
      table_of("text , n\n  two words ,  7\n \"quoted\" , 8\n", HeaderLine::kGuess, {"n"});
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
  const auto rows = table_of("a,A,b,b\n1,2,3,4\n", HeaderLine::kYes);
  EXPECT_EQ(rendered("{{row a}} {{row A}} {{row 4}}", 0, rows), "1 2 4");
  const auto twice = BodyTemplate::parse("{{row b}}", rows, 1);
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("several columns have this name"));
  EXPECT_FALSE(BodyTemplate::parse("{{row B}}", rows, 1));
}

TEST(Quantity, NumbersOfFilesBecomeJsons) {
  for (const auto& [text, json] : {std::pair{"5", "5"},
                                   {".5", "0.5"},
                                   {"-.5", "-0.5"},
                                   {"5.", "5"},
                                   {"+1.5", "1.5"},
                                   {"007", "7"},
                                   {"-00.50", "-0.50"},
                                   {"0", "0"},
                                   {"1e5", "1e5"},
                                   {"5.e-3", "5e-3"},
                                   {".5E+3", "0.5E+3"}}) {
    EXPECT_EQ(json_number(text).value_or("none"), json) << text;
  }
  for (const char* const text :
       {"", ".", "+", "-", "--1", "+-1", "1,5", "0x10", "1e400", "nan", "inf", "1 2", "5e"}) {
    EXPECT_FALSE(json_number(text)) << text;
  }
  const auto rows = table_of(".5,-.5,+49,007,5\n", HeaderLine::kNo);
  EXPECT_EQ(rendered_json("[{{row}}]", rows), R"([0.5,-0.5,"+49","007",5])");
}

TEST(Expectation, SaysWhatAnAnswerLacks) {
  const std::string_view body =
      R"({"prediction": 1, "predictions": [{"label": "cat", "score": 0.5}], "a/b": null})";
  for (const char* const good :
       {"json:prediction=1", "json:prediction=1.0", "json:predictions.0.label=cat",
        "json:predictions.0.label=\"cat\"", "json:predictions.0.score=0.5", "json:predictions",
        "json:a/b=null", "body:cat"}) {
    const auto expectation = Expectation::parse(good);
    ASSERT_TRUE(expectation) << good;
    EXPECT_EQ(expectation->fault_of(body), "") << good;
  }
  for (const auto& [bad, said] : {std::pair{"json:prediction=0", "it is 1"},
                                  {"json:predictions.1.label=cat", "no such value"},
                                  {"json:predictions.x=1", "no such value"},
                                  {"body:dog", "does not contain 'dog'"}}) {
    EXPECT_THAT(Expectation::parse(bad)->fault_of(body), HasSubstr(said)) << bad;
  }
  EXPECT_THAT(Expectation::parse("json:a")->fault_of("<html>"), HasSubstr("is no JSON"));
  for (const char* const text : {"", "prediction=1", "json:", "body:", "json:a..b=1"}) {
    EXPECT_FALSE(Expectation::parse(text)) << text;
  }
}

TEST(Table, RefusesRaggedRows) {
  EXPECT_FALSE(parse_table("1,2\n3\n"));
  EXPECT_FALSE(parse_table("a,b\n", HeaderLine::kYes));
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
      *parse_table("city\nBad Ems\na/b&c=\xC3\xA4\n", HeaderLine::kYes));
  HttpRequestOptions options = to_host("GET");
  options.target = *BodyTemplate::parse("/{{counter}}?q={{row city}}", rows, 1);
  const auto requests = HttpRequests::create(options);
  ASSERT_TRUE(requests);
  std::string scratch;
  EXPECT_THAT(requests->request(0, scratch), StartsWith("GET /0?q=Bad%20Ems HTTP/1.1\r\n"));
  EXPECT_THAT(requests->request(3, scratch), StartsWith("GET /3?q=a/b%26c%3D%C3%A4 HTTP/1.1\r\n"));
  EXPECT_THAT(requests->request(3, scratch), EndsWith("\r\n\r\n"));
}

TEST(Status, HasANameThatReadsBack) {
  EXPECT_EQ(status_name(503), "503");
  EXPECT_EQ(status_name(kGrpcStatus + 14), "UNAVAILABLE");
  EXPECT_EQ(parse_status("14"), parse_status("UNAVAILABLE"));
  for (int code = 0; code < 20; ++code) {
    EXPECT_EQ(parse_status(status_name(kGrpcStatus + code)), kGrpcStatus + code);
  }
  for (const char* text : {"", "1000", "-1", "Unavailable", "20x"}) {
    EXPECT_FALSE(parse_status(text)) << text;
  }
  EXPECT_TRUE(is_success(kGrpcOk) && is_success(204) && !is_success(kGrpcStatus + 2));
  EXPECT_FALSE(is_success(0));
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

TEST(Quantity, ReadsDurations) {
  EXPECT_EQ(parse_duration("180"), Duration(std::chrono::seconds(180)));
  EXPECT_EQ(parse_duration("250us"), Duration(std::chrono::microseconds(250)));
  EXPECT_EQ(parse_duration("1m30s"), Duration(std::chrono::seconds(90)));
  EXPECT_EQ(parse_duration("1.5ms"), Duration(std::chrono::microseconds(1500)));
  for (const char* text : {"", "s", "1x", "-1s", "1s2", "nan", "1e9h", "5 s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Quantity, PrintsThreeDigits) {
  EXPECT_EQ(format_duration(std::chrono::microseconds(812)), "812 µs");
  EXPECT_EQ(format_duration(std::chrono::microseconds(49630)), "49.6 ms");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(1200)), "1.20 s");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_number(30), "30");
  EXPECT_EQ(format_number(0.25), "0.25");
  EXPECT_EQ(format_bytes(1500000), "1.50 MB");
}

Results results_with(std::uint64_t ok, std::uint64_t failed, Duration latency) {
  Results results;
  results.counts = {.planned = ok + failed, .sent = ok + failed, .ok = ok, .failed = failed};
  for (std::uint64_t i = 0; i < ok; ++i) {
    results.latency.record(latency);
  }
  results.status[503].count = failed;
  results.measured = std::chrono::seconds(10);
  return results;
}

TEST(Threshold, HoldsOrNot) {
  const Results results = results_with(990, 10, std::chrono::milliseconds(150));
  const auto holds = [&](std::string_view text) {
    const auto threshold = Threshold::parse(text);
    EXPECT_TRUE(threshold) << text << (threshold ? "" : threshold.error().message);
    return threshold && threshold->check(results).holds;
  };
  EXPECT_TRUE(holds("p99>100ms"));
  EXPECT_FALSE(holds("p99>200ms"));
  EXPECT_TRUE(holds("errors>0.9%"));
  EXPECT_FALSE(holds("errors>1%"));
  EXPECT_TRUE(holds("errors>=1%"));
  EXPECT_TRUE(holds("failed>9"));
  EXPECT_TRUE(holds("status_503>0"));
  EXPECT_FALSE(holds("status_404>0"));
  EXPECT_TRUE(holds("rps<100"));
  EXPECT_FALSE(holds("rps<99"));
  EXPECT_FALSE(holds("dropped > 0"));
  EXPECT_TRUE(holds("mean<=150ms"));
}

TEST(Threshold, LatencyWithoutAnswersIsAFailure) {
  EXPECT_TRUE(Threshold::parse("p99>200ms")->check(results_with(0, 5, {})).holds);
}

TEST(Threshold, RefusesNonsenseAndSaysWhatIsAccepted) {
  for (const char* text : {"", "p99", "p99>", "p99>fast", "p0>1ms", "p101>1ms", "error>1%",
                           "errors>x", "rps<5%", "status_x>0", "errors>-1"}) {
    const auto threshold = Threshold::parse(text);
    ASSERT_FALSE(threshold) << text;
    EXPECT_THAT(threshold.error().message, HasSubstr("accepted")) << text;
  }
  EXPECT_THAT(Threshold::parse("error>1%").error().message, HasSubstr("errors?"));
  EXPECT_FALSE(Threshold::parse_objective("p99"));
  EXPECT_EQ(Threshold::parse_objective("p99=50ms,errors=0.1%")->size(), 2U);
}

Report report_with(std::uint64_t ok, Duration latency) {
  Report report{.circumstances = {.tool = "t",
                                  .url = "http://h/",
                                  .method = "GET",
                                  .shape = "constant:1",
                                  .arrivals = "even",
                                  .started_at = "x"},
                .results = results_with(ok, 3, latency)};
  report.results.slices.resize(2);
  report.results.slices[1].offered = ok;
  report.results.slices[1].latency.record(latency);
  report.results.samples["503"] = "busy";
  report.results.errors[2] = 4;
  return report;
}

TEST(Report, ComesBackFromJson) {
  const Report report = report_with(100, std::chrono::milliseconds(20));
  const std::string json = json_report(report);
  const auto read = read_report(json);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(json_report(*read), json);
}

TEST(Report, MergesExactly) {
  const auto merged = merge_reports({report_with(100, std::chrono::milliseconds(20)),
                                     report_with(50, std::chrono::milliseconds(90))});
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->results.counts.ok, 150U);
  EXPECT_EQ(merged->results.latency.count(), 150U);
  EXPECT_LT(merged->results.latency.at_rank(100), Duration(std::chrono::milliseconds(21)));
  EXPECT_EQ(merged->results.latency.at_rank(101), Duration(std::chrono::milliseconds(90)));
  EXPECT_EQ(merged->results.latency.max(), Duration(std::chrono::milliseconds(90)));
  EXPECT_EQ(merged->results.slices[1].offered, 150U);
  EXPECT_EQ(merged->circumstances.generators, 2U);
}

TEST(Report, RefusesFilesThatAreNone) {
  for (const char* text :
       {"", "[]", "{}", R"({"format": "podsense.load/1"})", R"({"format": 5})"}) {
    EXPECT_FALSE(read_report(text)) << text;
  }
}

TEST(Report, RefusesNumbersThatDoNotFitTheirPlace) {
  const std::string json = json_report(report_with(100, std::chrono::milliseconds(20)));
  for (const char* name : {"ok", "connections", "bytes_sent", "unit_bits", "sum_ns", "generators",
                           "slice_seconds", "measured_seconds", "timeout_seconds"}) {
    for (const char* value : {"1.16e90", "-1e300", "true", "\"1\"", "null"}) {
      std::string broken = json;
      const std::string key = "\"" + std::string(name) + "\":";
      ASSERT_NE(broken.find(key), std::string::npos) << name;
      const std::size_t at = broken.find(key) + key.size();
      broken.replace(at, broken.find_first_of(",}", at) - at, value);
      EXPECT_FALSE(read_report(broken)) << name << ": " << value;
    }
  }
}

TEST(Report, TellsFirstThatTheRateWasNotApplied) {
  Report report = report_with(10, std::chrono::milliseconds(1));
  report.results.counts.dropped = 5;
  report.results.counts.planned += 5;
  EXPECT_TRUE(text_report(report).starts_with("RATE NOT APPLIED: 5 of 18"));
  EXPECT_THAT(json_report(report), HasSubstr(R"("rate_applied":false)"));
}

}  // namespace
}  // namespace podsense::load
