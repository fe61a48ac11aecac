#include "cli/plan_recorded.h"

#include <ctime>
#include <utility>

#include "cli/flags.h"
#include "http/probe.h"

namespace podsense::cli {
namespace {

/// Prometheus answers 400 with its reason in JSON.
Result<std::string> ask(const RecordedFlags& flags, const std::string& path) {
  std::string base = flags.url;
  while (base.ends_with('/')) {
    base.pop_back();
  }
  const auto answer =
      http::probe(base + path, {.timeout = std::chrono::minutes(2), .ca_file = flags.ca_file});
  if (!answer) {
    return fail(answer.error().code, "--prometheus: " + answer.error().message);
  }
  if (answer->status != 200 && answer->status != 400 && answer->status != 422) {
    return fail(ErrorCode::kUnavailable,
                "--prometheus: " + base + " answers " + std::to_string(answer->status));
  }
  return answer->body;
}

Result<plan::TrafficOptions> options_of(const RecordedFlags& flags) {
  const auto range = plan::parse_range(flags.range);
  if (!range) {
    return fail(ErrorCode::kInvalidArgument, "--range: " + range.error().message);
  }
  std::string selector = flags.selector;
  if (!selector.empty() && selector.front() != '{') {
    selector = "{" + selector + "}";
  }
  return plan::TrafficOptions{.selector = std::move(selector),
                              .model = flags.model,
                              .range = *range,
                              .window = flags.window,
                              .now = static_cast<std::int64_t>(std::time(nullptr))};
}

}  // namespace

void add_recorded(CLI::App& app, RecordedFlags& flags) {
  CLI::Option* const url =
      app.add_option("--prometheus", flags.url, "its address, with a path where it has one")
          ->type_name("URL");
  app.add_option("--selector", flags.selector, "which series, as PromQL has it (all)")
      ->type_name("{LABEL=\"VALUE\"}")
      ->needs(url);
  app.add_option("--model", flags.model, "of several, the one that counts (all)")
      ->type_name("NAME")
      ->needs(url);
  app.add_option("--range", flags.range, "how far back: 30m, 12h, 7d, up to 14d (7d)")
      ->type_name("RANGE")
      ->needs(url);
  add_duration(app, "--window", flags.window,
               {.low = std::chrono::seconds(10), .high = std::chrono::hours(1)},
               "over which rates are taken: twice the scrape interval at least (1m)")
      ->needs(url);
  app.add_option("--ca-file", flags.ca_file, "authorities for https (the system's)")
      ->type_name("FILE")
      ->needs(url);
}

Result<Recorded> read_recorded(const RecordedFlags& flags) {
  auto options = options_of(flags);
  if (!options) {
    return fail(options.error());
  }
  auto traffic =
      plan::read_traffic([&](const std::string& path) { return ask(flags, path); }, *options);
  if (!traffic) {
    return fail(traffic.error());
  }
  return Recorded{.options = std::move(*options), .traffic = std::move(*traffic)};
}

}  // namespace podsense::cli
