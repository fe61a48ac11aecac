#include "plan/search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <tuple>
#include <vector>

namespace podsense::plan {
namespace {

constexpr unsigned kProbe = 2;         ///< runs before the first rung: enough to see what fails
constexpr double kHopelessCost = 1.5;  ///< times the best
constexpr double kHopelessLate = 20;   ///< times what is allowed
constexpr double kCostBound = 1.3;     ///< times the best: a point whose least cost is above
constexpr std::size_t kWide = 4;       ///< points whose neighbours are tried at a time
constexpr std::size_t kMostStarts = 96;
constexpr double kExplored = 0.6;  ///< share of the runs, for trying new points
constexpr double kAlike = 0.005;   ///< costs that differ by less are the same

struct Ranked {
  PlanTrial* trial = nullptr;
  Judgement judgement;
};

bool cheaper(const Ranked& a, const Ranked& b) {
  return std::pair(a.judgement.cost, a.trial->point) < std::pair(b.judgement.cost, b.trial->point);
}
bool nearer(const Ranked& a, const Ranked& b) {
  return std::tuple(a.judgement.violation, a.judgement.cost, a.trial->point) <
         std::tuple(b.judgement.violation, b.judgement.cost, b.trial->point);
}

class Searcher {
 public:
  Searcher(const Problem& problem, const SearchOptions& options)
      : problem_(problem), options_(options) {}

  SearchResult run() {
    const bool is_done = start() && settle();
    if (!is_done) {
      result_.verdict = SearchVerdict::kInterrupted;
      result_.best = best_so_far();
      result_.fresh.reset();
    }
    return std::move(result_);
  }

 private:
  // --- trials

  /// New ones that bounds do not refuse.
  std::vector<PlanTrial*> add(const std::vector<Point>& points) {
    std::vector<PlanTrial*> out;
    for (const Point& point : points) {
      if (result_.trials.contains(point)) {
        continue;
      }
      PlanTrial& trial = result_.trials[point] = new_trial(problem_, point);
      if (trial.refused.empty()) {
        refuse_by_cost(trial);
      }
      if (trial.refused.empty()) {
        out.push_back(&trial);
      } else {
        ++result_.refused;
      }
    }
    return out;
  }

  void refuse_by_cost(PlanTrial& trial) const {
    const double least =
        pods_hour(problem_.request.prices, size_of(*trial.scenario), trial.settings.min);
    if (best_ && least > kCostBound * best_->judgement.cost) {
      trial.refused = "costs more than others hold the objective for, even when idle";
    }
  }

  bool play_to(const std::vector<PlanTrial*>& trials, unsigned runs, const std::string& now) {
    std::uint64_t missing = 0;
    for (const PlanTrial* const trial : trials) {
      missing += runs - std::min<std::size_t>(runs, trial->runs.size());
    }
    const bool is_done = play(problem_, trials, runs, play_options(now));
    result_.simulations += is_done ? missing : 0;
    return is_done;
  }

  [[nodiscard]] PlayOptions play_options(const std::string& now) const {
    PlayOptions out{.threads = options_.threads, .stop = options_.stop, .progress = {}};
    if (options_.progress) {
      out.progress = [this, now, before = result_.simulations](std::uint64_t done) {
        options_.progress({.done = before + done, .most = options_.simulations, .now = now});
      };
    }
    return out;
  }

  /// The first rung, without the points that two runs show to fail.
  bool look_at(const std::vector<PlanTrial*>& trials) {
    if (!play_to(trials, std::min(kProbe, options_.rungs[0]), "looking around")) {
      return false;
    }
    note_best();
    std::vector<PlanTrial*> hopeful;
    for (PlanTrial* const trial : trials) {
      const Judgement seen = judge(problem_.objective, trial->runs);
      const bool is_dear = best_ && seen.cost > kHopelessCost * best_->judgement.cost;
      if (!is_dear && seen.violation <= kHopelessLate) {
        hopeful.push_back(trial);
      }
    }
    const bool is_done = play_to(hopeful, options_.rungs[0], "looking around");
    note_best();
    return is_done;
  }

  [[nodiscard]] std::vector<Ranked> ranked() {
    std::vector<Ranked> out;
    for (auto& [point, trial] : result_.trials) {
      if (!trial.runs.empty() && !trial.is_rejected) {
        out.push_back({.trial = &trial, .judgement = judge(problem_.objective, trial.runs)});
      }
    }
    return out;
  }

  void note_best() {
    best_.reset();
    for (const Ranked& one : ranked()) {
      if (one.judgement.violation <= 1 && one.trial->runs.size() >= options_.rungs[0] &&
          (!best_ || cheaper(one, *best_))) {
        best_ = one;
      }
    }
  }

  // --- where to look

