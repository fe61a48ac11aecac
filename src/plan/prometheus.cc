#include "plan/prometheus.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

using nlohmann::json;

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kMostMinutes = 20160;  ///< two weeks, as a scenario is long at most
/// Prometheus answers at most 11,000 points of a series at once.
constexpr std::int64_t kMostPoints = 10000;
constexpr double kMostRows = 1.05;
constexpr double kCounted = 1e6;  ///< counts of a distribution are cut to this sum

std::string escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                          (byte >= 'A' && byte <= 'Z') || c == '-' || c == '_' || c == '.';
    if (is_plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  return out;
}

double number_of(const json& text) {
  double value = 0;
  if (text.is_string()) {
    const std::string& digits = text.get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    value = error == std::errc{} && std::isfinite(value) ? value : 0;
  }
  return value;
}

class Reader {
 public:
  Reader(const AskPrometheus& ask, const TrafficOptions& options) : ask_(ask), options_(options) {}

  Result<RecordedTraffic> read() {
    for (const auto step :
         {&Reader::read_counts, &Reader::read_models, &Reader::read_runs, &Reader::read_rows,
          &Reader::read_rest, &Reader::read_memory, &Reader::read_waits, &Reader::read_starts}) {
      if (auto done = (this->*step)(); !done) {
        return fail(done.error());
      }
    }
    return std::move(out_);
  }

 private:
  /// `result` of an answer.
  Result<json> ask(const std::string& path) {
    const auto body = ask_(path);
    if (!body) {
      return fail(body.error());
    }
    json answer = json::parse(*body, nullptr, false);
    if (!answer.is_object() || !answer.contains("status")) {
      return fail(ErrorCode::kInvalidArgument,
                  "what answers there is no Prometheus: its answer has no status");
    }
    if (answer["status"] != "success" || !answer.contains("data") ||
        !answer["data"].contains("result") || !answer["data"]["result"].is_array()) {
      const json why = answer.value("error", json());
      return fail(ErrorCode::kInvalidArgument,
                  "Prometheus says: " +
                      (why.is_string() ? why.get<std::string>() : std::string("no result")));
    }
    return std::move(answer["data"]["result"]);
  }
  Result<json> query(const std::string& promql) {
    return ask("/api/v1/query?time=" + std::to_string(options_.now) + "&query=" + escaped(promql));
  }
  /// The one value of a query; 0 where there is none.
  Result<double> value(const std::string& promql) {
    return query(promql).map([](const json& result) {
      return result.empty() || !result.at(0).contains("value")
                 ? 0.0
                 : number_of(result.at(0).at("value").at(1));
    });
  }
  [[nodiscard]] std::string series(std::string_view name) const {
    return std::string(name) + options_.selector;
  }
  /// Of the one model, where there is one.
  [[nodiscard]] std::string model_series(std::string_view name) const {
    return options_.model.empty() ? series(name) : series_of(name, options_.model);
  }
  [[nodiscard]] std::string series_of(std::string_view name, std::string_view model) const {
    std::string quoted;
    append_json_string(quoted, model);
    const std::string& all = options_.selector;
    const std::size_t end = all.rfind('}');
    return std::string(name) +
           (end == std::string::npos ? "{" : all.substr(0, end) + (end > 1 ? "," : "")) +
           "model=" + quoted + "}";
  }
  [[nodiscard]] std::string increase(std::string_view name) const {
    return "sum(increase(" + series(name) + "[" + range() + "]))";
  }
  [[nodiscard]] std::string model_increase(std::string_view name) const {
    return "sum(increase(" + model_series(name) + "[" + range() + "]))";
  }
  [[nodiscard]] std::string range() const {
    return std::to_string(
               std::chrono::duration_cast<std::chrono::seconds>(options_.range).count()) +
           "s";
  }

