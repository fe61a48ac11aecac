#include "plan/measure.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "quantiles/histogram_json.h"
#include "text/numbers.h"

namespace podsense::plan {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kFewRequests = 1000;
constexpr double kWide = 0.03;
constexpr double kContended = 1.1;
constexpr double kUndisturbed = 0.1;  ///< share of runs

/// Sum over all versions of the model, or over all series without labels of one.
NativeHistogram histogram_of(const ServerReading& state, std::string_view name,
                             std::string_view model) {
  NativeHistogram out;
  for (const MetricPoint& point : state.metrics) {
    const auto own = point.labels.find("model");
    if (point.name == name && (own == point.labels.end() || own->second == model)) {
      out.add(point.histogram);
    }
  }
  return out;
}

NativeHistogram between(const Measured& measured, std::string_view name, std::string_view model) {
  return histogram_of(measured.after, name, model)
      .since(histogram_of(measured.before, name, model));
}

double stretch_of(const Measured& measured) {
  const double ran = to_seconds(measured.after.ran - measured.before.ran);
  const double waited = to_seconds(measured.after.waited - measured.before.waited);
  return ran > 0 ? (ran + std::max(0.0, waited)) / ran : 1;
}

}  // namespace

std::string busy_text(const Calmness& calm) {
  const double most = std::max(kCalmCores, kCalmShare * calm.machine_cores);
  if (calm.other_cores > most) {
    return "others use " + text::format_number(calm.other_cores) +
           " cores of this machine; calm is up to " + text::format_number(most);
  }
  return calm.waited_share > kCalmWaited
             ? "the server's threads had no core for " + text::format_share(calm.waited_share) +
                   " of the time that they could run; calm is up to " +
                   text::format_share(kCalmWaited)
             : "";
}

Result<RunProfile> run_of(const Measured& measured, std::string_view model, std::size_t threads) {
  const NativeHistogram runs = between(measured, "podsense_compute_seconds", model);
  const NativeHistogram rows = between(measured, "podsense_batch_size", model);
  if (runs.count == 0 || runs.buckets.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "podsense_compute_seconds has no native buckets of runs of " + std::string(model));
  }
  if (rows.count > 0 && std::abs(rows.mean() - static_cast<double>(measured.rows)) > 0.01) {
    return fail(ErrorCode::kInvalidArgument,
                "runs had " + text::format_number(rows.mean()) + " rows on average, not " +
                    std::to_string(measured.rows) + ": something else asks this server");
  }
  RunProfile out{.rows = measured.rows};
  out.stretch = stretch_of(measured);
  const double used =
      to_seconds(measured.after.ran - measured.before.ran) / static_cast<double>(runs.count);
  out.wall = runs.with_mean(runs.mean());
  // One thread of a run uses a core while it has one. On a busy machine threads wait mostly before
  // a run, so the quickest runs, which nobody disturbed, are a bound from below. Of several threads
  // nobody says how much they use, but never more than the whole request did.
  const double one_thread =
      std::max(runs.mean() / out.stretch, to_seconds(out.wall.quantile(kUndisturbed)));
  const double bound = used > 0 ? used : one_thread;
  const double cpu = std::min({bound, one_thread * static_cast<double>(threads),
                               runs.mean() * static_cast<double>(threads)});
  out.cpu = runs.with_mean(cpu);
  const auto count = static_cast<double>(out.wall.count());
  out.mean_interval = 1.96 * to_seconds(out.wall.stddev()) / std::sqrt(count) /
                      std::max(to_seconds(out.wall.mean()), 1e-12);
  return out;
}

void add_request(const Measured& measured, const RunProfile& run, MeasuredProfile& out) {
  const NativeHistogram preprocess = between(measured, "podsense_preprocess_seconds", out.model);
  const NativeHistogram queue = between(measured, "podsense_queue_seconds", out.model);
  if (preprocess.count > 0) {
    out.preprocess = preprocess.with_mean(preprocess.mean());
  }
  const auto requests = static_cast<double>(std::max<std::uint64_t>(1, measured.service.count()));
  const double inside = to_seconds(run.wall.mean()) + (preprocess.sum + queue.sum) / requests;
  for (const auto& [bucket, count] : measured.service.buckets()) {
    const auto bounds = measured.service.bounds(bucket);
    const double middle = static_cast<double>(bounds.low + bounds.high) / 2e9;
    for (std::uint64_t i = 0; i < count; ++i) {
      out.rest.record(Duration(std::llround(std::max(0.0, middle - inside) * 1e9)));
    }
  }
  const double used = to_seconds(measured.after.ran - measured.before.ran) / requests;
  const double cpu = std::max(0.0, used - to_seconds(run.cpu.mean()));
  out.request_cpu.record(Duration(std::llround(cpu * 1e9)));
}

