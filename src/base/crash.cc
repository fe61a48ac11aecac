#include "base/crash.h"

#include <execinfo.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <exception>
#include <new>

// Everything below `handle` runs inside a signal handler: only system calls and copies are allowed.
// @source signal-safety(7); backtrace(3): safe once libgcc is loaded, which `install` sees to

namespace podsense::crash {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kStack = 64U << 10U;
constexpr int kFrames = 48;
/// The process ends after this time, even if writing the trace hangs.
constexpr unsigned kLongestTrace = 5;  // seconds

struct Signal {
  int number;
  const char* name;
};
constexpr std::array kSignals{Signal{SIGSEGV, "SIGSEGV"}, Signal{SIGBUS, "SIGBUS"},
                              Signal{SIGFPE, "SIGFPE"},   Signal{SIGILL, "SIGILL"},
                              Signal{SIGABRT, "SIGABRT"}, Signal{SIGSYS, "SIGSYS"},
                              Signal{SIGTRAP, "SIGTRAP"}};

thread_local const char* t_role = "other";
thread_local const Work::Texts* t_work = nullptr;

std::array<char, 128> g_build{};
std::array<char, 256> g_termination_log{};
std::array<char, 256> g_reason{};  ///< of std::terminate
std::atomic_flag g_crashed;

template <std::size_t kSize>
void copy_text(std::array<char, kSize>& to, std::string_view from) {
  const std::string_view fits = from.substr(0, kSize - 1);
  *std::ranges::copy(fits, to.begin()).out = '\0';
}

/// A line of JSON in a fixed buffer.
class Line {
 public:
  void add(const char* text) {
    for (; *text != '\0' && size_ < bytes_.size(); ++text) {
      bytes_[size_++] = *text;
    }
  }
  void add_number(std::uint64_t number) {
    std::array<char, 21> digits{};
    std::size_t at = digits.size() - 1;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    add(digits.data() + at);
  }
  /// `,"key":"text"`, with everything that JSON would escape replaced.
  void add_field(const char* key, const char* text) {
    if (*text == '\0') {
      return;
    }
    add(",\"");
    add(key);
    add("\":\"");
    for (; *text != '\0' && size_ < bytes_.size(); ++text) {
      const bool plain = *text >= ' ' && *text <= '~' && *text != '"' && *text != '\\';
      bytes_[size_++] = plain ? *text : '?';
    }
    add("\"");
  }
  void write_to(int descriptor) const {
    for (std::size_t at = 0; at < size_;) {
      const ssize_t sent = ::write(descriptor, bytes_.data() + at, size_ - at);
      if (sent <= 0 && errno != EINTR) {
        return;
      }
      at += sent > 0 ? static_cast<std::size_t>(sent) : 0;
    }
  }

 private:
  std::array<char, 1024> bytes_{};
  std::size_t size_ = 0;
};

const char* name_of(int number) {
  for (const Signal& signal : kSignals) {
    if (signal.number == number) {
      return signal.name;
    }
  }
  return "unknown";
}

void describe(Line& line, int number) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  line.add("{\"unix_time\":");
  line.add_number(static_cast<std::uint64_t>(now.tv_sec));
  line.add(",\"level\":\"fatal\",\"severity\":\"CRITICAL\",\"event\":\"crash\"");
  line.add_field("message", "the process ends by a fatal signal");
  line.add_field("signal", name_of(number));
  line.add_field("thread", t_role);
  if (t_work != nullptr) {
    line.add_field("model", t_work->model);
    line.add_field("request_id", t_work->request_id);
  }
  line.add_field("build", g_build.data());
  line.add_field("reason", g_reason.data());
  line.add("}\n");
}

void handle(int number) {
  if (g_crashed.test_and_set()) {
    for (;;) {
      ::pause();  // another thread crashed first and will end the process
    }
  }
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(kLongestTrace);
  Line line;
  describe(line, number);
  line.write_to(STDERR_FILENO);
  std::array<void*, kFrames> frames{};
  const int count = ::backtrace(frames.data(), kFrames);
  ::backtrace_symbols_fd(frames.data(), count, STDERR_FILENO);
  const int file = ::open(g_termination_log.data(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NONBLOCK);
  if (file >= 0) {
    line.write_to(file);
    ::backtrace_symbols_fd(frames.data(), count, file);
    if (::lseek(file, 0, SEEK_END) > static_cast<off_t>(kMaxTerminationLog)) {
      [[maybe_unused]] const int cut = ::ftruncate(file, kMaxTerminationLog);
    }
    ::close(file);
  }
  // Delivered after the handler returns, with the default effect: a core file, the exit status.
  ::signal(number, SIG_DFL);
  ::raise(number);
}

/// Only notes the reason; `handle` writes the line.
[[noreturn]] void on_terminate() {
  copy_text(g_reason, "std::terminate");
  if (const std::exception_ptr thrown = std::current_exception()) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      copy_text(g_reason, error.what());
    } catch (...) {
      copy_text(g_reason, "an exception that is not a std::exception");
    }
  }
  std::abort();
}

}  // namespace

bool install(const Options& options) {
  if (kSanitized) {
    return false;
  }
  copy_text(g_build, options.build);
  copy_text(g_termination_log, options.termination_log);
  void* frame = nullptr;
  ::backtrace(&frame, 1);  // loads libgcc now, as a signal handler must not
  std::set_terminate(&on_terminate);
  for (const Signal& signal : kSignals) {
    struct sigaction action{};
    action.sa_handler = &handle;
    action.sa_flags = SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    ::sigaction(signal.number, &action, nullptr);
  }
  return true;
}

Thread::Thread(const char* role) noexcept {
  t_role = role;
  if (::getpid() != ::gettid()) {  // the main thread's name is the name of the process
    ::prctl(PR_SET_NAME, role);
  }
  if (kSanitized) {
    return;
  }
  stack_.reset(new (std::nothrow) char[kStack]);
  if (stack_) {
    const stack_t stack{.ss_sp = stack_.get(), .ss_flags = 0, .ss_size = kStack};
    ::sigaltstack(&stack, nullptr);
  }
}

Thread::~Thread() {
  if (stack_) {
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    ::sigaltstack(&none, nullptr);
  }
}

Work::Work(std::string_view model, std::string_view request_id) noexcept : outer_(t_work) {
  std::ranges::copy(model.substr(0, kMaxText), texts_.model);
  std::ranges::copy(request_id.substr(0, kMaxText), texts_.request_id);
  t_work = &texts_;
}

Work::~Work() {
  t_work = outer_;
}

}  // namespace podsense::crash