  Result<void> read_counts() {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(options_.range).count();
    const auto window = std::chrono::duration_cast<std::chrono::seconds>(options_.window).count();
    const std::string promql = "sum(rate(" + model_series("podsense_requests_total") + "[" +
                               std::to_string(window) + "s])) * 60";
    out_.counts.assign(static_cast<std::size_t>(minutes), 0);
    bool is_found = false;
    const std::int64_t begin = options_.now - (minutes - 1) * kMinute;
    for (std::int64_t first = 0; first < minutes; first += kMostPoints) {
      const std::int64_t last = std::min(first + kMostPoints, minutes) - 1;
      const auto result =
          ask("/api/v1/query_range?start=" + std::to_string(begin + first * kMinute) + "&end=" +
              std::to_string(begin + last * kMinute) + "&step=60&query=" + escaped(promql));
      if (!result) {
        return fail(result.error());
      }
      for (const json& one : *result) {
        for (const json& point : one.value("values", json::array())) {
          const std::int64_t at =
              (static_cast<std::int64_t>(point.at(0).get<double>()) - begin) / kMinute;
          if (at >= 0 && at < minutes) {
            is_found = true;
            out_.counts[static_cast<std::size_t>(at)] =
                static_cast<std::uint64_t>(std::llround(std::max(0.0, number_of(point.at(1)))));
          }
        }
      }
    }
    const bool has_some = std::ranges::any_of(out_.counts, [](auto count) { return count > 0; });
    return is_found && has_some ? Result<void>() : refuse_nothing();
  }

  /// Why there are no requests, by what there is.
  Result<void> refuse_nothing() {
    const std::string wanted = model_series("podsense_requests_total");
    const auto own = query("count(count_over_time(" + wanted + "[" + range() + "]))");
    const auto any = query("count_over_time(podsense_requests_total[" + range() + "])");
    if (!own || !any) {
      return fail(!own ? own.error() : any.error());
    }
    std::string why = "has no podsense_requests_total at all: does it scrape podsense?";
    if (!own->empty()) {
      why = "has " + wanted +
            ", but no request within a window of it: with scrapes more than 30 s apart say "
            "--window 5m, or a longer --range";
    } else if (!any->empty()) {
      std::string labels;
      for (const auto& [name, value] : any->at(0).value("metric", json::object()).items()) {
        labels += (labels.empty() ? "" : ", ") + name + "=" + value.dump();
      }
      why = "has no " + wanted + "; it has podsense_requests_total with " + labels;
    }
    return fail(ErrorCode::kInvalidArgument, "Prometheus " + why);
  }

  /// Requests that reached no model have no model.
  Result<void> read_models() {
    const auto result = query("sort_desc(sum by (model) (increase(" +
                              series("podsense_requests_total") + "[" + range() + "])) > 0)");
    if (!result) {
      return fail(result.error());
    }
    for (const json& one : *result) {
      const std::string name = one.value("metric", json::object()).value("model", "");
      if (!name.empty()) {
        out_.models.emplace_back(name, number_of(one.at("value").at(1)));
      }
    }
    return {};
  }

  /// Relations of runs of different sizes, on the machines that served; of one model only.
  Result<void> read_rows() {
    const std::string model = !options_.model.empty()   ? options_.model
                              : out_.models.size() == 1 ? out_.models.front().first
                                                        : "";
    if (model.empty()) {
      return {};
    }
    const auto shared =
        value("max(max_over_time(" + series_of("podsense_requests_share_runs", model) + "[" +
              range() + "]))");
    const auto result = query("avg by (rows) (avg_over_time(" +
                              series_of("podsense_profile_seconds", model) + "[" + range() + "]))");
    if (!shared || !result) {
      return fail(!shared ? shared.error() : result.error());
    }
    for (const json& one : *result) {
      const std::string rows = one.value("metric", json::object()).value("rows", "");
      const double number = number_of(json(rows));
      const double seconds = number_of(one.at("value").at(1));
      if (number >= 1 && number <= 4096 && seconds > 0 && (number == 1 || *shared > 0)) {
        out_.rows_seconds[static_cast<unsigned>(number)] = seconds;
      }
    }
    if (out_.rows_seconds.size() < 2 || !out_.rows_seconds.contains(1)) {
      out_.rows_seconds.clear();
    }
    return {};
  }

  Result<void> read_memory() {
    const auto used = value("max(max_over_time(" + series("podsense_memory_working_set_bytes") +
                            "[" + range() + "]))");
    const auto resident = value("max(max_over_time(" + series("process_resident_memory_bytes") +
                                "[" + range() + "]))");
    if (!used || !resident) {
      return fail(!used ? used.error() : resident.error());
    }
    out_.memory = *used > 0 ? *used : *resident;
    return {};
  }

  /// Of pods that were created within the range, as kube-state-metrics says: scheduling them and
  /// pulling their image.
  Result<void> read_waits() {
    const std::string by = "min by (namespace, pod) (min_over_time(";
    const auto result = query(by + series("process_start_time_seconds") + "[" + range() +
                              "])) - (" + by + "kube_pod_created[" + range() + "])) > " +
                              std::to_string(options_.now) + " - " + range_number() + ")");
    if (!result) {
      return fail(result.error());
    }
    for (const json& one : *result) {
      out_.waits.emplace_back(std::max(0.0, number_of(one.at("value").at(1))), 1);
    }
    return {};
  }

