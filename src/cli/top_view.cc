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

#include "cli/table.h"

namespace podsense::cli {
namespace {

using Labels = std::map<std::string, std::string, std::less<>>;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == ':';
}

/// Parses a line from its start; a failed `take` does not advance.
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
  /// Reads a quoted text and decodes its escapes.
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

/// The samples of one time, looked up by name and labels.
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

/// Differences between two times of one pod. A counter that decreased was reset.
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
  /// Increases of a histogram's cumulative counts, by upper bound.
  [[nodiscard]] std::map<double, double> increases(std::string_view histogram,
                                                   const Labels& wanted) const {
    auto counts = now_.buckets(histogram, wanted);
    for (const auto& [bound, count] : before_.buckets(histogram, wanted)) {
      const auto found = counts.find(bound);
      if (found != counts.end() && found->second >= count) {
        found->second -= count;
      }
    }
    return counts;
  }
  [[nodiscard]] const Reading& now() const { return now_; }

 private:
  Reading before_;
  Reading now_;
  double seconds_;
};

/// Seconds; NaN: no observations.
double quantile(const std::map<double, double>& counts, double q) {
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

const std::vector<Column> kPodColumns{
    {"READY", 5, 0}, {"REQ/S", 8, 0},    {"FAIL/S", 7, 1}, {"p50 ms", 8, 3}, {"p99 ms", 8, 0},
    {"QUEUE", 6, 2}, {"INFLIGHT", 8, 5}, {"SAT", 5, 0},    {"CPU", 5, 6},    {"MEMORY", 8, 4}};
const std::vector<Column> kModelColumns{{"VERSION", 7, 1}, {"PODS", 5, 4},  {"REQ/S", 8, 0},
                                        {"p99 ms", 8, 0},  {"QUEUE", 6, 2}, {"BATCH", 6, 3}};

struct PodFigures {
  double ready = 0;
  double rate = 0;
  double good = 0;
  std::map<double, double> counts;  ///< requests by upper bound in seconds
  double queue = 0;
  double in_flight = 0;
  double saturation = 0;
  double cpu = 0;
  double memory = 0;
};

PodFigures figures(const Between& pod) {
  const Reading& now = pod.now();
  // Without a limit the cgroup may be that of the whole machine.
  const bool limited = now.sum("podsense_memory_limit_bytes") > 0;
  return {.ready = now.sum("podsense_ready") > 0 ? 1.0 : 0.0,
          .rate = pod.rate("podsense_requests_total"),
          .good = pod.rate("podsense_requests_total", {{"code", "OK"}}),
          .counts = pod.increases("podsense_request_seconds", {}),
          .queue = now.sum("podsense_queue_depth"),
          .in_flight = now.sum("podsense_requests_in_flight"),
          .saturation = now.sum("podsense_saturation"),
          .cpu = pod.rate("process_cpu_seconds_total"),
          .memory = now.sum(limited ? "podsense_memory_working_set_bytes"
                                    : "process_resident_memory_bytes")};
}

std::vector<std::string> pod_cells(const PodFigures& pod, std::string ready) {
  return {std::move(ready),
          format("%.1f", pod.rate),
          format("%.1f", pod.rate - pod.good),
          milliseconds(quantile(pod.counts, 0.5)),
          milliseconds(quantile(pod.counts, 0.99)),
          format("%.0f", pod.queue),
          format("%.0f", pod.in_flight),
          format("%.0f%%", 100 * pod.saturation),
          format("%.2f", pod.cpu),
          mebibytes(pod.memory)};
}

/// The row of all pods: sums, percentiles over all requests, and the average saturation, as an HPA
/// sees it.
Row all_pods(const std::vector<PodFigures>& pods, std::size_t asked) {
  PodFigures all;
  for (const PodFigures& pod : pods) {
    all.ready += pod.ready;
    all.rate += pod.rate;
    all.good += pod.good;
    for (const auto& [bound, count] : pod.counts) {
      all.counts[bound] += count;
    }
    all.queue += pod.queue;
    all.in_flight += pod.in_flight;
    all.saturation += pod.saturation / static_cast<double>(pods.size());
    all.cpu += pod.cpu;
    all.memory += pod.memory;
  }
  return {.name = "all", .cells = pod_cells(all, format("%.0f/%zu", all.ready, asked)), .text = {}};
}

Row model_row(const std::string& model, const std::string& version,
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
    p99 = std::fmax(p99, quantile(pod.increases("podsense_request_seconds", wanted), 0.99));
    serving += pod.now().sum("podsense_model_info", wanted) > 0 ? 1 : 0;
  }
  return {.name = model,
          .cells = {version.substr(0, 7), format("%.0f", serving), format("%.1f", rate),
                    milliseconds(p99), format("%.0f", queue),
                    runs > 0 ? format("%.1f", rows / runs) : "-"},
          .text = {}};
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
                      TopSize size) {
  std::vector<Row> rows;
  std::vector<Between> pods;
  std::vector<PodFigures> all;
  std::set<std::pair<std::string, std::string>> versions;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (!now[i].error.empty()) {
      rows.push_back({.name = now[i].pod, .cells = {}, .text = now[i].error});
      continue;
    }
    // Skip the difference for a new or returning pod: its counters contain everything since its
    // start.
    const Scrape& since = before[i].error.empty() ? before[i] : now[i];
    const Between& pod = pods.emplace_back(since, now[i]);
    const PodFigures& its = all.emplace_back(figures(pod));
    rows.push_back(
        {.name = now[i].pod, .cells = pod_cells(its, its.ready > 0 ? "yes" : "NO"), .text = {}});
    versions.merge(pod.now().versions());
  }
  if (now.size() > 1) {
    rows.insert(rows.begin(), all_pods(all, now.size()));
  }
  std::vector<std::string> lines = table("POD", kPodColumns, rows, size.columns);
  rows.clear();
  for (const auto& [model, version] : versions) {
    rows.push_back(model_row(model, version, pods));
  }
  std::vector<std::string> models = table("MODEL", kModelColumns, rows, size.columns);
  // Each table gets at least half of the lines, or more if the other needs less. With few lines
  // only pods are shown.
  const std::size_t room = std::max<std::size_t>(size.lines, 1) - 1;
  const std::size_t for_models = room < 8 ? 0 : std::min(models.size(), room / 2);
  cut_to(lines, room - for_models);
  cut_to(models, room - lines.size());
  lines.emplace_back();
  lines.insert(lines.end(), models.begin(), models.end());
  lines.resize(std::min(lines.size(), size.lines));
  std::string frame;
  for (const std::string& line : lines) {
    frame.append(line).append("\n");
  }
  return frame;
}

}  // namespace podsense::cli
