#include <algorithm>
#include <array>
#include <cmath>

#include "load/reports/report.h"
#include "text/columns.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::load {
namespace {

constexpr std::size_t kBars = 12;
constexpr std::size_t kBarWidth = 40;

/// Cells of one width, counted in characters rather than bytes.
std::string percent(double share) {
  if (share < 1 && share >= 0.9995) {
    return "> 99.9 %";
  }
  return share > 0 && share < 0.0001 ? "< 0.01 %" : text::format_share(share);
}

void line(std::string& out, std::string_view name, const std::string& value) {
  out += "  " + text::left(name, 14) + value + "\n";
}

std::string headline(const LoadReport& report) {
  const RequestCounts& counts = report.results.counts;
  std::string out;
  std::uint64_t shortage = 0;
  for (const ErrorKind kind : {ErrorKind::kDescriptors, ErrorKind::kPorts}) {
    shortage += report.results.errors[static_cast<std::size_t>(kind)];
  }
  if (counts.dropped > shortage) {
    out += "RATE NOT APPLIED: " + text::format_count(counts.dropped - shortage) + " of " +
           text::format_count(counts.planned) + " requests were not sent, since all " +
           std::to_string(report.circumstances.max_connections) +
           " connections were busy (--max-connections)\n";
  }
  if (report.interrupted) {
    out += "INTERRUPTED: this is what was measured until then\n";
  }
  if (counts.planned == 0 && counts.outside > 0) {
    out += "NOTHING WAS MEASURED: all " + text::format_count(counts.outside) +
           " requests were due in warm-up or cool-down\n";
  }
  for (const GeneratorLimit& limit : generator_limits(report)) {
    out += "THE GENERATOR WAS THE LIMIT: " + limit.text + "\n";
  }
  return out;
}

/// "100/s offered, 99/s answered well, over 10 s"; both lengths where they differ.
std::string rates_text(const Results& results, bool open_loop) {
  const auto length = [](Duration time) {
    const double seconds = to_seconds(time);
    return seconds >= 1 || seconds <= 0 ? text::format_number(seconds) + " s"
                                        : text::format_duration(time);
  };
  const bool late = results.last_answer - results.measured > std::chrono::milliseconds(100);
  const std::string answered =
      text::format_number(achieved_rate(results)) + "/s answered well, over ";
  const std::string offered = text::format_number(offered_rate(results)) + "/s offered";
  if (late) {
    return (open_loop ? offered + ", over " + length(results.measured) + "; " : "") + answered +
           length(results.last_answer) + ", until the last answer";
  }
  return (open_loop ? offered + ", " : "") + answered + length(results.measured);
}

void counts_table(const LoadReport& report, std::string& out) {
  const Results& results = report.results;
  const RequestCounts& counts = results.counts;
  line(out, "requests",
       text::format_count(counts.sent) + " sent, OK=" + std::to_string(counts.ok) +
           " failed=" + std::to_string(counts.failed) +
           (counts.dropped > 0 ? " dropped=" + std::to_string(counts.dropped) : "") +
           (counts.canceled > 0 ? " canceled=" + std::to_string(counts.canceled) : ""));
  line(out, "rate", rates_text(results, report.circumstances.open_loop));
  if (counts.failed + counts.dropped > 0) {
    line(out, "errors", percent(error_share(counts)) + " of what was due");
  }
  if (counts.outside > 0) {
    line(out, "not counted", text::format_count(counts.outside) + " in warm-up and cool-down");
  }
  line(out, "bytes",
       text::format_bytes(counts.bytes_out) + " sent, " + text::format_bytes(counts.bytes_in) +
           " received");
  line(out, "connections",
       text::format_count(counts.connections) + " opened" +
           (results.connect.count() > 0
                ? ", in " + text::format_duration(results.connect.quantile(0.5)) + " (p50), " +
                      text::format_duration(results.connect.max()) + " (max)"
                : ""));
}

/// "12.1 ms – 14.0 ms", "≥ 38.8 ms", or nothing where nothing is known.
std::string interval_text(const quantiles::DurationHistogram::Interval& between) {
  if (between.high) {
    return text::format_duration(between.low) + " – " + text::format_duration(*between.high);
  }
  return between.low > Duration::zero() ? "≥ " + text::format_duration(between.low) : "–";
}

void latency_table(const LoadReport& report, std::string& out) {
  const Results& results = report.results;
  if (results.latency.count() == 0) {
    out += "\n  no successful answer, so no latency\n";
    return;
  }
  const bool open = report.circumstances.open_loop;
  const bool failures = results.failed.count() > 0;
  const auto row = [&](const std::string& name, const std::string& latency,
                       const std::string& range, const std::string& of_all,
                       const std::string& service, const std::string& first,
                       const std::string& lag) {
    out += "  " + text::left(name, 8) + text::right(latency, 11) + text::right(range, 24) +
           (failures ? text::right(of_all, 11) : "") + text::right(service, 11) +
           text::right(first, 12) + text::right(open ? lag : "–", 11) + "\n";
  };
  const auto plain = [&](const std::string& name, auto figure) {
    row(name, text::format_duration(figure(results.latency)), "", "",
        text::format_duration(figure(results.service)),
        text::format_duration(figure(results.first_byte)),
        text::format_duration(figure(results.send_lag)));
  };
  out += "\n";
  row("", failures ? "answered" : "latency", "95 % between", "of all", "service", "first byte",
      open ? "send lag" : "");
  plain("min", [](const quantiles::DurationHistogram& h) { return h.min(); });
  plain("mean", [](const quantiles::DurationHistogram& h) { return h.mean(); });
  for (const double q : reported_quantiles(results.latency)) {
    row(percent_name(q), text::format_duration(results.latency.quantile(q)),
        interval_text(results.latency.confidence(q)),
        format_of_all(quantile_of_all(results.latency, results.failed, q)),
        text::format_duration(results.service.quantile(q)),
        text::format_duration(results.first_byte.quantile(q)),
        text::format_duration(results.send_lag.quantile(q)));
  }
  plain("max", [](const quantiles::DurationHistogram& h) { return h.max(); });
  out += open ? "  latency: from the time a request was due; service: from the time it was sent\n"
              : "  closed loop: a slow answer delays the requests after it, and that wait is in no "
                "number here\n";
  if (failures) {
    out +=
        "  of all: with the failed requests, each as long as it waited; ≥ where those would have "
        "taken longer\n";
  }
}

/// Bars over equal ratios between p0.1 and p99.9.
void bars(const quantiles::DurationHistogram& latency, std::string& out) {
  if (latency.count() < 2 || latency.max() <= latency.min()) {
    return;
  }
  const double low = std::max(1.0, static_cast<double>(latency.min().count()));
  const double high = static_cast<double>(latency.max().count()) + 1;
  std::array<std::uint64_t, kBars> counts{};
  std::array<Duration, kBars> limits{};
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBars; ++i) {
    const double end = low * std::pow(high / low, static_cast<double>(i + 1) / kBars);
    limits[i] = i + 1 == kBars ? latency.max() : Duration(static_cast<Duration::rep>(end));
    const std::uint64_t to = i + 1 == kBars ? latency.count() : latency.count_to(limits[i]);
    counts[i] = to - std::min(below, to);
    below = std::max(below, to);
  }
  const std::uint64_t most = *std::ranges::max_element(counts);
  out += "\n";
  for (std::size_t i = 0; i < kBars; ++i) {
    const auto length = (counts[i] * kBarWidth + most - 1) / most;
    std::string bar;
    for (std::uint64_t k = 0; k < length; ++k) {
      bar += "█";
    }
    out += "  ≤ " + text::right(text::format_duration(limits[i]), 8) + "  " +
           text::left(bar, kBarWidth) + " " + text::format_count(counts[i]) + "\n";
  }
}

