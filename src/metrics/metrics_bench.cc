// The cost of counting a request.

#include <benchmark/benchmark.h>

#include <random>

#include "metrics/metrics.h"

namespace podsense::metrics {
namespace {

std::vector<Duration> latencies() {
  std::mt19937 random(1);
  std::lognormal_distribution<double> milliseconds(1, 1);
  std::vector<Duration> out(4096);
  for (Duration& one : out) {
    one = from_seconds(milliseconds(random) / 1000);
  }
  return out;
}

void Observe(benchmark::State& state) {
  static Registry registry;
  const auto model = registry.for_model("m", "1");
  const auto durations = latencies();
  std::size_t next = 0;
  for (auto _ : state) {
    model->queued(durations[++next % durations.size()]);
  }
}
BENCHMARK(Observe)->Threads(1)->Threads(2);

/// The three observations and the counter of one request.
void Request(benchmark::State& state) {
  static Registry registry;
  const auto model = registry.for_model("m", "1");
  const auto durations = latencies();
  std::size_t next = 0;
  for (auto _ : state) {
    const Duration duration = durations[++next % durations.size()];
    model->queued(duration);
    model->computed(duration, 1);
    model->ok(Protocol::kHttp, duration);
  }
}
BENCHMARK(Request)->Threads(1)->Threads(2);

void Scrape(benchmark::State& state) {
  Registry registry;
  for (int i = 0; i < 10; ++i) {
    const auto model = registry.for_model("m", std::to_string(i));
    for (const Duration duration : latencies()) {
      model->queued(duration);
      model->computed(duration, 1);
      model->ok(Protocol::kHttp, duration);
    }
  }
  const auto form = static_cast<Exposition>(state.range(0));
  std::size_t bytes = 0;
  for (auto _ : state) {
    bytes = registry.expose(form).size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(Scrape)->DenseRange(0, 2)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace podsense::metrics
