#pragma once

/// A terminal for a view that changes while it runs. Where standard output is no terminal, frames
/// follow each other as text.

#include <termios.h>

#include <csignal>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace podsense::cli {

/// Takes the alternate screen and gives everything back as it was. SIGINT, SIGTERM, SIGHUP and
/// SIGWINCH are blocked in this thread and those that it starts, and arrive through wait().
/// @threads one thread
class Screen {
 public:
  enum class Event { kTime, kResized, kQuit };
  struct Size {
    std::size_t columns = 0;
    std::size_t lines = 0;
  };

  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// Nothing where standard output is no terminal.
  [[nodiscard]] std::optional<Size> size() const;
  /// Shows these lines, each with its end, in place of what was there.
  void show(std::string_view lines) const;
  /// Until the time has passed, the size has changed, or the user wants to end: q, Ctrl-C, a
  /// signal, the terminal gone.
  [[nodiscard]] Event wait(Duration time) const;

 private:
  [[nodiscard]] bool quit_typed() const;

  const bool terminal_;
  int signals_ = -1;  ///< file descriptor
  sigset_t before_{};
  std::optional<termios> keyboard_;  ///< as it was; empty: standard input is no terminal
};

}  // namespace podsense::cli
