#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "cli/commands.h"
#include "cli/top_view.h"
#include "http/probe.h"

namespace podsense::cli {
namespace {

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

std::size_t columns() {
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 200;
}

}  // namespace

int top(std::span<const char* const> arguments) {
  CLI::App app("Shows what pods do, from their /metrics, until interrupted", "podsense top");
  std::vector<std::string> pods{"localhost:8000"};
  double interval = 2;
  int frames = 0;
  app.add_option("pods", pods, "host:port of each pod's admin port")->capture_default_str();
  app.add_option("--interval", interval, "seconds between frames")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  app.add_option("--frames", frames, "end after so many; 0: go on")->check(CLI::Range(0, 1000000));
  std::vector<const char*> argv{"top"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  std::vector<Scrape> before = scrape_all(pods);
  for (int frame = 0; frames == 0 || frame < frames; ++frame) {
    std::this_thread::sleep_for(std::chrono::duration<double>(interval));
    std::vector<Scrape> now = scrape_all(pods);
    // Home, then clear what is below: no flicker.
    std::cout << (terminal ? "\x1b[H\x1b[J" : "") << top_frame(before, now, columns())
              << std::flush;
    before = std::move(now);
  }
  const bool any = std::ranges::any_of(before, [](const Scrape& pod) { return pod.error.empty(); });
  return any ? 0 : 1;
}

}  // namespace podsense::cli
