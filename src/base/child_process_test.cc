#include "base/child_process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <future>

namespace podsense {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

ChildOptions shell(const std::string& script) {
  return {.program = "/bin/sh", .arguments = {"-c", script}};
}

TEST(ChildProcess, ItsOutputAndExitCodeComeBack) {
  const auto end = run_child(shell("echo one; echo two; echo lost >&2; exit 7")).value();
  EXPECT_EQ(end.output, "one\ntwo\n");
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_EQ(end.signal, 0);
  EXPECT_FALSE(end.timed_out || end.stopped);
}

TEST(ChildProcess, ASignalIsTold) {
  const auto end = run_child(shell("kill -SEGV $$")).value();
  EXPECT_EQ(end.signal, SIGSEGV);
}

TEST(ChildProcess, TheTimeLimitEndsItWithItsOwnChildren) {
  ChildOptions options = shell("sleep 600 & sleep 600");
  options.timeout = milliseconds(50);
  const auto end = run_child(options).value();
  EXPECT_TRUE(end.timed_out);
  EXPECT_EQ(end.signal, 0);
}

TEST(ChildProcess, TheTimeLimitHoldsForOneThatClosesItsOutput) {
  ChildOptions options = shell("exec >&-; sleep 600");
  options.timeout = milliseconds(50);
  EXPECT_TRUE(run_child(options).value().timed_out);
}

TEST(ChildProcess, StoppingEndsIt) {
  std::stop_source source;
  auto end = std::async(std::launch::async,
                        [&] { return run_child(shell("sleep 600"), source.get_token()); });
  source.request_stop();
  const auto ended = end.get().value();
  EXPECT_TRUE(ended.stopped);
  EXPECT_FALSE(ended.timed_out);
}

TEST(ChildProcess, ItGetsNoDescriptorsAndNoBlockedSignals) {
  const int leaked = ::open("/dev/null", O_RDONLY);  // not closed on exec
  ASSERT_GE(leaked, 3);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto files = run_child({.program = "/bin/ls", .arguments = {"/proc/self/fd"}}).value();
  const auto status =
      run_child({.program = "/bin/grep", .arguments = {"SigBlk", "/proc/self/status"}}).value();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(leaked);
  EXPECT_EQ(files.output, "0\n1\n2\n3\n") << "3 is the listing's own";
  EXPECT_EQ(status.output, "SigBlk:\t0000000000000000\n");
}

TEST(ChildProcess, OneThatTellsTooMuchIsKilled) {
  ChildOptions options = shell("while :; do echo and so on; done");
  options.max_output = 1000;
  const auto end = run_child(options).value();
  EXPECT_EQ(end.output.size(), 1000U);
  EXPECT_NE(end.signal, 0);
}

TEST(ChildProcess, AProgramThatIsNotThereIsAnError) {
  const auto end = run_child({.program = "/nowhere/at/all"});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(end.error().message, testing::HasSubstr("No such file"));
}

}  // namespace
}  // namespace podsense
