#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/screen.h"
#include "cli/top_view.h"
#include "http/probe.h"

namespace podsense::cli {
namespace {

constexpr const char* kName = "podsense top";
constexpr const char* kText = "shows what pods do, from their /metrics, until interrupted";
constexpr Duration kTimeout = std::chrono::seconds(2);

/// "host:port" and "http://host:port" mean its /metrics; a path is kept.
std::string metrics_url(std::string address) {
  constexpr std::string_view kScheme = "http://";
  if (address.find("://") == address.npos) {
    address.insert(0, kScheme);
  }
  const auto slash = address.find('/', kScheme.size());
  if (slash == address.npos || slash + 1 == address.size()) {
    address.resize(std::min(slash, address.size()));
    address += "/metrics";
  }
  return address;
}

Scrape scrape(const std::string& address) {
  Scrape out{.pod = address};
  const auto answer = http::probe(metrics_url(address), {.timeout = kTimeout});
  out.seconds = to_seconds(std::chrono::steady_clock::now().time_since_epoch());
  if (!answer) {
    out.error = answer.error().message;
  } else if (answer->status != 200) {
    out.error = "answered " + std::to_string(answer->status);
  } else if (auto samples = parse_metrics(answer->body)) {
    out.samples = *std::move(samples);
  } else {
    out.error = samples.error().message;
  }
  return out;
}

std::vector<Scrape> scrape_all(const std::vector<std::string>& pods) {
  std::vector<Scrape> all(pods.size());
  std::vector<std::jthread> threads;
  threads.reserve(pods.size());
  for (std::size_t i = 0; i < pods.size(); ++i) {
    threads.emplace_back([&all, &pods, i] { all[i] = scrape(pods[i]); });
  }
  threads.clear();
  return all;
}

std::string clock_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  std::array<char, 16> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%H:%M:%S", &parts)};
}

/// A frame of the latest values for the current screen size.
std::string frame_for(const Screen& screen, const std::vector<Scrape>& before,
                      const std::vector<Scrape>& now, double interval) {
  const auto size = screen.size();
  if (!size) {
    return top_frame(before, now);
  }
  std::ostringstream title;
  title << "podsense top  " << clock_time() << "  every " << interval << " s  q ends";
  return title.str().substr(0, size->columns) + "\n\n" +
         top_frame(before, now,
                   {.columns = size->columns, .lines = std::max<std::size_t>(size->lines, 3) - 2});
}

/// Polls and draws `frames` frames (0: unlimited). Returns the last values.
std::vector<Scrape> watch(const Screen& screen, const std::vector<std::string>& pods,
                          double interval, unsigned frames) {
  // Rates need two polls, so the second one follows soon.
  constexpr double kFirst = 1;
  std::vector<Scrape> before = scrape_all(pods);
  std::vector<Scrape> now = before;
  if (screen.size()) {
    screen.show(frame_for(screen, before, now, interval));
  }
  for (unsigned shown = 0; frames == 0 || shown < frames;) {
    const double pause = shown == 0 ? std::min(kFirst, interval) : interval;
    auto until = std::chrono::steady_clock::now() +
                 std::chrono::duration_cast<Duration>(std::chrono::duration<double>(pause));
    Screen::Event event{};
    while ((event = screen.wait(until - std::chrono::steady_clock::now())) ==
           Screen::Event::kResized) {
      screen.show(frame_for(screen, before, now, interval));
    }
    if (event == Screen::Event::kQuit) {
      break;
    }
    before = std::move(now);
    now = scrape_all(pods);
    screen.show(frame_for(screen, before, now, interval));
    ++shown;
  }
  return now;
}

struct TopFlags {
  std::vector<std::string> pods{"localhost:8000"};
  Duration interval = std::chrono::seconds(2);
  unsigned frames = 0;
};

void add_flags(CLI::App& app, TopFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("pods", flags.pods, "host:port of each pod's admin port (localhost:8000)")
      ->type_name("HOST:PORT");
  add_duration(app, "--interval", flags.interval,
               {.low = std::chrono::milliseconds(100), .high = std::chrono::hours(1)},
               "between frames (2s)");
  add_whole(app, "--frames", flags.frames, {.low = 0, .high = 1'000'000},
            "end after so many; 0: go on");
}

}  // namespace

std::vector<Description> describe_top() {
  TopFlags flags;
  CLI::App app(kText, kName);
  add_flags(app, flags);
  add_common_flags(app);
  return {describe(app)};
}

int top(std::span<const char* const> arguments) {
  TopFlags flags;
  CLI::App app(kText, kName);
  add_flags(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  std::vector<Scrape> last;
  {
    const Screen screen;
    last = watch(screen, flags.pods, to_seconds(flags.interval), flags.frames);
  }
  const bool any = std::ranges::any_of(last, [](const Scrape& pod) { return pod.error.empty(); });
  if (!any) {
    for (const Scrape& pod : last) {
      std::cerr << kName << ": " << pod.pod << ": " << pod.error << "\n";
    }
  }
  return any ? 0 : 1;
}

}  // namespace podsense::cli
