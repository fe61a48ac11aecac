#include "cli/top_view.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <set>

namespace podsense::cli {
namespace {

using Labels = std::map<std::string, std::string, std::less<>>;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == ':';
}

/// Reads a line from its front; every `take` that fails leaves the line where it was.
class Line {
 public:
  explicit Line(std::string_view text) : rest_(text) {}

  std::string_view name() {
    const auto* end = std::ranges::find_if_not(rest_, is_name);
    return cut(static_cast<std::size_t>(end - rest_.begin()));
  }
  bool take(char c) {
    const bool there = rest_.starts_with(c);
    rest_.remove_prefix(there ? 1 : 0);
    return there;
  }
  void blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
  /// A quoted text with its escapes undone.
  std::optional<std::string> quoted() {
    if (!take('"')) {
      return std::nullopt;
    }
    std::string out;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return out;
      }
      const bool escaped = rest_[i] == '\\' && i + 1 < rest_.size();
      i += escaped ? 1 : 0;
      out += escaped && rest_[i] == 'n' ? '\n' : rest_[i];
    }
    return std::nullopt;
  }
  std::optional<double> number() {
    blanks();
    const std::string_view word = cut(std::min(rest_.find_first_of(" \t"), rest_.size()));
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (word == "+Inf" || word == "Inf") {
      return kInfinity;
    }
    if (word == "-Inf") {
      return -kInfinity;
    }
    if (word == "NaN" || word == "Nan") {
      return std::numeric_limits<double>::quiet_NaN();
    }
    double value = 0;
    const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), value);
    return failed == std::errc() && end == word.data() + word.size() ? std::optional(value)
                                                                     : std::nullopt;
  }

 private:
  std::string_view cut(std::size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::string_view rest_;
};

std::optional<Sample> parse_line(std::string_view text) {
  Line line(text);
  Sample sample{.name = std::string(line.name())};
  if (sample.name.empty()) {
    return std::nullopt;
  }
  if (line.take('{')) {
    while (!line.take('}')) {
      line.blanks();
      const std::string key(line.name());
      if (key.empty() || !line.take('=')) {
        return std::nullopt;
      }
      auto value = line.quoted();
      if (!value) {
        return std::nullopt;
      }
      sample.labels[key] = *std::move(value);
      line.take(',');
    }
  }
  const auto value = line.number();
  if (!value) {
    return std::nullopt;
  }
  sample.value = *value;
  return sample;
}

/// Samples of one moment, asked by name and by some of their labels.
class Reading {
 public:
  explicit Reading(const Scrape& scrape) : scrape_(scrape) {}

  [[nodiscard]] double sum(std::string_view name, const Labels& wanted = {}) const {
    double total = 0;
    for (const Sample& sample : scrape_.samples) {
      total += sample.name == name && has(sample, wanted) ? sample.value : 0;
    }
    return total;
  }
  /// Cumulative counts by upper bound.
  [[nodiscard]] std::map<double, double> buckets(std::string_view histogram,
                                                 const Labels& wanted) const {
    std::map<double, double> found;
    const std::string name = std::string(histogram) + "_bucket";
    for (const Sample& sample : scrape_.samples) {
      const auto le = sample.labels.find("le");
      if (sample.name == name && le != sample.labels.end() && has(sample, wanted)) {
        found[Line(le->second).number().value_or(0)] += sample.value;
      }
    }
    return found;
  }
  [[nodiscard]] std::set<std::pair<std::string, std::string>> versions() const {
    std::set<std::pair<std::string, std::string>> found;
    for (const Sample& sample : scrape_.samples) {
      if (sample.name == "podsense_model_info" && sample.labels.contains("model") &&
          sample.labels.contains("version")) {
        found.emplace(sample.labels.at("model"), sample.labels.at("version"));
      }
    }
    return found;
  }

 private:
  static bool has(const Sample& sample, const Labels& wanted) {
    return std::ranges::all_of(wanted, [&](const auto& pair) {
      const auto found = sample.labels.find(pair.first);
      return found != sample.labels.end() && found->second == pair.second;
    });
  }
  const Scrape& scrape_;
};

/// Two moments of one pod. A counter that fell began anew.
class Between {
 public:
  Between(const Scrape& before, const Scrape& now)
      : before_(before), now_(now), seconds_(now.seconds - before.seconds) {}

  [[nodiscard]] double increase(std::string_view name, const Labels& wanted = {}) const {
    const double end = now_.sum(name, wanted);
    const double begin = before_.sum(name, wanted);
    return end >= begin ? end - begin : end;
  }
  [[nodiscard]] double rate(std::string_view name, const Labels& wanted = {}) const {
    return seconds_ > 0 ? increase(name, wanted) / seconds_ : 0;
  }
  /// Seconds; NaN when nothing came.
  [[nodiscard]] double quantile(std::string_view histogram, double q, const Labels& wanted) const {
    auto counts = now_.buckets(histogram, wanted);
    for (const auto& [bound, count] : before_.buckets(histogram, wanted)) {
      const auto found = counts.find(bound);
      if (found != counts.end() && found->second >= count) {
        found->second -= count;
      }
    }
    const double total = counts.empty() ? 0 : counts.rbegin()->second;
    double low_bound = 0;
    double low_count = 0;
    for (const auto& [bound, count] : counts) {
      if (total > 0 && count >= q * total) {
        const double share = count > low_count ? (q * total - low_count) / (count - low_count) : 1;
        return std::isinf(bound) ? low_bound : low_bound + (bound - low_bound) * share;
      }
      low_bound = bound;
      low_count = count;
    }
    return std::numeric_limits<double>::quiet_NaN();
  }
  [[nodiscard]] const Reading& now() const { return now_; }

