#include "load/live.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "load/quantity.h"

namespace podsense::load {
namespace {

constexpr Duration kTerminalPeriod = std::chrono::milliseconds(500);
constexpr Duration kPlainPeriod = std::chrono::seconds(5);
constexpr Duration kUnknown = std::chrono::hours(240);
constexpr int kBar = 30;

}  // namespace

LiveView::LiveView(Options options) : options_(options), terminal_(isatty(STDERR_FILENO) == 1) {}

double LiveView::progress(Duration elapsed) const {
  double share = 0;
  if (options_.length > Duration::zero() && options_.length < kUnknown) {
    share = to_seconds(elapsed) / to_seconds(options_.length);
  }
  if (options_.requests > 0) {
    share = std::max(share, static_cast<double>(done_ + failed_ + dropped_) /
                                static_cast<double>(options_.requests));
  }
  return std::clamp(share, 0.0, 1.0);
}

void LiveView::update(Duration elapsed, const Recorder::Recent& recent, std::size_t in_flight) {
  shown_.merge(recent);
  done_ += recent.ok;
  failed_ += recent.failed;
  dropped_ += recent.dropped;
  if (options_.quiet || elapsed - last_ < (terminal_ ? kTerminalPeriod : kPlainPeriod)) {
    return;
  }
  draw(elapsed, in_flight);
}

void LiveView::draw(Duration elapsed, std::size_t in_flight) {
  const double seconds = to_seconds(elapsed - last_);
  const auto rate = [seconds](std::uint64_t count) {
    return format_number(static_cast<double>(count) / seconds);
  };
  std::string text = rate(shown_.offered) + "/s offered, " + rate(shown_.ok) + "/s ok, p50 " +
                     format_duration(shown_.latency.quantile(0.5)) + ", p99 " +
                     format_duration(shown_.latency.quantile(0.99)) + ", " +
                     std::to_string(in_flight) + " in flight";
  if (failed_ > 0) {
    text += ", failed " + format_count(failed_);
  }
  if (dropped_ > 0) {
    text += ", dropped " + format_count(dropped_);
  }
  const double share = progress(elapsed);
  std::string out;
  if (terminal_) {
    out = drawn_ ? "\x1b[1A\r\x1b[J" : "";
    for (int i = 0; i < kBar; ++i) {
      out += i < std::lround(share * kBar) ? "█" : "░";
    }
    out += " " + std::to_string(static_cast<int>(share * 100)) + " %  ";
    out += format_number(to_seconds(elapsed)) + " s\n" + text + "\x1b[K";
  } else {
    out = format_number(to_seconds(elapsed)) + " s: " + text + "\n";
  }
  std::fputs(out.c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
  shown_ = {};
  last_ = elapsed;
}

void LiveView::finish() {
  if (terminal_ && drawn_) {
    std::fputs("\x1b[1A\r\x1b[J", stderr);
    drawn_ = false;
  }
}

}  // namespace podsense::load
