#include "base/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace podsense {
namespace {

/// How often to check whether a child that closed its output has ended.
constexpr Duration kReapCheck = std::chrono::milliseconds(2);

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }
  [[nodiscard]] int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) {
      ::close(std::exchange(fd_, -1));
    }
  }

 private:
  int fd_;
};

/// What posix_spawn does with descriptors and signals before exec.
class SpawnPlan {
 public:
  explicit SpawnPlan(int output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions_, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  /// Zero, or the error number.
  int spawn(const ChildOptions& options, pid_t& pid) const {
    std::string program = options.program.string();
    std::vector<std::string> words = options.arguments;
    std::vector<char*> argv{program.data()};
    for (std::string& word : words) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    return ::posix_spawn(&pid, program.c_str(), &actions_, &attributes_, argv.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Reads until the child closes its output. False: it must be killed, because the time is up or it
/// wrote too much.
bool read_output(int fd, const ChildOptions& options, Deadline deadline, const Clock& clock,
                 std::string& output) {
  std::array<char, 4096> piece;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        std::min<Duration>(deadline.left(clock.now()), std::chrono::hours(1)));
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(left.count()));
    if (ready <= 0) {
      if (ready < 0 && errno != EINTR) {
        return false;
      }
      if (deadline.passed(clock.now())) {
        return false;
      }
      continue;
    }
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got == 0) {
      return true;
    }
    if (got < 0 && errno != EINTR) {
      return false;
    }
    output.append(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (output.size() > options.max_output) {
      output.resize(options.max_output);
      return false;
    }
  }
}

/// True if the child ended by itself. It is not reaped yet, so its PID cannot be reused.
bool wait_end(pid_t pid, Deadline deadline, const Clock& clock) {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == pid) {
      return true;
    }
    if (deadline.passed(clock.now())) {
      return false;
    }
    ::poll(nullptr, 0,
           static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(
                                std::min(kReapCheck, deadline.left(clock.now())))
                                .count()));
  }
}

}  // namespace

Result<ChildEnd> run_child(const ChildOptions& options, const std::stop_token& stop) {
  const SteadyClock clock;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail(ErrorCode::kUnavailable, "no pipe: " + std::generic_category().message(errno));
  }
  Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  const Deadline deadline = Deadline::after(clock.now(), options.timeout);
  pid_t pid = 0;
  if (const int error = SpawnPlan(write_end.get()).spawn(options, pid); error != 0) {
    return fail(ErrorCode::kUnavailable, "no process: " + std::generic_category().message(error));
  }
  write_end.reset();
  ChildEnd end;
  bool by_itself = false;
  {
    // Can only run until the block ends, so the PID cannot belong to another process yet.
    const std::stop_callback kill_it(stop, [pid] { ::kill(-pid, SIGKILL); });
    by_itself = read_output(read_end.get(), options, deadline, clock, end.output) &&
                wait_end(pid, deadline, clock);
    if (!by_itself) {
      ::kill(-pid, SIGKILL);
    }
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  end.stopped = stop.stop_requested();
  end.timed_out = !end.stopped && !by_itself && deadline.passed(clock.now());
  if (!end.stopped && !end.timed_out) {
    end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  }
  return end;
}

}  // namespace podsense