  /// Every pod size with every signal, in the middle of the other axes.
  bool start() {
    const Space& space = problem_.space;
    std::vector<Point> points;
    for (std::size_t cpu = 0; cpu < space.values(SettingAxis::kCpuRequest).size(); ++cpu) {
      for (std::size_t limit = 0; limit < space.values(SettingAxis::kCpuLimit).size(); ++limit) {
        for (std::size_t signal = 0; signal < space.values(SettingAxis::kSignal).size(); ++signal) {
          Point middle{};
          for (std::size_t i = 0; i < kAxes; ++i) {
            const auto axis = static_cast<SettingAxis>(i);
            middle[i] = static_cast<std::uint16_t>(
                has_order(axis) ? (space.values(axis).size() - 1) / 2 : 0);
          }
          middle[index(SettingAxis::kCpuRequest)] = static_cast<std::uint16_t>(cpu);
          middle[index(SettingAxis::kCpuLimit)] = static_cast<std::uint16_t>(limit);
          middle[index(SettingAxis::kMax)] =
              static_cast<std::uint16_t>(space.values(SettingAxis::kMax).size() - 1);
          points.push_back(fitted(space.moved(middle, SettingAxis::kSignal, signal)));
        }
      }
    }
    std::erase_if(points, [&](const Point& point) { return !space.makes_sense(point); });
    thin(points);
    return look_at(add(points));
  }

  /// With about as many pods as the traffic needs: half of them where an autoscaler adds the rest.
  [[nodiscard]] Point fitted(const Point& point) const {
    const Space& space = problem_.space;
    const auto scenario = problem_.scenario_of(space.settings_of(point));
    if (!scenario) {
      return point;
    }
    const std::int32_t need = least_pods(*scenario, problem_.demand, problem_.objective);
    const auto& counts = space.values(SettingAxis::kMin);
    const bool is_fixed = space.settings_of(point).scaler == Scaler::kNone;
    const double wanted = is_fixed ? 1.3 * need : 0.5 * need;
    const auto above = std::ranges::lower_bound(
        counts, static_cast<std::int64_t>(std::ceil(wanted)), {}, &AxisValue::number);
    const auto found = static_cast<std::size_t>(above - counts.begin());
    const std::size_t best =
        is_fixed ? std::min(found, counts.size() - 1) : std::max<std::size_t>(found, 1) - 1;
    return space.moved(point, SettingAxis::kMin, best);
  }

  static void thin(std::vector<Point>& points) {
    if (points.size() <= kMostStarts) {
      return;
    }
    std::vector<Point> out;
    out.reserve(kMostStarts);
    for (std::size_t i = 0; i < kMostStarts; ++i) {
      out.push_back(points[i * points.size() / kMostStarts]);
    }
    points = std::move(out);
  }

  /// The cheapest that hold on average, and of those that do not and are cheaper the nearest.
  std::vector<PlanTrial*> expandable() {
    std::vector<Ranked> good;
    std::vector<Ranked> bad;
    for (const Ranked& one : ranked()) {
      if (one.judgement.violation <= 1) {
        good.push_back(one);
      } else if (!best_ || one.judgement.cost < best_->judgement.cost) {
        bad.push_back(one);
      }
    }
    std::ranges::sort(good, cheaper);
    std::ranges::sort(bad, nearer);
    std::vector<PlanTrial*> out;
    for (std::vector<Ranked>* const some : {&good, &bad}) {
      some->resize(std::min(some->size(), kWide));
      for (const Ranked& one : *some) {
        // Where a setting makes no difference, one of those that are alike is enough.
        if (!one.trial->is_expanded && expanded_.insert(signature(*one.trial)).second) {
          out.push_back(one.trial);
        }
        one.trial->is_expanded = true;
      }
    }
    return out;
  }

  using Signature = std::vector<std::uint64_t>;
  /// What its first runs brought, and the kind of pods it has: alike where nothing differed.
  [[nodiscard]] Signature signature(const PlanTrial& trial) const {
    Signature out{trial.point[index(SettingAxis::kCpuRequest)],
                  trial.point[index(SettingAxis::kCpuLimit)]};
    for (std::size_t i = 0; i < std::min<std::size_t>(trial.runs.size(), kProbe); ++i) {
      out.push_back(std::bit_cast<std::uint64_t>(trial.runs[i].cost));
      out.push_back(trial.runs[i].errors);
      out.insert(out.end(), trial.runs[i].late.begin(), trial.runs[i].late.end());
    }
    return out;
  }

  bool explore() {
    for (;;) {
      const auto from = expandable();
      const bool is_spent = static_cast<double>(result_.simulations) >=
                            kExplored * static_cast<double>(options_.simulations);
      if (from.empty() || is_spent) {
        return true;
      }
      std::vector<Point> points;
      for (PlanTrial* const trial : from) {
        const auto near = problem_.space.neighbours(trial->point);
        points.insert(points.end(), near.begin(), near.end());
      }
      if (!look_at(add(points))) {
        return false;
      }
    }
  }

  // --- which holds

