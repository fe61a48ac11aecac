#include "cli/bench_curve.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "text/numbers.h"

namespace podsense::cli {
namespace {

constexpr std::size_t kHeight = 13;
constexpr std::size_t kLabels = 9;  ///< columns left of the plot
constexpr std::size_t kEachLabel = 3;
constexpr std::size_t kMostColumns = 80;
constexpr double kLeast = 1e-6;  ///< seconds; shorter latencies are drawn as this

std::size_t shown_width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
}

std::string right(const std::string& text, std::size_t width) {
  const std::size_t shown = shown_width(text);
  return std::string(width > shown ? width - shown : 0, ' ') + text;
}

/// The cells of the plot, and the mapping of latencies to rows.
class Canvas {
 public:
  Canvas(double low, double high, std::size_t width)
      : low_(std::log(low)),
        high_(std::log(high)),
        width_(width),
        cells_(kHeight, std::vector<std::string_view>(width, " ")) {}

  [[nodiscard]] double row(double seconds) const {
    const double part = (std::log(std::max(seconds, kLeast)) - low_) / (high_ - low_);
    return (1 - part) * (kHeight - 1);
  }
  [[nodiscard]] double seconds(std::size_t row) const {
    const double part = 1 - static_cast<double>(row) / (kHeight - 1);
    return std::exp(low_ + part * (high_ - low_));
  }
  void put(std::size_t column, double row, std::string_view mark) {
    if (column < width_ && row > -0.5 && row < kHeight - 0.5) {
      cells_[static_cast<std::size_t>(std::lround(row))][column] = mark;
    }
  }
  [[nodiscard]] std::string text() const {
    std::string out;
    for (std::size_t i = 0; i < kHeight; ++i) {
      const bool labelled = i % kEachLabel == 0;
      const Duration value(static_cast<Duration::rep>(seconds(i) * 1e9));
      out +=
          right(labelled ? text::format_duration(value) : "", kLabels) + (labelled ? " ┤" : " │");
      std::string line;
      for (const std::string_view cell : cells_[i]) {
        line += cell;
      }
      out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
  }

 private:
  const double low_;
  const double high_;
  const std::size_t width_;
  std::vector<std::vector<std::string_view>> cells_;
};

/// The labels below the plot: 0, the middle and the highest rate.
std::string rates_text(double highest, std::size_t width) {
  std::string line(kLabels + 2, ' ');
  std::string marks = line.substr(0, kLabels + 1) + "└";
  for (std::size_t i = 0; i < width; ++i) {
    marks += "─";
  }
  const auto put = [&](std::size_t column, const std::string& text) {
    const std::size_t begin = kLabels + 2 + column - std::min(column, text.size());
    line.resize(std::max(line.size(), begin), ' ');
    line += text;
  };
  line += "0";
  put(width / 2, text::format_number(highest / 2) + "/s");
  put(width, text::format_number(highest) + "/s");
  return marks + "\n" + line + "\n";
}

}  // namespace

std::string curve(std::span<const CurvePoint> points, double slo, std::size_t columns) {
  if (points.empty()) {
    return {};
  }
  double low = slo;
  double high = slo;
  double highest = 0;
  for (const CurvePoint& point : points) {
    low = std::min(low, std::max(kLeast, point.p50));
    high = std::max(high, point.p99);
    highest = std::max(highest, point.rate);
  }
  const std::size_t width = std::clamp(columns, std::size_t{40}, kMostColumns) - kLabels - 2;
  Canvas canvas(low / 1.2, high * 1.2, width);
  const auto column = [&](double rate) {
    return static_cast<std::size_t>(rate / highest * static_cast<double>(width - 1));
  };
  for (std::size_t i = 0; i < width; ++i) {
    canvas.put(i, canvas.row(slo), "╌");
  }
  for (std::size_t i = 1; i < points.size(); ++i) {
    const std::size_t from = column(points[i - 1].rate);
    const std::size_t to = column(points[i].rate);
    const double first = canvas.row(points[i - 1].p99);
    const double last = canvas.row(points[i].p99);
    for (std::size_t at = from + 1; at < to; ++at) {
      const double part = static_cast<double>(at - from) / static_cast<double>(to - from);
      canvas.put(at, first + part * (last - first), "·");
    }
  }
  for (const CurvePoint& point : points) {
    canvas.put(column(point.rate), canvas.row(point.p50), "○");
    canvas.put(column(point.rate), canvas.row(point.p99), "●");
  }
  return right("latency", kLabels) + "  ● p99  ○ p50  ╌ objective\n" + canvas.text() +
         rates_text(highest, width);
}

}  // namespace podsense::cli
