#pragma once

/// What one sees while a run goes on, on stderr: on a terminal a few lines that are drawn again,
/// else a line every few seconds.

#include <string>
#include <vector>

#include "load/measuring/results.h"

namespace podsense::load {

/// The figures of one drawing.
struct LiveFigures {
  Duration elapsed{};
  Duration length{};   ///< planned; zero: unknown
  double share = 0;    ///< of the run that is done, 0 to 1
  double offered = 0;  ///< a second, since the last drawing
  double achieved = 0;
  Duration p50{};  ///< zero: no answer since the last drawing
  Duration p99{};
  std::size_t in_flight = 0;
  std::uint64_t failed = 0;  ///< since the start
  std::uint64_t dropped = 0;
  bool ending = false;  ///< everything was sent, answers are waited for
};

struct LiveStyle {
  unsigned columns = 80;
  bool colors = true;
  bool unicode = true;
};

/// Lines for a terminal of `columns`: none is longer, and each leaves room for a ^C behind it.
std::vector<std::string> live_lines(const LiveFigures& figures, const LiveStyle& style);
/// The same in one line without end, for logs.
std::string live_line(const LiveFigures& figures);
/// Columns that a text takes: neither UTF-8's further bytes nor colors count.
std::size_t shown_width(std::string_view text);

class LiveView {
 public:
  struct Options {
    Duration length{};           ///< of the run; zero or more than ten days: unknown
    std::uint64_t requests = 0;  ///< planned; 0: unknown
    bool quiet = false;
  };
  explicit LiveView(Options options);

  /// Called often; draws when it is time. `elapsed` since the start of the run.
  void update(Duration elapsed, const Recorder::Recent& recent, std::size_t in_flight);
  /// One line in place of what is drawn, for what has no figures; nothing where there is no
  /// terminal.
  void note(const std::string& text);
  /// Clears what was drawn.
  void finish();

 private:
  void draw(const std::vector<std::string>& lines);
  [[nodiscard]] double progress(Duration elapsed) const;
  [[nodiscard]] unsigned columns() const;
  /// To where the first drawn line begins.
  [[nodiscard]] std::string back() const;

  Options options_;
  bool terminal_ = false;
  LiveStyle style_;
  std::vector<std::string> drawn_;
  Recorder::Recent shown_;  ///< since the last drawing
  Duration last_{};
  std::uint64_t done_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace podsense::load