void answers(const Results& results, std::string& out) {
  if (results.counts.failed == 0) {
    return;
  }
  out += "\n  what failed\n";
  const auto add = [&](const std::string& name, std::uint64_t count) {
    const auto sample = results.samples.find(name);
    std::string said = sample == results.samples.end() ? "" : sample->second;
    std::ranges::replace_if(said, [](unsigned char c) { return c < ' '; }, ' ');
    out += "  " + text::right(text::format_count(count), 10) + "  " + text::left(name, 9) + " " +
           std::string(text::trim(said)) + "\n";
  };
  for (const auto& [code, status] : results.status) {
    if (!is_success(code)) {
      add(status_name(code), status.count);
    }
  }
  for (std::size_t i = 1; i < kErrorKinds; ++i) {
    if (results.errors[i] > 0) {
      add(std::string(error_kind_name(static_cast<ErrorKind>(i))), results.errors[i]);
    }
  }
}

void targets_table(const LoadReport& report, std::string& out) {
  if (report.target_results.empty()) {
    return;
  }
  out += "\n  " + text::left("target", 16) + text::right("sent", 10) + text::right("ok", 10) +
         text::right("errors", 10) + text::right("ok/s", 10) + text::right("p50", 10) +
         text::right("p99", 10) + text::right("p99 of all", 12) + "\n";
  for (std::size_t i = 0; i < report.target_results.size(); ++i) {
    const Results& results = report.target_results[i];
    const bool any = results.latency.count() > 0;
    const auto quantile = [&](double q) {
      return any ? text::format_duration(results.latency.quantile(q)) : std::string("–");
    };
    out += "  " + text::left(report.circumstances.targets[i].name, 16) +
           text::right(text::format_count(results.counts.sent), 10) +
           text::right(text::format_count(results.counts.ok), 10) +
           text::right(percent(error_share(results.counts)), 10) +
           text::right(text::format_number(achieved_rate(results)), 10) +
           text::right(quantile(0.5), 10) + text::right(quantile(0.99), 10) +
           text::right(format_of_all(quantile_of_all(results.latency, results.failed, 0.99)), 12) +
           "\n";
  }
}