  Result<void> read_runs() {
    const auto native = query(model_increase("podsense_compute_seconds"));
    if (!native) {
      return fail(native.error());
    }
    if (!native->empty() && native->at(0).contains("histogram")) {
      take_native(native->at(0).at("histogram").at(1));
      return {};
    }
    const auto sum = value(model_increase("podsense_compute_seconds_sum"));
    const auto count = value(model_increase("podsense_compute_seconds_count"));
    const auto buckets =
        query("sum by (le) (increase(" + model_series("podsense_compute_seconds_bucket") + "[" +
              range() + "]))");
    if (!sum || !count || !buckets) {
      return fail(!sum ? sum.error() : !count ? count.error() : buckets.error());
    }
    if (*count > 0) {
      take_classic(*buckets, *sum / *count);
    }
    return {};
  }

  void take_native(const json& histogram) {
    const double count = number_of(histogram.value("count", json()));
    for (const json& bucket : histogram.value("buckets", json::array())) {
      const double low = number_of(bucket.at(1));
      const double high = number_of(bucket.at(2));
      out_.runs.emplace_back(low > 0 ? std::sqrt(low * high) : std::max(high, 0.0),
                             number_of(bucket.at(3)));
    }
    if (count > 0) {
      set_mean(number_of(histogram.value("sum", json())) / count);
    }
  }

  /// Cumulative, and far apart.
  void take_classic(const json& buckets, double mean) {
    std::map<double, double> counts;
    for (const json& one : buckets) {
      const std::string bound = one.value("metric", json::object()).value("le", "");
      const double limit = number_of(json(bound));
      counts[bound == "+Inf" ? HUGE_VAL : limit] = number_of(one.at("value").at(1));
    }
    double before = 0;
    double low = 0;
    for (const auto& [high, count] : counts) {
      const double own = count - before;
      if (own > 0) {
        out_.runs.emplace_back(std::isinf(high) ? low * 1.5 : (low + high) / 2, own);
      }
      before = std::max(before, count);
      low = std::isinf(high) ? low : high;
    }
    set_mean(mean);
    out_.notes.emplace_back(
        "times of runs come from fixed buckets, which are far apart; native histograms are finer");
  }

  /// The buckets' middles are nobody's times: their mean is known.
  void set_mean(double wanted) {
    double all = 0;
    for (const auto& [seconds, count] : out_.runs) {
      all += count;
    }
    const double factor = mean() > 0 ? wanted / mean() : 0;
    for (auto& [seconds, count] : out_.runs) {
      seconds *= factor;
      count = all > kCounted ? count * kCounted / all : count;
    }
  }
  [[nodiscard]] double mean() const {
    double weighted = 0;
    double all = 0;
    for (const auto& [seconds, count] : out_.runs) {
      weighted += seconds * count;
      all += count;
    }
    return all > 0 ? weighted / all : 0;
  }

  Result<void> read_rest() {
    const auto cpu = value(increase("process_cpu_seconds_total"));
    const auto requests = value(increase("podsense_requests_total"));
    // A process does not count its CPU time by model.
    const auto runs = mean_of(series("podsense_compute_seconds"), "podsense_compute_seconds");
    const auto rows = mean_of(series("podsense_batch_size"), "podsense_batch_size");
    const auto own_rows = mean_of(model_series("podsense_batch_size"), "podsense_batch_size");
    if (!cpu || !requests || !runs || !rows || !own_rows) {
      return fail(!cpu        ? cpu.error()
                  : !requests ? requests.error()
                  : !runs     ? runs.error()
                  : !rows     ? rows.error()
                              : own_rows.error());
    }
    out_.rows = *own_rows > 0 ? *own_rows : 1;
    note_rows();
    if (*cpu > 0 && *requests > 0) {
      const double used = *cpu / *requests;
      const double run = *runs / (*rows > 0 ? *rows : 1);
      out_.request_cpu = std::max(0.0, used - run);
      if (used < run) {
        set_mean(mean() * used / run);
        out_.notes.emplace_back(
            "runs took longer than the CPU time of whole requests (a limit, or busy nodes): their "
            "times are cut to that");
      }
    } else {
      out_.notes.emplace_back("process_cpu_seconds_total is not there: request_cpu is 0");
    }
    return {};
  }

