#include <algorithm>
#include <array>
#include <cassert>

#include "base/base64.h"
#include "base/text.h"
#include "protocol/json_codec.h"

namespace podsense::protocol {
namespace {

/// Writes milliseconds with three decimals, rounded to microseconds. Never negative.
void append_ms(std::string& out, Duration time) {
  const auto half = std::chrono::nanoseconds(500);
  const Duration rounded = std::max(time, Duration::zero());
  const auto us = static_cast<std::uint64_t>(
      rounded > Duration::max() - half ? rounded.count() / 1000 : (rounded + half).count() / 1000);
  append_json_number(out, us / 1000);
  const auto part = static_cast<unsigned>(us % 1000);
  const std::array<char, 4> decimals{'.', static_cast<char>('0' + part / 100),
                                     static_cast<char>('0' + part / 10 % 10),
                                     static_cast<char>('0' + part % 10)};
  out.append(decimals.data(), decimals.size());
}

void append_phase(std::string& out, std::string_view key, std::optional<Duration> time) {
  if (time) {
    out += key;
    append_ms(out, *time);
    out += ',';
  }
}

/// `,"timing_ms":{…}}`: the end of every answer.
void append_timing(std::string& out, const Timing& timing) {
  out += R"(,"timing_ms":{)";
  append_phase(out, R"("fetch":)", timing.fetch);
  append_phase(out, R"("queue":)", timing.queue);
  append_phase(out, R"("preprocess":)", timing.preprocess);
  append_phase(out, R"("compute":)", timing.compute);
  out += R"("total":)";
  append_ms(out, timing.total);
  out += "}}";
}

/// `{"model":…,"version":…,"request_id":…`: the beginning of every answer.
void append_head(std::string& out, const AnswerHead& head, std::string_view request_id) {
  out += R"({"model":)";
  append_json_string(out, head.model);
  out += R"(,"version":)";
  append_json_string(out, head.version);
  out += R"(,"request_id":)";
  append_json_string(out, request_id);
}

void append_box(std::string& out, const Box& box) {
  const auto side = [&out](std::string_view key, float value) {
    out += key;
    append_json_number(out, value);
  };
  side(R"(,"box":{"x_min":)", box.x_min);
  side(R"(,"y_min":)", box.y_min);
  side(R"(,"x_max":)", box.x_max);
  side(R"(,"y_max":)", box.y_max);
  out += '}';
}

/// `"value":1.5`, or a list if the model has several values.
void append_values(std::string& out, const RowAnswer& row, bool as_float) {
  const bool several = row.values.size() != 1;
  out += several ? R"("value":[)" : R"("value":)";
  std::string_view comma;
  for (const double value : row.values) {
    out += comma;
    if (as_float) {
      append_json_number(out, static_cast<float>(value));  // the float's digits, not the double's
    } else {
      append_json_number(out, value);
    }
    comma = ",";
  }
  if (several) {
    out += ']';
  }
}

/// `"prediction":1,"label":"1","probabilities":[…]`
void append_row(std::string& out, const RowAnswer& row, RowsAnswer::Numbers numbers) {
  using Numbers = RowsAnswer::Numbers;
  if (numbers == Numbers::kValues || numbers == Numbers::kDoubles) {
    return append_values(out, row, numbers == Numbers::kValues);
  }
  out += R"("prediction":)";
  if (row.text_label) {
    append_json_string(out, *row.text_label);
  } else {
    append_json_number(out, row.prediction);
  }
  out += R"(,"label":)";
  if (row.text_label || !row.label.empty()) {
    append_json_string(out, row.text_label ? std::string_view(*row.text_label) : row.label);
  } else {
    out += '"';
    append_json_number(out, row.prediction);
    out += '"';
  }
  out += numbers == Numbers::kScores ? R"(,"scores":[)" : R"(,"probabilities":[)";
  std::string_view comma;
  for (const float probability : row.probabilities) {
    out += comma;
    append_json_number(out, probability);
    comma = ",";
  }
  out += ']';
}

/// Reserves memory for the fixed parts and ordinary names, so that an answer needs one allocation.
void reserve_more(std::string& out, std::size_t entries, std::size_t bytes_each) {
  constexpr std::size_t kFixed = 320;
  out.reserve(out.size() + kFixed + entries * bytes_each);
}

}  // namespace

void write_classify(std::string& out, const ClassifyAnswer& answer, std::string_view request_id) {
  reserve_more(out, answer.predictions.size(), answer.picture ? 180 : 80);
  append_head(out, answer, request_id);
  out += R"(,"predictions":[)";
  std::string_view comma;
  for (const ScoredClass& entry : answer.predictions) {
    out += comma;
    out += R"({"class":)";
    append_json_number(out, entry.index);
    out += R"(,"label":)";
    append_json_string(out, entry.label);
    out += R"(,"score":)";
    append_json_number(out, entry.score);
    if (answer.picture) {
      append_box(out, entry.box);
    }
    out += '}';
    comma = ",";
  }
  out += ']';
  if (answer.picture) {
    out += R"(,"picture":{"width":)";
    append_json_number(out, answer.picture->width);
    out += R"(,"height":)";
    append_json_number(out, answer.picture->height);
    out += '}';
  }
  if (answer.frames > 1) {
    out += R"(,"animation":{"frames":)";
    append_json_number(out, answer.frames);
    out += R"(,"used":"first"})";
  }
  if (!answer.thumbnail.empty()) {
    out += R"(,"thumbnail":"data:image/jpeg;base64,)";
    out += encode_base64(answer.thumbnail);
    out += '"';
  }
  append_timing(out, answer.timing);
}

void write_features(std::string& out, const RowsAnswer& answer, std::string_view request_id) {
  assert(answer.rows.size() == 1);
  const RowAnswer& row = answer.rows.front();
  reserve_more(out, row.probabilities.size() + row.values.size(), 14);
  append_head(out, answer, request_id);
  out += ',';
  append_row(out, row, answer.numbers);
  append_timing(out, answer.timing);
}

void write_instances(std::string& out, const RowsAnswer& answer, std::string_view request_id) {
  const std::size_t classes = answer.rows.empty() ? 0 : answer.rows.front().probabilities.size();
  reserve_more(out, answer.rows.size(), 64 + classes * 14);
  append_head(out, answer, request_id);
  out += R"(,"predictions":[)";
  std::string_view comma;
  for (const RowAnswer& row : answer.rows) {
    out += comma;
    out += '{';
    append_row(out, row, answer.numbers);
    out += '}';
    comma = ",";
  }
  out += ']';
  append_timing(out, answer.timing);
}

void write_simulate(std::string& out, const SimulateAnswer& answer, std::string_view request_id) {
  reserve_more(out, 0, 0);
  append_head(out, answer, request_id);
  out += R"(,"cpu_ms":)";
  append_ms(out, answer.cpu);
  append_timing(out, answer.timing);
}

void write_error(std::string& out, const Error& error, std::string_view request_id) {
  out.reserve(out.size() + 64 + error.message.size() + request_id.size());
  out += R"({"error":)";
  append_json_string(out, error.message);
  out += R"(,"code":")";
  out += error_name(error.code);
  out += R"(","request_id":)";
  append_json_string(out, request_id);
  out += '}';
}

}  // namespace podsense::protocol