void verdicts(const LoadReport& report, std::string& out) {
  if (!report.thresholds.empty()) {
    out += "\n  thresholds\n";
  }
  for (const auto& [threshold, verdict] : report.thresholds) {
    out += std::string(verdict.holds ? "  FAIL  " : "  ok    ") + text::left(threshold.text(), 20) +
           " " + verdict.measured + "\n";
  }
}

/// What a search found, in one sentence.
std::string search_verdict(const Search& search) {
  const auto rate = [](double value) { return text::format_number(value) + "/s"; };
  const std::string time_up =
      search.out_of_time ? "; the time was up: allow more with --seconds" : "";
  if (search.best > 0) {
    return "highest rate that holds " + search.objective + ": " + rate(search.best) +
           (search.limited        ? ", where the search ends: allow more with --search-to"
            : search.not_held > 0 ? " (" + rate(search.not_held) + " does not)"
                                  : "") +
           time_up;
  }
  return search.not_held > 0 ? "no rate that was tried holds " + search.objective + ", not even " +
                                   rate(search.not_held) + time_up
                             : "no rate was tried for long enough to say that it holds " +
                                   search.objective + time_up;
}

void search_table(const Search& search, std::string& out) {
  auto steps = search.steps;
  std::ranges::sort(steps, {}, &SearchStep::rate);
  out += "\n  " + text::right("rate", 10) + text::right("achieved", 11) + text::right("p50", 10) +
         text::right("p99", 11) + text::right("errors", 10) + "  " + search.objective + "\n";
  for (const SearchStep& step : steps) {
    out += "  " + text::right(text::format_number(step.rate), 10) +
           text::right(text::format_number(step.achieved), 11) +
           text::right(text::format_duration(step.p50), 10) +
           text::right(format_of_all({.value = step.p99, .at_least = step.p99_at_least}), 11) +
           text::right(percent(step.errors), 10) + "  " +
           (step.stable ? "holds"
            : step.met  ? "holds with ease"
                        : "does not hold: " + step.reason) +
           "\n";
  }
  out += "\n  " + search_verdict(search) + "\n";
  for (const SearchStep& step : steps) {
    if (step.rate == search.not_held && !step.generator_limit.empty()) {
      out +=
          "  there the generator, and not only the server, was the limit: " + step.generator_limit +
          "\n";
      break;
    }
  }
}

}  // namespace

std::vector<double> reported_quantiles(const quantiles::DurationHistogram& histogram) {
  std::vector<double> quantiles{0.5, 0.75, 0.9, 0.95, 0.99};
  if (histogram.count() >= 1000) {
    quantiles.push_back(0.999);
  }
  if (histogram.count() >= 10000) {
    quantiles.push_back(0.9999);
  }
  return quantiles;
}

std::string percent_name(double quantile) {
  std::string text = std::to_string(quantile * 100);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') {
    text.pop_back();
  }
  return "p" + text;
}

bool LoadReport::rate_applied() const {
  return results.counts.dropped == 0;
}

std::string text_report(const LoadReport& report) {
  std::string out = headline(report);
  const Circumstances& how = report.circumstances;
  out += how.method + " " + how.url + ", " +
         (how.open_loop
              ? "open loop, " + how.shape + (how.arrivals == "even" ? "" : ", " + how.arrivals)
              : "closed loop, " + std::to_string(how.connections) + " workers") +
         (how.generators > 1 ? ", " + std::to_string(how.generators) + " generators" : "") + "\n\n";
  counts_table(report, out);
  latency_table(report, out);
  targets_table(report, out);
  bars(report.results.latency, out);
  answers(report.results, out);
  verdicts(report, out);
  if (report.search) {
    search_table(*report.search, out);
  }
  return out;
}

std::string csv_report(const LoadReport& report) {
  std::string out =
      "start_seconds,offered,sent,done,failed,dropped,p50_ms,p90_ms,p99_ms,max_ms,"
      "worst_send_lag_ms\n";
  const Results& results = report.results;
  for (std::size_t i = 0; i < results.slices.size(); ++i) {
    const LoadSlice& slice = results.slices[i];
    const bool answered = slice.latency.count() > 0;  // else empty: no latency is not 0 ms
    const auto ms = [](Duration d) { return std::to_string(to_ms(d)); };
    const auto quantile = [&](double q) { return answered ? ms(slice.latency.quantile(q)) : ""; };
    out += std::to_string(to_seconds(results.slice_width) * static_cast<double>(i)) + "," +
           std::to_string(slice.offered) + "," + std::to_string(slice.sent) + "," +
           std::to_string(slice.done) + "," + std::to_string(slice.failed) + "," +
           std::to_string(slice.dropped) + "," + quantile(0.5) + "," + quantile(0.9) + "," +
           quantile(0.99) + "," + (answered ? ms(slice.latency.max()) : "") + "," +
           (slice.sent > 0 ? ms(slice.worst_lag) : "") + "\n";
  }
  return out;
}

}  // namespace podsense::load