  /// The cheapest that may hold, played until it is clear.
  bool settle() {
    for (;;) {
      if (!explore()) {
        return false;
      }
      std::vector<Ranked> pool = ranked();
      std::erase_if(pool, [&](const Ranked& one) {
        return one.judgement.violation > 1 || one.trial->runs.size() < options_.rungs[0];
      });
      std::ranges::sort(pool, cheaper);
      prefer_known(pool);
      if (pool.empty() || result_.simulations >= 2 * options_.simulations) {
        return take_nearest();
      }
      const auto decided = decide(pool);
      if (!decided) {
        return false;
      }
      if (*decided) {
        return true;
      }
    }
  }

  /// Of those that cost as much as the first, the one with the most runs comes first.
  static void prefer_known(std::vector<Ranked>& pool) {
    if (pool.empty()) {
      return;
    }
    const double alike = pool.front().judgement.cost * (1 + kAlike);
    const auto end = std::ranges::find_if(
        pool, [alike](const Ranked& one) { return one.judgement.cost > alike; });
    const auto known = std::max_element(pool.begin(), end, [](const Ranked& a, const Ranked& b) {
      return a.trial->runs.size() < b.trial->runs.size();
    });
    std::rotate(pool.begin(), known, std::next(known));
  }

  /// One step: more runs, a rejection, or the end.
  std::optional<bool> decide(const std::vector<Ranked>& pool) {
    PlanTrial& first = *pool.front().trial;
    const auto [small, middle, large] = options_.rungs;
    if (first.runs.size() < middle) {
      std::vector<PlanTrial*> some;
      for (const Ranked& one : pool) {
        if (one.trial->runs.size() < middle && some.size() < kWide) {
          some.push_back(one.trial);
        }
      }
      const bool is_done = play_to(some, middle, "comparing the cheapest");
      for (PlanTrial* const trial : some) {
        trial->is_rejected = is_done && !may_hold(*trial, large);
      }
      note_best();
      return is_done ? std::optional(false) : std::nullopt;
    }
    if (first.runs.size() < large) {
      const bool is_done = play_to({&first}, large, "comparing the cheapest");
      first.is_rejected = is_done && !judge(problem_.objective, first.runs).holds;
      note_best();
      return is_done ? std::optional(false) : std::nullopt;
    }
    return accept(first);
  }

  /// Whether the upper bound would keep the objective with so many runs, all else being equal.
  [[nodiscard]] bool may_hold(const PlanTrial& trial, unsigned runs) const {
    const Judgement now = judge(problem_.objective, trial.runs);
    const double narrower = std::sqrt(static_cast<double>(trial.runs.size()) / runs);
    return now.violation + (now.reach - now.violation) * narrower <= 1;
  }

  /// With seeds that it was not chosen by.
  std::optional<bool> accept(PlanTrial& trial) {
    if (!take(trial)) {
      return std::nullopt;
    }
    if (judge(problem_.objective, result_.fresh->runs).holds) {
      result_.verdict = SearchVerdict::kHolds;
      return true;
    }
    trial.is_rejected = true;
    note_best();
    return false;
  }

  bool take(PlanTrial& trial) {
    result_.best = trial.point;
    result_.fresh = play_fresh(problem_, *trial.scenario, options_.rungs[2],
                               play_options("trying the winner with other seeds"));
    result_.simulations += result_.fresh ? options_.rungs[2] : 0;
    return result_.fresh.has_value();
  }

  /// Nothing holds: what comes nearest, with as many runs as may tell.
  bool take_nearest() {
    result_.verdict = SearchVerdict::kNoneHolds;
    result_.best = best_so_far();
    return !result_.best || take(result_.trials[*result_.best]);
  }

  [[nodiscard]] std::optional<Point> best_so_far() {
    if (best_) {
      return best_->trial->point;
    }
    std::optional<Ranked> best;
    for (auto& [point, trial] : result_.trials) {
      if (trial.runs.empty()) {
        continue;
      }
      const Ranked one{.trial = &trial, .judgement = judge(problem_.objective, trial.runs)};
      if (!best || nearer(one, *best)) {
        best = one;
      }
    }
    return best ? std::optional(best->trial->point) : std::nullopt;
  }

  static std::size_t index(SettingAxis axis) { return static_cast<std::size_t>(axis); }

  const Problem& problem_;
  const SearchOptions& options_;
  SearchResult result_;
  std::set<Signature> expanded_;
  std::optional<Ranked> best_;  ///< the cheapest that holds on average, of the first rung at least
};

}  // namespace

PlanTrial new_trial(const Problem& problem, const Point& point) {
  PlanTrial out{.point = point,
                .settings = problem.space.settings_of(point),
                .scenario = {},
                .runs = {},
                .refused = {}};
  auto scenario = problem.scenario_of(out.settings);
  if (!scenario) {
    out.refused = scenario.error().message;
    return out;
  }
  if (!pod_hour(problem.request.prices, size_of(*scenario))) {
    out.refused = "no node holds such a pod";
  } else {
    out.refused = refused_by_bounds(*scenario, out.settings.max, problem.demand, problem.objective);
  }
  out.scenario = std::make_shared<const foresight::Scenario>(std::move(*scenario));
  return out;
}

SearchResult search(const Problem& problem, const SearchOptions& options) {
  return Searcher(problem, options).run();
}

}  // namespace podsense::plan