 private:
  Reading before_;
  Reading now_;
  double seconds_;
};

template <class... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 256> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

std::string milliseconds(double seconds) {
  if (std::isnan(seconds)) {
    return "-";
  }
  const double ms = seconds * 1e3;
  return format(ms < 10 ? "%.2f" : ms < 100 ? "%.1f" : "%.0f", ms);
}

std::string mebibytes(double bytes) {
  return format("%.0fM", bytes / 1048576);
}

std::string pod_line(const Scrape& scrape, const Between& pod) {
  const Reading& now = pod.now();
  const double all = pod.rate("podsense_requests_total");
  const double good = pod.rate("podsense_requests_total", {{"code", "OK"}});
  const double memory = now.sum("podsense_memory_working_set_bytes");
  const double resident = now.sum("process_resident_memory_bytes");
  return format("%-24.24s %5s %8.1f %7.1f %8s %8s %6.0f %8.0f %5.0f%% %5.2f %8s",
                scrape.pod.c_str(), now.sum("podsense_ready") > 0 ? "yes" : "NO", all, all - good,
                milliseconds(pod.quantile("podsense_request_seconds", 0.5, {})).c_str(),
                milliseconds(pod.quantile("podsense_request_seconds", 0.99, {})).c_str(),
                now.sum("podsense_queue_depth"), now.sum("podsense_requests_in_flight"),
                100 * now.sum("podsense_saturation"), pod.rate("process_cpu_seconds_total"),
                mebibytes(memory > 0 ? memory : resident).c_str());
}

std::string model_line(const std::string& model, const std::string& version,
                       const std::vector<Between>& pods) {
  const Labels wanted{{"model", model}, {"version", version}};
  double rate = 0;
  double queue = 0;
  double rows = 0;
  double runs = 0;
  double p99 = std::numeric_limits<double>::quiet_NaN();
  double serving = 0;
  for (const Between& pod : pods) {
    rate += pod.rate("podsense_requests_total", wanted);
    queue += pod.now().sum("podsense_queue_depth", wanted);
    rows += pod.increase("podsense_batch_size_sum", wanted);
    runs += pod.increase("podsense_batch_size_count", wanted);
    p99 = std::fmax(p99, pod.quantile("podsense_request_seconds", 0.99, wanted));
    serving += pod.now().sum("podsense_model_info", wanted) > 0 ? 1 : 0;
  }
  const std::string batch = runs > 0 ? format("%.1f", rows / runs) : "-";
  return format("%-24.24s %7.7s %5.0f %8.1f %8s %6.0f %6s", model.c_str(), version.c_str(), serving,
                rate, milliseconds(p99).c_str(), queue, batch.c_str());
}

}  // namespace

Result<std::vector<Sample>> parse_metrics(std::string_view text) {
  std::vector<Sample> samples;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    auto sample = parse_line(line);
    if (!sample) {
      return fail(ErrorCode::kInvalidArgument,
                  "no sample of Prometheus' text format: " + std::string(line.substr(0, 80)));
    }
    samples.push_back(*std::move(sample));
  }
  return samples;
}

std::string top_frame(const std::vector<Scrape>& before, const std::vector<Scrape>& now,
                      std::size_t width) {
  std::vector<std::string> lines{
      "POD                      READY    REQ/S  FAIL/S   p50 ms   p99 ms  QUEUE INFLIGHT   SAT   "
      "CPU   MEMORY"};
  std::vector<Between> pods;
  std::set<std::pair<std::string, std::string>> versions;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (!now[i].error.empty()) {
      lines.push_back(format("%-24.24s ", now[i].pod.c_str()) + now[i].error);
      continue;
    }
    // A pod that has just come, or come back, has counted since its start, not since the last look.
    const Scrape& since = before[i].error.empty() ? before[i] : now[i];
    const Between& pod = pods.emplace_back(since, now[i]);
    lines.push_back(pod_line(now[i], pod));
    versions.merge(pod.now().versions());
  }
  lines.emplace_back();
  lines.emplace_back("MODEL                    VERSION  PODS    REQ/S   p99 ms  QUEUE  BATCH");
  for (const auto& [model, version] : versions) {
    lines.push_back(model_line(model, version, pods));
  }
  std::string frame;
  for (const std::string& line : lines) {
    frame.append(line.substr(0, width)).append("\n");
  }
  return frame;
}

}  // namespace podsense::cli
