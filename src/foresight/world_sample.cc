// A sample of the pods serves, and the others do as its mean does. All are created, become ready,
// are counted and deleted one by one; only the requests of those outside the sample are left out.

#include <cmath>

#include "foresight/world.h"

namespace podsense::foresight {

std::int32_t World::sampled_of(std::int32_t pods) const {
  const auto part = static_cast<std::int32_t>(std::lround(pods * sampled_share(scenario_)));
  return std::clamp(part, std::min(1, pods), pods);
}

std::int32_t World::active_sampled() const {
  return static_cast<std::int32_t>(std::ranges::count_if(live_, [this](std::uint32_t number) {
    return pods_[number]->sampled && !pods_[number]->deleted;
  }));
}

/// Of the pods from `first` on, so many that the sample has its share of all, evenly spread.
void World::sample_new(std::size_t first) {
  if (!is_sample()) {
    return;
  }
  const auto added = static_cast<std::int64_t>(pods_.size() - first);
  const std::int64_t have = active_sampled() - added;  // the new ones count as sampled still
  const std::int64_t wanted = std::clamp<std::int64_t>(sampled_of(replicas_) - have, 0, added);
  const auto before = [&](std::int64_t place) { return (place * wanted + added / 2) / added; };
  for (std::int64_t i = 0; i < added; ++i) {
    pods_[first + static_cast<std::size_t>(i)]->sampled = before(i + 1) > before(i);
  }
}

/// Among pods that a ReplicaSet holds alike, those go first which leave the sample its share.
/// @param candidates in the order in which they go
void World::sample_victims(std::vector<SimPod*>& candidates, std::size_t count) const {
  if (!is_sample()) {
    return;
  }
  const auto is_sampled = [](const SimPod* pod) { return pod->sampled; };
  const SimPod& last = *candidates[count - 1];
  const auto is_like_last = [&](const SimPod* pod) { return is_alike(*pod, last); };
  const auto begin = std::ranges::find_if(candidates, is_like_last);
  const auto end = std::find_if_not(begin, candidates.end(), is_like_last);
  const auto certain = std::count_if(candidates.begin(), begin, is_sampled);
  const auto have = std::ranges::count_if(candidates, is_sampled);
  const auto places = static_cast<std::ptrdiff_t>(count) - (begin - candidates.begin());
  const auto alike = std::count_if(begin, end, is_sampled);
  const auto others = (end - begin) - alike;
  const auto wanted = std::clamp<std::ptrdiff_t>(have - certain - sampled_of(replicas_),
                                                 std::max<std::ptrdiff_t>(0, places - others),
                                                 std::min(places, alike));
  const auto rest = std::partition(begin, end, is_sampled);
  std::rotate(begin + wanted, rest, rest + (places - wanted));
}

// --- routes

void World::add_route(SimPod& pod) {
  if (!pod.sampled) {
    router_.add_other(pod.number);
    follow_mean(pod);
    return routes_changed();
  }
  if (is_sample()) {
    advance_mean();
    pod.in_mean = use_of(pod);
  }
  router_.add(pod.number);
  routes_changed();
}

void World::remove_route(SimPod& pod) {
  leave_mean(pod);
  router_.remove(pod.number);
  routes_changed();
}

/// Requests go to the sample by its share of the pods that clients know.
void World::routes_changed() {
  if (!is_sample()) {
    return;
  }
  if (router_.pods().empty()) {
    const auto heir = std::ranges::find_if(
        router_.others(), [this](std::uint32_t number) { return pods_[number]->listening; });
    if (heir != router_.others().end()) {
      promote(*pods_[*heir]);
    }
  }
  const std::size_t sampled = router_.pods().size();
  const std::size_t known = sampled + router_.others().size();
  thinned_->set_share(known == 0 ? sampled_share(scenario_)
                                 : static_cast<double>(sampled) / static_cast<double>(known),
                      since_start(now_));
  arrival_ = thinned_->next();
}

/// The sample has no other pod that takes requests: this one begins to, without any in it.
void World::promote(SimPod& pod) {
  leave_mean(pod);
  router_.remove(pod.number);
  pod.sampled = true;
  start_server(pod);
  pod.in_mean = use_of(pod);
  router_.add(pod.number);
}

// --- what the others do

/// It has taken no request so far, and will not.
void World::follow_mean(SimPod& pod) {
  pod.earlier = use_of(pod);
  pod.server.reset();
  pod.wake = TimePoint::max();
  advance_mean();
  pod.follows = mean_;
}

void World::leave_mean(SimPod& pod) {
  if (is_sample()) {
    advance_mean();
  }
  if (!pod.follows) {
    return;
  }
  pod.earlier = use_of(pod);
  pod.follows.reset();
  note_mean_scraped();
  PodSignals::Values last{};
  for (std::size_t i = 0; i < last.size(); ++i) {
    last[i] = (static_cast<double>(mean_scraped_[i].value_or(0)) + 0.5) / 1000;
  }
  if (mean_scraped_.front()) {
    pod.signals->scrape(now_, last);
  }
}

CpuUse World::use_of(SimPod& pod) {
  CpuUse use = pod.earlier;
  if (pod.server) {
    use.used += pod.server->cpu_used(now_);
    use.throttled += pod.server->throttled(now_);
  }
  if (pod.follows) {
    advance_mean();
    use.used += mean_.used - pod.follows->used;
    use.throttled += mean_.throttled - pod.follows->throttled;
  }
  return use;
}

void World::advance_mean() {
  if (mean_until_ == now_) {
    return;
  }
  mean_until_ = now_;
  CpuUse sum;
  Duration::rep count = 0;
  for (const std::uint32_t number : router_.pods()) {
    SimPod& pod = *pods_[number];
    if (pod.server) {
      const CpuUse before = std::exchange(pod.in_mean, use_of(pod));
      sum.used += pod.in_mean.used - before.used;
      sum.throttled += pod.in_mean.throttled - before.throttled;
      ++count;
    }
  }
  if (count > 0) {
    mean_.used += sum.used / count;
    mean_.throttled += sum.throttled / count;
  }
}

std::optional<std::int64_t> World::scraped(const SimPod& pod, Signal signal) const {
  if (pod.follows) {
    return mean_scraped_[static_cast<std::size_t>(signal)];
  }
  return pod.signals ? pod.signals->milli(signal, now_, scenario_.metrics.window) : std::nullopt;
}

void World::note_mean_scraped() {
  if (!is_sample()) {
    return;
  }
  for (std::size_t i = 0; i < mean_scraped_.size(); ++i) {
    std::int64_t sum = 0;
    std::int64_t count = 0;
    for (const std::uint32_t number : router_.pods()) {
      const auto one = scraped(*pods_[number], static_cast<Signal>(i));
      sum += one.value_or(0);
      count += one ? 1 : 0;
    }
    mean_scraped_[i] = count == 0 ? std::nullopt : std::optional(sum / count);
  }
}

double World::mean_value(Signal signal) const {
  double sum = 0;
  double count = 0;
  for (const std::uint32_t number : router_.pods()) {
    if (const SimPod& pod = *pods_[number]; pod.server) {
      sum += pod.server->value(signal);
      ++count;
    }
  }
  return count == 0 ? 0 : sum / count;
}

// --- counts of all pods

void World::note_weight(TimePoint due) {
  Weight& weight = weights_[static_cast<std::size_t>(slice_at(due) - result_.slices.data())];
  weight.due += 1 / thinned_->share();
  ++weight.taken;
}

namespace {

/// So many times as much, in whole numbers whose rounding does not add up.
quantiles::DurationHistogram scaled(const quantiles::DurationHistogram& histogram, double factor) {
  std::vector<quantiles::DurationHistogram::Bucket> buckets = histogram.buckets();
  double sum = 0;
  double given = 0;
  for (auto& [bucket, count] : buckets) {
    sum += static_cast<double>(count) * factor;
    const double whole = std::round(sum - given);
    given += whole;
    count = static_cast<std::uint64_t>(whole);
  }
  const auto total = static_cast<double>(histogram.sum_ns()) * factor;
  auto made = quantiles::DurationHistogram::restore(histogram.layout(), buckets,
                                                    {.min = histogram.min(),
                                                     .max = histogram.max(),
                                                     .sum_ns = static_cast<std::uint64_t>(total)});
  if (!made) {
    return histogram;
  }
  return std::move(*made);
}

std::uint64_t times(std::uint64_t count, double factor) {
  return static_cast<std::uint64_t>(std::llround(static_cast<double>(count) * factor));
}

}  // namespace

void World::scale_result() {
  Weight all;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const Weight& weight = weights_[i];
    all.due += weight.due;
    all.taken += weight.taken;
    if (weight.taken == 0) {
      continue;
    }
    Slice& slice = result_.slices[i];
    const double factor = weight.due / static_cast<double>(weight.taken);
    for (std::uint64_t& ending : slice.endings) {
      ending = times(ending, factor);
    }
    slice.late = times(slice.late, factor);
    slice.latency = scaled(slice.latency, factor);
  }
  if (all.taken > 0) {
    const double factor = all.due / static_cast<double>(all.taken);
    result_.latency = scaled(result_.latency, factor);
    for (std::uint64_t& ending : result_.endings) {
      ending = times(ending, factor);
    }
    result_.endings[static_cast<std::size_t>(RequestEnding::kAnswered)] = result_.latency.count();
    result_.late = times(result_.late, factor);
    result_.attempts = times(result_.attempts, factor);
  }
  result_.dispersion = thinned_->expected_dispersion(scenario_.warm_up);
}

}  // namespace podsense::foresight
