#pragma once

/// What one sees while a run goes on, on stderr: on a terminal two lines that are drawn again, else
/// a line every few seconds.

#include <string>

#include "load/results.h"

namespace podsense::load {

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
  /// Clears what was drawn.
  void finish();
  [[nodiscard]] bool wanted() const { return !options_.quiet; }

 private:
  void draw(Duration elapsed, std::size_t in_flight);
  [[nodiscard]] double progress(Duration elapsed) const;

  Options options_;
  bool terminal_ = false;
  bool drawn_ = false;
  Recorder::Recent shown_;  ///< since the last drawing
  Duration last_{};
  std::uint64_t done_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace podsense::load
