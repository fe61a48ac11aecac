#include "inference/tasks/scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/log.h"
#include "base/text.h"

namespace podsense::inference {
namespace {

/// Rounding errors can make softmax results slightly larger than 1.
constexpr float kRounding = 1e-4F;

void softmax(std::span<float> values) {
  const float most = *std::ranges::max_element(values);
  for (float& value : values) {
    value = std::exp(value - most);
  }
  const float sum = std::accumulate(values.begin(), values.end(), 0.0F);
  for (float& value : values) {
    value /= sum;
  }
}

float sigmoid(float value) {
  return 1 / (1 + std::exp(-value));
}

}  // namespace

Result<void> Scores::take(const model::Model& model, std::int64_t columns) {
  model_ = model.name() + "/" + std::to_string(model.version());
  const std::string& said = model.manifest().postprocess;
  become_ = said == "softmax"   ? Become::kSoftmax
            : said == "sigmoid" ? Become::kSigmoid
                                : Become::kAsTheyAre;
  declared_ = said == "none";
  binary_ = become_ == Become::kSigmoid && columns == 1;
  if (become_ == Become::kSoftmax && columns == 1) {
    return fail(ErrorCode::kInvalidArgument,
                "'postprocess: softmax' of one score is always 1; for one score write sigmoid");
  }
  return {};
}

std::span<const float> Scores::read(std::span<const float> row, std::vector<float>& buffer) const {
  if (become_ == Become::kAsTheyAre || row.empty()) {
    return row;
  }
  buffer.assign(row.begin(), row.end());
  if (become_ == Become::kSoftmax) {
    softmax(buffer);
    return buffer;
  }
  std::ranges::transform(buffer, buffer.begin(), sigmoid);
  if (binary_) {
    buffer.insert(buffer.begin(), 1 - buffer.front());
  }
  return buffer;
}

bool Scores::are_probabilities(std::span<const float> scores) const {
  if (declared_ || refuted_.load(std::memory_order_relaxed)) {
    return false;
  }
  const auto outside = std::ranges::find_if(
      scores, [](float score) { return score < -kRounding || score > 1 + kRounding; });
  if (outside == scores.end()) {
    return true;
  }
  example_.store(*outside, std::memory_order_relaxed);
  if (!refuted_.exchange(true)) {
    log::warning("model_warning", {{"model", model_}, {"message", warning()}});
  }
  return false;
}

std::string Scores::warning() const {
  if (!refuted_.load(std::memory_order_relaxed)) {
    return {};
  }
  std::string example;
  append_json_number(example, example_.load(std::memory_order_relaxed));
  return "its scores are no probabilities (one is " + example +
         "): answers call them scores; write 'postprocess: softmax' or 'sigmoid' into model.yaml "
         "where they are to become some, 'none' where not";
}

std::vector<float> probe_values(std::size_t count) {
  std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  std::ranges::generate(values, [&] { return normal(random); });
  return values;
}

}  // namespace podsense::inference
