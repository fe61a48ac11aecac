#include "foresight/scenario_fields.h"
#include "text/numbers.h"

namespace podsense::foresight {
namespace {

constexpr std::size_t kMaxValues = 100000;

Result<Distribution> read_values(const JsonField& field) {
  std::vector<std::pair<Duration, std::uint64_t>> counted;
  std::uint64_t all = 0;
  auto done = field.each(kMaxValues, [&](const JsonField& pair) -> Result<void> {
    if (!pair.value().is_array() || pair.value().size() != 2) {
      return pair.wrong_type("[DURATION, COUNT]");
    }
    auto value = read_duration(JsonField(pair.value()[0], pair, std::size_t{0}));
    if (!value) {
      return fail(value.error());
    }
    const auto count = JsonField(pair.value()[1], pair, std::size_t{1})
                           .whole({.least = 0, .most = 1'000'000'000'000});
    if (!count) {
      return fail(count.error());
    }
    all += static_cast<std::uint64_t>(*count);
    counted.emplace_back(*value, *count);
    return {};
  });
  if (!done) {
    return fail(done.error());
  }
  return all > 0 ? Result<Distribution>(Distribution::values(std::move(counted)))
                 : Result<Distribution>(field.refuse("must have a count above 0"));
}

struct Lognormal {
  Duration median{};
  double sigma = 0;
};
constexpr FieldKey<Lognormal> kLognormalKeys[] = {
    {"median",
     [](const JsonField& f, Lognormal& out) { return put(read_duration(f), out.median); }},
    {"sigma", [](const JsonField& f,
                 Lognormal& out) { return put(f.real({.least = 0, .most = 5}), out.sigma); }},
};

Result<Distribution> read_uniform(const JsonField& field) {
  if (!field.value().is_array() || field.value().size() != 2) {
    return field.wrong_type("[LEAST, MOST]");
  }
  const auto least = read_duration(JsonField(field.value()[0], field, std::size_t{0}));
  if (!least) {
    return fail(least.error());
  }
  return read_duration(JsonField(field.value()[1], field, std::size_t{1}), {.least = *least})
      .map([&](Duration most) { return Distribution::uniform(*least, most); });
}

}  // namespace

Result<Duration> read_duration(const JsonField& field, DurationSpan span) {
  std::optional<Duration> value;
  if (field.value().is_string()) {
    value = text::parse_duration(field.value().get_ref<const std::string&>());
  } else if (field.value().is_number()) {
    value = text::parse_duration(field.value().dump());
  }
  if (!value || *value < span.least || *value > span.most) {
    return field.refuse("must be a duration such as 250ms, 30s or 5m, from " +
                        text::format_duration(span.least) + " to " +
                        text::format_duration(span.most));
  }
  return *value;
}

Result<Distribution> read_distribution(const JsonField& field) {
  if (!field.value().is_object()) {
    return read_duration(field).map(Distribution::constant);
  }
  if (field.value().size() != 1) {
    return field.refuse("must have one of exponential, uniform, lognormal, values, histogram");
  }
  Result<Distribution> read = Distribution();
  auto done = field.members([&](std::string_view key, const JsonField& child) -> Result<void> {
    constexpr std::array<std::string_view, 5> kKinds{"exponential", "uniform", "lognormal",
                                                     "values", "histogram"};
    if (key == "exponential") {
      read = read_duration(child).map(Distribution::exponential);
    } else if (key == "uniform") {
      read = read_uniform(child);
    } else if (key == "lognormal") {
      Lognormal parts;
      read = read_object(child, kLognormalKeys, parts).map([&] {
        return Distribution::lognormal(parts.median, parts.sigma);
      });
    } else if (key == "values") {
      read = read_values(child);
    } else if (key == "histogram") {
      read = read_histogram(child);
    } else {
      return field.unknown_key(key, kKinds);
    }
    return {};
  });
  return done ? read : Result<Distribution>(fail(done.error()));
}

}  // namespace podsense::foresight
