#include "metrics/batch_table.h"

#include <algorithm>
#include <span>

namespace podsense::metrics {

BatchTable::Place* BatchTable::place(std::size_t size) {
  if (size <= kSmall) {
    return size == 0 ? nullptr : &places_[size - 1];
  }
  for (Place& place : std::span(places_).subspan(kSmall)) {
    std::uint64_t held = place.size.load(std::memory_order_relaxed);
    if (held == size ||
        (held == 0 && place.size.compare_exchange_strong(held, size, std::memory_order_relaxed)) ||
        held == size) {  // taken meanwhile, for the same size
      return &place;
    }
  }
  return nullptr;
}

void BatchTable::add(std::size_t size, Duration input, Duration compute) {
  Place* const at = place(size);
  if (at == nullptr) {
    return;
  }
  at->runs.fetch_add(1, std::memory_order_relaxed);
  at->compute_ns.fetch_add(static_cast<std::uint64_t>(compute.count()), std::memory_order_relaxed);
  if (input > Duration::zero()) {
    at->input_ns.fetch_add(static_cast<std::uint64_t>(input.count()), std::memory_order_relaxed);
  }
}

std::vector<ModelMetrics::Batch> BatchTable::all() const {
  std::vector<ModelMetrics::Batch> out;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& place = places_[i];
    const std::uint64_t runs = place.runs.load(std::memory_order_relaxed);
    if (runs > 0) {
      out.push_back({.size = i < kSmall ? i + 1 : place.size.load(std::memory_order_relaxed),
                     .runs = runs,
                     .input = Duration(static_cast<Duration::rep>(place.input_ns.load())),
                     .compute = Duration(static_cast<Duration::rep>(place.compute_ns.load()))});
    }
  }
  std::ranges::sort(out, {}, &ModelMetrics::Batch::size);
  return out;
}

}  // namespace podsense::metrics
