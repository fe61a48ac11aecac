#include "cli/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>

namespace podsense::cli {
namespace {

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) {
      return;  // the reader has gone
    }
    text.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
}

}  // namespace

Screen::Screen() : terminal_(isatty(STDOUT_FILENO) != 0) {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) {
    sigaddset(&ours, number);
  }
  pthread_sigmask(SIG_BLOCK, &ours, &before_);
  signals_ = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
  if (!terminal_) {
    return;
  }
  // Only the foreground process group may change the terminal: in the background tcsetattr would
  // stop the process.
  termios now{};
  if (tcgetattr(STDIN_FILENO, &now) == 0 && tcgetpgrp(STDIN_FILENO) == getpgrp()) {
    keyboard_ = now;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    now.c_cc[VSUSP] = _POSIX_VDISABLE;  // Ctrl-Z would not restore the terminal
    tcsetattr(STDIN_FILENO, TCSANOW, &now);
  }
  write_all("\x1b[?1049h\x1b[?25l\x1b[?7l");  // alternate screen, no cursor, no wrapping
}

Screen::~Screen() {
  if (terminal_) {
    write_all("\x1b[?7h\x1b[?25h\x1b[?1049l");
  }
  if (keyboard_) {
    tcsetattr(STDIN_FILENO, TCSANOW, &*keyboard_);
  }
  if (signals_ >= 0) {
    close(signals_);
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<Screen::Size> Screen::size() const {
  winsize found{};
  if (!terminal_ || ioctl(STDOUT_FILENO, TIOCGWINSZ, &found) != 0 || found.ws_col == 0 ||
      found.ws_row == 0) {
    return std::nullopt;
  }
  return Size{.columns = found.ws_col, .lines = found.ws_row};
}

void Screen::show(std::string_view lines) const {
  if (!terminal_) {
    return write_all(lines);
  }
  // Overwrite line by line from the top, then clear the rest: this avoids flicker.
  std::string out = "\x1b[H";
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    out.append(lines.substr(0, end)).append("\x1b[K");
    lines.remove_prefix(std::min(end + 1, lines.size()));
    out += lines.empty() ? "" : "\r\n";
  }
  write_all(out + "\x1b[J");
}

bool Screen::quit_typed() const {
  std::array<char, 64> keys{};
  const ssize_t got = read(STDIN_FILENO, keys.data(), keys.size());
  return got <= 0 || std::any_of(keys.begin(), keys.begin() + got,
                                 [](char key) { return key == 'q' || key == 'Q'; });
}

Screen::Event Screen::wait(Duration time) const {
  const auto until = std::chrono::steady_clock::now() + time;
  while (true) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= Duration::zero()) {
      return Event::kTime;
    }
    std::array<pollfd, 2> sources{
        pollfd{.fd = signals_, .events = POLLIN, .revents = 0},
        pollfd{.fd = keyboard_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    if (poll(sources.data(), sources.size(), static_cast<int>(ms)) <= 0) {
      continue;
    }
    signalfd_siginfo info{};
    if (sources[0].revents != 0 && read(signals_, &info, sizeof(info)) == sizeof(info)) {
      return info.ssi_signo == SIGWINCH ? Event::kResized : Event::kQuit;
    }
    if (sources[1].revents != 0 && quit_typed()) {
      return Event::kQuit;
    }
  }
}

}  // namespace podsense::cli
