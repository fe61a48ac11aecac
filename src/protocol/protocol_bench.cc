#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "protocol/form.h"
#include "protocol/json_codec.h"
#include "protocol/oip_codec.h"
#include "protocol/oip_data.h"

namespace podsense::protocol {
namespace {

std::string numbers(std::size_t count) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  std::string out = "[";
  for (std::size_t i = 0; i < count; ++i) {
    std::array<char, 32> buffer{};
    const int length = std::snprintf(buffer.data(), buffer.size(), "%.6g", normal(random));
    out += i == 0 ? "" : ",";
    out.append(buffer.data(), static_cast<std::size_t>(length));
  }
  return out + "]";
}

void set_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(static_cast<std::int64_t>(each) * state.iterations());
}

void parse_features_20(benchmark::State& state) {
  const std::string body = R"({"features":)" + numbers(20) + "}";
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_features(body));
  }
  set_bytes(state, body.size());
}
BENCHMARK(parse_features_20);

void parse_features_refused(benchmark::State& state) {
  const std::string body = R"({"features":[1,2,3,"4"]})";
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_features(body));
  }
}
BENCHMARK(parse_features_refused);

void parse_instances_rows_of_20(benchmark::State& state) {
  std::string body = R"({"instances":[)" + numbers(20);
  for (std::int64_t i = 1; i < state.range(0); ++i) {
    body += "," + numbers(20);
  }
  body += "]}";
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_instances(body));
  }
  set_bytes(state, body.size());
}
BENCHMARK(parse_instances_rows_of_20)->Arg(1)->Arg(32)->Arg(4096);

void parse_image_json(benchmark::State& state) {
  const std::string body =
      R"({"image":")" + std::string(static_cast<std::size_t>(state.range(0)), 'A') + "\"}";
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_classify_image(body));
  }
  set_bytes(state, body.size());
}
BENCHMARK(parse_image_json)->Arg(100'000)->Arg(4'000'000);

void decode_base64_text(benchmark::State& state) {
  std::string text(static_cast<std::size_t>(state.range(0)), 'q');
  for (std::size_t i = 76; state.range(1) != 0 && i + 1 < text.size(); i += 78) {
    text[i] = '\r';
    text[i + 1] = '\n';
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_base64(text));
  }
  set_bytes(state, text.size());
}
BENCHMARK(decode_base64_text)->Args({1'000'000, 0})->Args({78'000, 1});

void parse_form(benchmark::State& state) {
  std::string image(static_cast<std::size_t>(state.range(0)), '\0');
  std::mt19937 random(1);
  for (char& byte : image) {
    byte = static_cast<char>(random());
  }
  const std::string body =
      "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.jpg\"\r\n"
      "Content-Type: image/jpeg\r\n\r\n" +
      image + "\r\n--b--\r\n";
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse_multipart(body, "b"));
  }
  set_bytes(state, body.size());
}
BENCHMARK(parse_form)->Arg(100'000);

template <class Answer>
Answer timed_answer() {
  Answer answer;
  answer.model = "random-forest";
  answer.version = "1";
  answer.timing = {.fetch = {},
                   .queue = Duration(12'345),
                   .preprocess = Duration(1'234),
                   .compute = Duration(45'678),
                   .total = Duration(61'234)};
  return answer;
}

constexpr std::string_view kRequestId = "0123456789abcdef0123456789abcdef";

void write_features_answer(benchmark::State& state) {
  auto answer = timed_answer<RowsAnswer>();
  answer.rows = {
      {.prediction = 1, .label = "1", .text_label = {}, .probabilities = {0.12345F, 0.87655F}}};
  for (auto _ : state) {
    std::string out;
    write_features(out, answer, kRequestId);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(write_features_answer);

void write_classify_top_5(benchmark::State& state) {
  auto answer = timed_answer<ClassifyAnswer>();
  for (std::uint32_t i = 0; i < 5; ++i) {
    answer.predictions.push_back(
        {960 + i, "a label of usual length", 0.5F / static_cast<float>(i + 1)});
  }
  for (auto _ : state) {
    std::string out;
    write_classify(out, answer, kRequestId);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(write_classify_top_5);

constexpr std::size_t kImage = 3UL * 224 * 224;

/// A picture's floats as clients write them: with `digits` significant digits, or, for 0, like
/// Python writes a float32 (as a double, separated by ", ").
std::string tensor_body(int digits) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::string out =
      R"({"inputs":[{"name":"images","shape":[1,3,224,224],"datatype":"FP32","data":[)";
  for (std::size_t i = 0; i < kImage; ++i) {
    const auto value = static_cast<double>(normal(random));
    std::array<char, 32> buffer{};
    char* const end =
        digits == 0
            ? std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr
            : buffer.data() + std::snprintf(buffer.data(), buffer.size(), "%.*g", digits, value);
    out += i == 0 ? "" : digits == 0 ? ", " : ",";
    out.append(buffer.data(), end);
  }
  return out + "]}]}";
}

void parse_tensor_json(benchmark::State& state) {
  const auto body =
      std::make_shared<const std::string>(tensor_body(static_cast<int>(state.range(0))));
  for (auto _ : state) {
    auto request = parse_oip_request({.bytes = body, .json_size = std::nullopt});
    benchmark::DoNotOptimize(request);
  }
  set_bytes(state, body->size());
}
BENCHMARK(parse_tensor_json)->Arg(4)->Arg(6)->Arg(9)->Arg(0);

void parse_tensor_binary(benchmark::State& state) {
  const std::string json = R"({"inputs":[{"name":"images","shape":[1,3,224,224],"datatype":"FP32",)"
                           R"("parameters":{"binary_data_size":)" +
                           std::to_string(kImage * 4) + "}}]}";
  const auto body = std::make_shared<const std::string>(json + std::string(kImage * 4, '\0'));
  for (auto _ : state) {
    auto request = parse_oip_request({.bytes = body, .json_size = json.size()});
    benchmark::DoNotOptimize(request);
  }
  set_bytes(state, body->size());
}
BENCHMARK(parse_tensor_binary);

void write_tensor_json(benchmark::State& state) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(kImage);
  std::ranges::generate(values, [&] { return normal(random); });
  std::size_t size = 0;
  for (auto _ : state) {
    std::string out;
    benchmark::DoNotOptimize(
        write_json_data(out, DataType::kFp32, std::as_bytes(std::span(values))));
    size = out.size();
  }
  set_bytes(state, size);
}
BENCHMARK(write_tensor_json);

}  // namespace
}  // namespace podsense::protocol
