#pragma once

/// A terminal for a view that is updated continuously. If stdout is not a terminal, frames are
/// written one after the other as text.

#include <termios.h>

#include <csignal>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace podsense::cli {

/// Switches to the alternate screen; the destructor restores the terminal. Blocks SIGINT, SIGTERM,
/// SIGHUP and SIGWINCH in this thread and its new threads; wait() receives them.
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

  /// Nothing: stdout is not a terminal.
  [[nodiscard]] std::optional<Size> size() const;
  /// Replaces the screen's content by these lines, each with a line end.
  void show(std::string_view lines) const;
  /// Waits until the time has passed, the size has changed, or the user quits: q, Ctrl-C, a signal,
  /// or the terminal is closed.
  [[nodiscard]] Event wait(Duration time) const;

 private:
  [[nodiscard]] bool quit_typed() const;

  const bool terminal_;
  int signals_ = -1;  ///< file descriptor
  sigset_t before_{};
  std::optional<termios> keyboard_;  ///< original state; empty: stdin is not a terminal
};

}  // namespace podsense::cli