std::vector<std::string> cautions_of(const MeasuredProfile& profile) {
  std::vector<std::string> out;
  if (const std::string busy = busy_text(profile.calm); !busy.empty()) {
    out.push_back("measured on a busy machine: " + busy);
  }
  std::uint64_t few = UINT64_MAX;
  double wide = 0;
  for (const RunProfile& run : profile.runs) {
    few = std::min(few, run.wall.count());
    wide = std::max(wide, run.mean_interval);
  }
  if (few < kFewRequests) {
    out.push_back("only " + text::format_count(few) +
                  " runs of one size were measured: their tail is not known beyond that");
  }
  if (wide > kWide) {
    out.push_back("the mean of a run is known to ± " + text::format_share(wide) + " only");
  }
  if (profile.threads > 1) {
    out.push_back("runs use " + std::to_string(profile.threads) +
                  " threads: their CPU time is at most what is given");
  }
  if (profile.contention.value_or(1) > kContended) {
    out.push_back("runs at the same time take " + text::format_number(*profile.contention) +
                  " times as long as alone, which a simulation does not know");
  }
  return out;
}

std::string profile_json(const MeasuredProfile& profile) {
  Json runs = Json::array();
  for (const RunProfile& run : profile.runs) {
    runs.push_back({{"rows", run.rows},
                    {"count", run.wall.count()},
                    {"wall", quantiles::histogram_json(run.wall)},
                    {"cpu", quantiles::histogram_json(run.cpu)},
                    {"stretch", run.stretch},
                    {"mean_interval", run.mean_interval}});
  }
  Json starts = Json::array();
  for (const StartProfile& start : profile.starts) {
    starts.push_back(
        {{"ready_seconds", to_seconds(start.ready)}, {"cpu_seconds", to_seconds(start.cpu)}});
  }
  const Json json{
      {"format", "podsense-profile/1"},
      {"model", profile.model},
      {"task", profile.task},
      {"plan", profile.plan},
      {"request", profile.request},
      {"threads", profile.threads},
      {"max_batch", profile.max_batch},
      {"memory_bytes", profile.memory_bytes},
      {"cores", profile.cores},
      {"executors", profile.executors},
      {"calm",
       {{"is_calm", busy_text(profile.calm).empty()},
        {"forced", profile.calm.forced},
        {"machine_cores", profile.calm.machine_cores},
        {"other_cores", profile.calm.other_cores},
        {"waited_share", profile.calm.waited_share}}},
      {"runs", std::move(runs)},
      {"preprocess",
       profile.preprocess.count() == 0 ? Json() : quantiles::histogram_json(profile.preprocess)},
      {"rest", quantiles::histogram_json(profile.rest)},
      {"request_cpu", quantiles::histogram_json(profile.request_cpu)},
      {"contention", profile.contention ? Json(*profile.contention) : Json()},
      {"starts", std::move(starts)},
      {"cautions", cautions_of(profile)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string profile_text(const MeasuredProfile& profile) {
  std::string out;
  for (const RunProfile& run : profile.runs) {
    out += "  " + std::to_string(run.rows) + (run.rows == 1 ? " row: " : " rows: ") +
           text::format_duration(run.wall.mean()) + " a run (p99 " +
           text::format_duration(run.wall.quantile(0.99)) + "), " +
           text::format_duration(run.cpu.mean()) + " of CPU, " +
           text::format_count(run.wall.count()) + " runs, mean ± " +
           text::format_share(run.mean_interval) + "\n";
  }
  if (profile.preprocess.count() > 0) {
    out += "  preprocessing " + text::format_duration(profile.preprocess.mean()) + "\n";
  }
  out += "  the rest of a request " + text::format_duration(profile.rest.mean()) + " (p99 " +
         text::format_duration(profile.rest.quantile(0.99)) + "); CPU without the run " +
         text::format_duration(profile.request_cpu.mean()) + "\n";
  if (profile.contention) {
    out += "  with all executors busy: " + text::format_number(*profile.contention) +
           " times as long\n";
  }
  for (const StartProfile& start : profile.starts) {
    out += "  ready after " + text::format_duration(start.ready) + ", " +
           text::format_duration(start.cpu) + " of CPU\n";
  }
  for (const std::string& caution : cautions_of(profile)) {
    out += "  ! " + caution + "\n";
  }
  return out;
}

}  // namespace podsense::plan
