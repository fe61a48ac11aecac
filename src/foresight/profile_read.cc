// What `podsense plan measure` wrote, as a scenario's service and start.

#include <cmath>

#include "foresight/scenario_fields.h"
#include "quantiles/duration_histogram.h"

namespace podsense::foresight {
namespace {

constexpr std::string_view kFormat = "podsense-profile/1";
constexpr std::size_t kMaxBuckets = 100000;

struct HistogramText {
  quantiles::DurationHistogram::Layout layout;
  quantiles::DurationHistogram::Extremes extremes;
  std::vector<quantiles::DurationHistogram::Bucket> buckets;
};

Result<void> read_nanoseconds(const JsonField& field, Duration& out) {
  return put(field.whole({.least = 0, .most = INT64_MAX}).map([](std::int64_t value) {
    return Duration(value);
  }),
             out);
}

Result<void> read_bits(const JsonField& field, int& out) {
  return put(field.whole({.least = 0, .most = 20}).map([](std::int64_t value) {
    return static_cast<int>(value);
  }),
             out);
}

Result<void> read_buckets(const JsonField& field, HistogramText& out) {
  return field.each(kMaxBuckets, [&](const JsonField& pair) -> Result<void> {
    if (!pair.value().is_array() || pair.value().size() != 2) {
      return pair.wrong_type("[BUCKET, COUNT]");
    }
    const auto bucket =
        JsonField(pair.value()[0], pair, std::size_t{0}).whole({.least = 0, .most = UINT32_MAX});
    const auto count = JsonField(pair.value()[1], pair, std::size_t{1})
                           .whole({.least = 0, .most = 1'000'000'000'000});
    if (!bucket || !count) {
      return fail(!bucket ? bucket.error() : count.error());
    }
    out.buckets.emplace_back(static_cast<std::uint32_t>(*bucket),
                             static_cast<std::uint64_t>(*count));
    return {};
  });
}

constexpr FieldKey<HistogramText> kHistogramKeys[] = {
    {"unit_bits",
     [](const JsonField& f, HistogramText& out) { return read_bits(f, out.layout.unit_bits); }},
    {"sub_bits",
     [](const JsonField& f, HistogramText& out) { return read_bits(f, out.layout.sub_bits); }},
    {"min_ns",
     [](const JsonField& f, HistogramText& out) { return read_nanoseconds(f, out.extremes.min); }},
    {"max_ns",
     [](const JsonField& f, HistogramText& out) { return read_nanoseconds(f, out.extremes.max); }},
    {"sum_ns",
     [](const JsonField& f, HistogramText& out) {
       return put(f.whole({.least = 0, .most = INT64_MAX}).map([](std::int64_t value) {
         return static_cast<std::uint64_t>(value);
       }),
                  out.extremes.sum_ns);
     }},
    {"buckets", read_buckets},
};

struct RunPart {
  std::size_t rows = 0;
  std::uint64_t count = 0;
  std::optional<Distribution> cpu;
};
struct StartPart {
  double wall = 0;
  double cpu = 0;
};

/// A profile while it is read.
struct ProfileText {
  std::string format;
  std::vector<RunPart> runs;
  std::optional<Distribution> request_cpu;
  std::vector<StartPart> starts;
  std::int64_t max_batch = 1;
  std::int64_t memory = 0;
  std::vector<std::string> cautions;
};

constexpr JsonRealRange kSpan{.least = 0, .most = 1e6};

Result<void> read_part(const JsonField& field, RunPart& out) {
  return field.members([&](std::string_view key, const JsonField& child) -> Result<void> {
    if (key == "rows") {
      return put(child.whole({.least = 1, .most = 4096}).map([](std::int64_t value) {
        return static_cast<std::size_t>(value);
      }),
                 out.rows);
    }
    return key == "cpu" ? put(read_histogram(child), out.cpu) : Result<void>();
  });
}

Result<void> read_runs(const JsonField& field, ProfileText& out) {
  return field.each(1000, [&](const JsonField& child) -> Result<void> {
    RunPart part;
    if (auto done = read_part(child, part); !done) {
      return done;
    }
    if (part.rows == 0 || !part.cpu) {
      return child.refuse("must have rows and cpu");
    }
    if (!out.runs.empty() && part.rows <= out.runs.back().rows) {
      return child.refuse("rows must ascend from one entry to the next");
    }
    out.runs.push_back(std::move(part));
    return {};
  });
}

Result<void> read_starts(const JsonField& field, ProfileText& out) {
  return field.each(1000, [&](const JsonField& child) {
    StartPart& part = out.starts.emplace_back();
    return child.members([&](std::string_view key, const JsonField& one) -> Result<void> {
      return key == "ready_seconds" ? put(one.real(kSpan), part.wall)
             : key == "cpu_seconds" ? put(one.real(kSpan), part.cpu)
                                    : Result<void>();
    });
  });
}

/// Members that are for people are passed over.
Result<void> read_whole_profile(const JsonField& field, ProfileText& out) {
  return field.members([&](std::string_view key, const JsonField& child) -> Result<void> {
    if (key == "format") {
      return put(child.text(), out.format);
    }
    if (key == "runs") {
      return read_runs(child, out);
    }
    if (key == "request_cpu") {
      return put(read_histogram(child), out.request_cpu);
    }
    if (key == "starts") {
      return read_starts(child, out);
    }
    if (key == "max_batch") {
      return put(child.whole({.least = 1, .most = 4096}), out.max_batch);
    }
    if (key == "memory_bytes") {
      return put(child.whole({.least = 0, .most = 1'000'000'000'000'000}), out.memory);
    }
    return key == "cautions" ? child.each(100,
                                          [&](const JsonField& one) {
                                            return put(one.text(), out.cautions.emplace_back());
                                          })
                             : Result<void>();
  });
}

Duration seconds_of(double seconds) {
  return Duration(std::llround(seconds * 1e9));
}

/// Waiting, and CPU time that the pod's limit stretches.
void apply_starts(const std::vector<StartPart>& starts, StartPlan& out) {
  if (starts.empty()) {
    return;
  }
  double cpu = 0;
  std::vector<std::pair<Duration, std::uint64_t>> waits;
  for (const StartPart& one : starts) {
    cpu += one.cpu / static_cast<double>(starts.size());
    waits.emplace_back(seconds_of(std::max(0.0, one.wall - one.cpu)), 1);
  }
  out.load = Distribution::values(std::move(waits));
  out.warm_up_cpu = seconds_of(cpu);
}

}  // namespace

Result<Distribution> read_histogram(const JsonField& field) {
  HistogramText text;
  if (auto done = read_object(field, kHistogramKeys, text); !done) {
    return fail(done.error());
  }
  const auto histogram =
      quantiles::DurationHistogram::restore(text.layout, text.buckets, text.extremes);
  if (!histogram) {
    return field.refuse(histogram.error().message);
  }
  if (histogram->count() == 0) {
    return field.refuse("must have a count above 0");
  }
  std::vector<std::pair<Duration, std::uint64_t>> counted;
  for (const auto& [bucket, count] : histogram->buckets()) {
    const auto bounds = histogram->bounds(bucket);
    const Duration middle(static_cast<Duration::rep>((bounds.low + bounds.high) / 2));
    counted.emplace_back(std::clamp(middle, histogram->min(), histogram->max()), count);
  }
  return Distribution::values(std::move(counted));
}

Result<void> apply_profile(const JsonField& field, Scenario& out) {
  ProfileText text;
  if (!field.value().is_object()) {
    return field.wrong_type("what `podsense plan measure` wrote");
  }
  if (auto done = read_whole_profile(field, text); !done) {
    return done;
  }
  if (text.format != kFormat) {
    return field.refuse("format '" + text.format + "' is not accepted; accepted: " +
                        std::string(kFormat) + ", as `podsense plan measure` writes it");
  }
  if (text.runs.empty() || text.runs.front().rows != 1) {
    return field.refuse("runs must begin with an entry of 1 row");
  }
  out.service.runs.clear();
  for (RunPart& part : text.runs) {
    out.service.runs.push_back({.rows = part.rows, .cpu = std::move(*part.cpu)});
  }
  out.service.request_cpu = text.request_cpu.value_or(Distribution());
  out.service.max_batch = static_cast<std::size_t>(text.max_batch);
  out.pod.memory_bytes = text.memory;
  apply_starts(text.starts, out.start);
  for (const std::string& caution : text.cautions) {
    out.cautions.push_back("the profile: " + caution);
  }
  return {};
}

}  // namespace podsense::foresight