  void note_rows() {
    if (out_.runs.empty()) {
      out_.notes.emplace_back("no run was seen: service.run_cpu has to be given");
    } else if (!out_.rows_seconds.empty()) {
      out_.notes.push_back("runs had " + text::format_number(out_.rows) +
                           " rows on average; those of other sizes are longer or shorter as "
                           "podsense_profile_seconds "
                           "says, which was measured when the model was loaded");
    } else if (out_.rows > kMostRows) {
      out_.notes.push_back("runs had " + text::format_number(out_.rows) +
                           " rows on average and their times are taken for one row's: "
                           "`podsense plan measure` tells them apart");
    }
  }

  /// Of a histogram, native or not. @param of  the series of its name, with labels
  Result<double> mean_of(const std::string& of, const std::string& name) {
    const std::string labels = of.substr(name.size());
    const auto increase = [&](const std::string& of_what) {
      return "sum(increase(" + of_what + labels + "[" + range() + "]))";
    };
    const auto native = query(increase(name));
    if (!native) {
      return fail(native.error());
    }
    if (!native->empty() && native->at(0).contains("histogram")) {
      const json& histogram = native->at(0).at("histogram").at(1);
      const double count = number_of(histogram.value("count", json()));
      return count > 0 ? number_of(histogram.value("sum", json())) / count : 0;
    }
    const auto sum = value(increase(name + "_sum"));
    const auto count = value(increase(name + "_count"));
    if (!sum || !count) {
      return fail(!sum ? sum.error() : count.error());
    }
    return *count > 0 ? *sum / *count : 0;
  }

  /// Of processes that began within the range; as exact as scrapes are close.
  Result<void> read_starts() {
    const std::string began =
        "min_over_time(" + series("process_start_time_seconds") + "[" + range() + "])";
    const auto result =
        query("(min_over_time(timestamp(" + series("podsense_ready") + " == 1)[" + range() + ":" +
              std::to_string(look_seconds()) + "s]) - on(instance, pod, job) group_left " + began +
              ") and on(instance, pod, job) (" + began + " > " + std::to_string(options_.now) +
              " - " + range_number() + ")");
    if (!result) {
      return fail(result.error());
    }
    for (const json& one : *result) {
      const double took = number_of(one.at("value").at(1));
      if (took > 0) {
        out_.starts.emplace_back(took, 1);
      }
    }
    out_.notes.emplace_back(
        out_.starts.empty() ? "no pod started within the range: `start` has to be given"
        : out_.waits.empty()
            ? "starts are from a process's begin to the first scrape at which it was ready: "
              "scheduling a pod and pulling its image are not in them (kube_pod_created of "
              "kube-state-metrics is not there)"
            : "starts are to the first scrape at which a pod was ready; scheduling it and pulling "
              "its "
              "image are from kube_pod_created");
    return {};
  }
  /// Of a subquery, so that a week of some hundred pods is not too much for Prometheus.
  [[nodiscard]] std::int64_t look_seconds() const {
    constexpr std::int64_t kMostLooks = 40000;
    return std::max<std::int64_t>(
        1, std::chrono::duration_cast<std::chrono::seconds>(options_.range).count() / kMostLooks);
  }
  [[nodiscard]] std::string range_number() const {
    std::string text = range();
    text.pop_back();
    return text;
  }

  const AskPrometheus& ask_;
  const TrafficOptions& options_;
  RecordedTraffic out_;
};

}  // namespace

Result<Duration> parse_range(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const std::int64_t seconds = unit == "m"   ? 60
                               : unit == "h" ? 3600
                               : unit == "d" ? 86400
                               : unit == "w" ? 604800
                                             : 0;
  if (error != std::errc{} || seconds == 0 || number < 1 || number > kMostMinutes ||
      number * seconds > kMostMinutes * kMinute) {
    return fail(
        ErrorCode::kInvalidArgument,
        "'" + std::string(text) + "' is no range; accepted: such as 30m, 12h, 7d, up to 14d");
  }
  return Duration(std::chrono::seconds(number * seconds));
}

Result<RecordedTraffic> read_traffic(const AskPrometheus& ask, const TrafficOptions& options) {
  try {
    return Reader(ask, options).read();
  } catch (const json::exception&) {
    return fail(ErrorCode::kInvalidArgument,
                "what answers there is no Prometheus: its results have another form");
  }
}

}  // namespace podsense::plan
