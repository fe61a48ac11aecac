#include "load/measuring/live.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "text/numbers.h"

namespace podsense::load {
namespace {

constexpr Duration kTerminalPeriod = std::chrono::milliseconds(500);
constexpr Duration kPlainPeriod = std::chrono::seconds(5);
constexpr Duration kUnknown = std::chrono::hours(240);
constexpr std::size_t kMostBar = 40;
constexpr std::size_t kLeastBar = 8;
constexpr std::size_t kInterruptMark = 2;  ///< what a terminal shows of Ctrl-C: ^C

constexpr const char* kGreen = "\x1b[32m";
constexpr const char* kRed = "\x1b[1;31m";
constexpr const char* kDim = "\x1b[2m";
constexpr const char* kPlain = "\x1b[0m";

/// Empty where it is not set.
std::string environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? std::string() : std::string(value);
}

bool speaks_utf8() {
  for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (std::string value = environment(name); !value.empty()) {
      std::ranges::transform(value, value.begin(), [](unsigned char c) { return std::tolower(c); });
      return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
    }
  }
  return false;
}

std::string repeat(std::string_view part, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) {
    out += part;
  }
  return out;
}

std::string color(bool wanted, const char* code, const std::string& text) {
  return wanted && !text.empty() ? code + text + kPlain : text;
}

/// "12.3 of 60 s"
std::string time_text(const LiveFigures& figures) {
  const std::string now = text::format_number(to_seconds(figures.elapsed));
  const bool known = figures.length > Duration::zero() && figures.length < kUnknown;
  return known && figures.elapsed <= figures.length
             ? now + " of " + text::format_number(to_seconds(figures.length)) + " s"
             : now + " s";
}

/// At most `width` characters; `text` has no colors.
std::string cut(std::string text, std::size_t width) {
  while (shown_width(text) > width) {
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0U) == 0x80) {
      text.pop_back();
    }
    text.pop_back();
  }
  return text;
}

struct Field {
  std::string text;
  bool bad = false;
};

std::vector<Field> fields_of(const LiveFigures& figures) {
  const auto time = [](Duration d) {
    return d > Duration::zero() ? text::format_duration(d) : std::string("–");
  };
  std::vector<Field> fields{{.text = text::format_number(figures.offered) + "/s offered"},
                            {.text = text::format_number(figures.achieved) + "/s ok"},
                            {.text = "p50 " + time(figures.p50)},
                            {.text = "p99 " + time(figures.p99)},
                            {.text = text::format_count(figures.in_flight) + " in flight"}};
  if (figures.failed > 0) {
    fields.push_back({.text = text::format_count(figures.failed) + " failed", .bad = true});
  }
  if (figures.dropped > 0) {
    fields.push_back({.text = text::format_count(figures.dropped) + " dropped", .bad = true});
  }
  return fields;
}

std::string bar_line(const LiveFigures& figures, const LiveStyle& style, std::size_t width) {
  const std::string after = " " + std::to_string(static_cast<int>(figures.share * 100)) + " %  " +
                            time_text(figures) + (figures.ending ? ", waiting for answers" : "");
  const std::size_t rest = shown_width(after);
  if (width < rest + kLeastBar) {
    return cut(after.substr(1), width);  // a very narrow terminal: no bar
  }
  const std::size_t bar = std::min(kMostBar, width - rest);
  const auto full = static_cast<std::size_t>(std::lround(figures.share * static_cast<double>(bar)));
  return color(style.colors, kGreen, repeat(style.unicode ? "█" : "#", full)) +
         color(style.colors, kDim, repeat(style.unicode ? "░" : "-", bar - full)) + after;
}

}  // namespace

std::size_t shown_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = std::min(text.find('m', i), text.size() - 1);
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80) {
      ++width;
    }
  }
  return width;
}

std::vector<std::string> live_lines(const LiveFigures& figures, const LiveStyle& style) {
  constexpr std::string_view kGap = "  ";
  const std::size_t width = std::max<std::size_t>(style.columns, 12) - kInterruptMark;
  std::vector<std::string> lines{bar_line(figures, style, width)};
  std::string line;
  for (const Field& field : fields_of(figures)) {
    const std::string shown = cut(field.text, width);
    const std::string text = color(style.colors && field.bad, kRed, shown);
    if (!line.empty() && shown_width(line) + kGap.size() + shown_width(shown) > width) {
      lines.push_back(std::move(line));
      line.clear();
    }
    line += (line.empty() ? "" : std::string(kGap)) + text;
  }
  lines.push_back(std::move(line));
  return lines;
}

std::string live_line(const LiveFigures& figures) {
  std::string line = time_text(figures) + ":";
  for (const Field& field : fields_of(figures)) {
    line += (line.ends_with(':') ? " " : ", ") + field.text;
  }
  return line;
}

LiveView::LiveView(Options options)
    : options_(options), terminal_(isatty(STDERR_FILENO) == 1 && !options.quiet) {
  const std::string kind = environment("TERM");
  terminal_ = terminal_ && !kind.empty() && kind != "dumb";
  style_ = {.colors = environment("NO_COLOR").empty(), .unicode = speaks_utf8()};
}

unsigned LiveView::columns() const {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80U;
}

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
  const double seconds = to_seconds(elapsed - last_);
  const LiveFigures figures{
      .elapsed = elapsed,
      .length = options_.length,
      .share = progress(elapsed),
      .offered = static_cast<double>(shown_.offered) / seconds,
      .achieved = static_cast<double>(shown_.ok) / seconds,
      .p50 = shown_.latency.count() > 0 ? shown_.latency.quantile(0.5) : Duration(),
      .p99 = shown_.latency.count() > 0 ? shown_.latency.quantile(0.99) : Duration(),
      .in_flight = in_flight,
      .failed = failed_,
      .dropped = dropped_,
      .ending = options_.length > Duration::zero() && elapsed > options_.length};
  if (terminal_) {
    style_.columns = columns();
    draw(live_lines(figures, style_));
  } else {
    std::fputs((live_line(figures) + "\n").c_str(), stderr);
  }
  shown_ = {};
  last_ = elapsed;
}

// A line that was drawn on a wider terminal takes several rows of a narrow one.
std::string LiveView::back() const {
  if (drawn_.empty()) {
    return "\r";
  }
  const std::size_t width = columns();
  std::size_t rows = 0;
  for (const std::string& line : drawn_) {
    rows += std::max<std::size_t>(1, (shown_width(line) + width - 1) / width);
  }
  return rows > 1 ? "\r\x1b[" + std::to_string(rows - 1) + "A" : "\r";
}

// Lines are written over the old ones, and only what is left of those is cleared: no flicker. All
// goes out in one write.
void LiveView::draw(const std::vector<std::string>& lines) {
  std::string out = back();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    out += (i > 0 ? "\n" : "") + lines[i] + "\x1b[K";
  }
  out += "\x1b[J";
  std::fputs(out.c_str(), stderr);
  std::fflush(stderr);
  drawn_ = lines;
}

void LiveView::note(const std::string& text) {
  if (terminal_) {
    draw({cut(text, std::max(columns(), 12U) - kInterruptMark)});
  }
}

void LiveView::finish() {
  if (!drawn_.empty()) {
    std::fputs((back() + "\x1b[J").c_str(), stderr);
    std::fflush(stderr);
    drawn_.clear();
  }
}

}  // namespace podsense::load
