#include "base/crash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>
#include <string>

#include "base/temp_folder_testing.h"

namespace podsense::crash {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Death {
  int signal = 0;
  std::string said;   ///< on stderr
  std::string noted;  ///< in the termination log
};

class CrashTest : public testing::Test {
 protected:
  void SetUp() override {
    if (death_of([] {}).signal != 0) {
      FAIL() << "a child that does nothing dies";
    }
    if (not_here_) {
      GTEST_SKIP() << "the sanitizer tells of crashes itself";
    }
    std::ofstream(folder_ / "termination-log") << "";
  }

  /// How a child dies that does `what`.
  Death death_of(const std::function<void()>& what) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      const bool installed = install(
          {.build = "test 1.2.3", .termination_log = (folder_ / "termination-log").string()});
      if (!installed) {
        ::_exit(kNotHere);
      }
      what();
      ::_exit(0);
    }
    ::close(ends[1]);
    Death death;
    std::array<char, 4096> some{};
    for (ssize_t got = 0; (got = ::read(ends[0], some.data(), some.size())) > 0;) {
      death.said.append(some.data(), static_cast<std::size_t>(got));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    not_here_ = WIFEXITED(status) && WEXITSTATUS(status) == kNotHere;
    death.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    std::ifstream file(folder_ / "termination-log", std::ios::binary);
    death.noted = {std::istreambuf_iterator<char>(file), {}};
    return death;
  }

  static constexpr int kNotHere = 77;
  bool not_here_ = false;
  const TempFolder folder_;
};

TEST_F(CrashTest, EveryFatalSignalLeavesALineAndABacktraceAndKillsAsBefore) {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    const Death death = death_of([signal] {
      const Thread me("executor");
      const Work work("a-model", "request-7");
      ::raise(signal);
    });
    EXPECT_EQ(death.signal, signal);
    for (const std::string& text : {death.said, death.noted}) {
      EXPECT_THAT(text, StartsWith("{\"unix_time\":"));
      EXPECT_THAT(text, HasSubstr("\"thread\":\"executor\",\"model\":\"a-model\","
                                  "\"request_id\":\"request-7\",\"build\":\"test 1.2.3\"}\n"));
      EXPECT_THAT(text, HasSubstr("crash_test"));  // of the backtrace
    }
    EXPECT_LE(death.noted.size(), kMaxTerminationLog);
  }
}

TEST_F(CrashTest, TerminateNamesWhatWasThrown) {
  const Death death = death_of([] {
    try {
      throw std::runtime_error("what \"was\" wrong");
    } catch (const std::exception&) {
      std::terminate();  // as it is called for an exception that nobody catches
    }
  });
  EXPECT_EQ(death.signal, SIGABRT);
  EXPECT_THAT(death.said, HasSubstr("\"reason\":\"what ?was? wrong\"}\n"));
}

// NOLINTNEXTLINE(misc-no-recursion): to the end of the stack, on purpose
int recurse(const volatile int* from) {
  volatile int room[1024];  // NOLINT(modernize-avoid-c-arrays): volatile elements
  room[0] = *from + 1;
  room[1] = 0;
  return *from < 0 ? 0 : recurse(room) + room[1];
}

TEST_F(CrashTest, AnOverflowOfTheStackIsToldToo) {
  const Death death = death_of([] {
    const Thread me("deep");
    volatile int start = 0;
    ::_exit(recurse(&start) == 0 ? 0 : 1);
  });
  EXPECT_EQ(death.signal, SIGSEGV);
  EXPECT_THAT(death.said, HasSubstr("\"thread\":\"deep\""));
  EXPECT_LE(death.noted.size(), kMaxTerminationLog);
}

TEST_F(CrashTest, WorkNestsAndLongTextsAreCut) {
  const Death death = death_of([] {
    const Work outer(std::string(500, 'm'), "outer");
    {
      const Work inner("inner", "inner");
    }
    ::raise(SIGABRT);
  });
  EXPECT_THAT(death.said,
              HasSubstr("\"model\":\"" + std::string(64, 'm') + "\",\"request_id\":\"outer\""));
}

TEST_F(CrashTest, WithoutATerminationLogTheLineGoesToStderrAlone) {
  std::filesystem::remove(folder_ / "termination-log");
  const Death death = death_of([] { ::raise(SIGSEGV); });
  EXPECT_EQ(death.signal, SIGSEGV);
  EXPECT_THAT(death.said, HasSubstr("\"signal\":\"SIGSEGV\""));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "termination-log"));
}

}  // namespace
}  // namespace podsense::crash
