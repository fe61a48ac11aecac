#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/crash.h"
#include "base/log.h"
#include "server/build_info.h"
#include "server/guard.h"
#include "server/options.h"
#include "server/serving.h"
#include "transport/message.h"

namespace podsense::server {
namespace {

/// Blocks of this size and beyond are returned to the system as soon as they are free. Left to
/// itself glibc moves the bound up to 32 MiB as models come and go, and their weights then lie
/// among small things that keep the heap from shrinking.
constexpr int kMappedBlock = 4 * 1024 * 1024;

void return_large_blocks() {
#ifdef __GLIBC__
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads
  mallopt(M_MMAP_THRESHOLD, kMappedBlock);
#endif
}

/// What a graph's nested graphs may take; threads get what `ulimit -s` says, or 2 MiB where that is
/// "unlimited". Memory that is not touched costs nothing.
constexpr std::size_t kLeastStack = std::size_t{8} << 20U;

void ensure_stacks() {
#ifdef __GLIBC__
  pthread_attr_t attributes;
  if (pthread_getattr_default_np(&attributes) != 0) {
    return;
  }
  std::size_t size = 0;
  if (pthread_attr_getstacksize(&attributes, &size) == 0 && size < kLeastStack &&
      pthread_attr_setstacksize(&attributes, kLeastStack) == 0) {
    pthread_setattr_default_np(&attributes);
  }
  pthread_attr_destroy(&attributes);
#endif
}

/// How often the main thread looks whether the first load has ended.
constexpr Duration kLoadCheck = std::chrono::milliseconds(20);

/// What was logged is written, unless nobody reads.
constexpr Duration kLastLines = std::chrono::seconds(1);

[[noreturn]] void exit_now(int code) {
  log::flush(kLastLines);
  _exit(code);
}

sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

/// The next signal of the set, or 0 after `timeout`.
int wait_signal(const sigset_t& set, Duration timeout) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (timeout - seconds).count()};
  const int got = sigtimedwait(&set, nullptr, &limit);
  return std::max(got, 0);
}

/// Waits until told to stop; SIGHUP reloads. @errors kUnavailable: nothing can be served
Result<void> wait_for_stop(Serving& serving, const sigset_t& set, bool reload_signal) {
  for (bool loaded = false;;) {
    const int got = wait_signal(set, loaded ? Duration(std::chrono::hours(1)) : kLoadCheck);
    if (const auto first = loaded || got != 0 ? std::nullopt : serving.first_load()) {
      loaded = true;
      if (!*first) {
        return *first;
      }
    }
    if (got == SIGHUP) {
      if (reload_signal) {
        log::info("reload_requested", {{"by", "SIGHUP"}});
        serving.reload();
      }
    } else if (got != 0) {
      log::info("shutdown_began", {{"signal", got == SIGINT ? "SIGINT" : "SIGTERM"},
                                   {"in_flight", serving.in_flight()}});
      return {};
    }
  }
}

/// A second signal during the drain means: now.
/// Once all is `answered` there is nothing left to force: the thread outlives `main`, and then must
/// touch nothing that its end destroys.
void watch_for_second_signal(const sigset_t& set,
                             std::shared_ptr<const std::atomic<bool>> answered) try {
  std::thread([set, answered = std::move(answered)] {
    for (;;) {
      const int got = wait_signal(set, std::chrono::hours(1));
      if (got != SIGTERM && got != SIGINT) {
        continue;
      }
      if (*answered) {
        exit_now(0);
      }
      log::warning("shutdown_forced");
      exit_now(1);
    }
  }).detach();
} catch (const std::system_error& error) {  // the drain goes on; SIGKILL is left
  log::warning("second_signal_not_watched", {{"reason", error.what()}});
}

/// As URLs have them; empty: there is no such port.
std::string places(const std::vector<std::string>& hosts, std::uint16_t port) {
  std::string all;
  for (const std::string& host : port == 0 ? std::vector<std::string>() : hosts) {
    all.append(all.empty() ? "" : ", ").append(transport::host_and_port(host, port));
  }
  return all;
}

void log_start(const Serving& serving, const Config& config) {
  log::info("serving", {{"build", build_info().version},
                        {"http", places(config.listen.host, serving.http_port())},
                        {"grpc", places(config.listen.host, serving.grpc_port())},
                        {"admin", places(config.listen.admin_host, serving.admin_port())},
                        {"models", config.models.dir},
                        {"io_threads", serving.threads().io},
                        {"executors", serving.threads().executors},
                        {"descriptors", descriptor_limit()},
                        {"onnxruntime", serving.onnxruntime()}});
}

Result<int> run(const LoadedConfig& loaded) {
  const sigset_t signals = block_signals();
  return_large_blocks();
  ensure_stacks();
  raise_descriptor_limit();
  const Config& config = loaded.config;
  log::configure(config.logging.level, config.logging.format);
  if (auto started = log::start_writer(); !started) {
    return fail(std::move(started.error()));
  }
  for (const std::string& warning : loaded.warnings) {
    log::warning("configuration", {{"message", warning}});
  }
  auto created = Serving::create(config);
  if (!created) {
    return fail(std::move(created.error()));
  }
  Serving& serving = **created;
  if (auto started = serving.start(); !started) {
    return fail(std::move(started.error()));
  }
  log_start(serving, config);
  warn_of_open_doors(config, serving.guard());
  if (auto written = serving.write_ports_file(); !written) {
    return fail(std::move(written.error()));
  }
  if (auto waited = wait_for_stop(serving, signals, config.models.reload_signal); !waited) {
    return fail(std::move(waited.error()));
  }

  const SteadyClock clock;
  const Deadline deadline = Deadline::after(clock.now(), config.shutdown.drain_timeout);
  serving.announce();
  const Deadline delay = Deadline::after(
      clock.now(), std::min(config.shutdown.drain_delay, deadline.left(clock.now())));
  for (;;) {
    const int again = wait_signal(signals, delay.left(clock.now()));
    if (again == SIGTERM || again == SIGINT) {
      log::warning("shutdown_forced");
      exit_now(1);
    }
    if (delay.passed(clock.now())) {
      break;  // not for SIGHUP, which means nothing any more
    }
  }
  const auto answered = std::make_shared<std::atomic<bool>>(false);
  watch_for_second_signal(signals, answered);
  const bool drained = serving.drain(deadline);
  *answered = drained;
  log::info("shutdown_ended", {{"drained", drained}, {"cut_off", serving.in_flight()}});
  if (!drained || !serving.close_admin() || serving.has_overdue_runs()) {
    exit_now(drained ? 0 : 1);  // requests and runs still hold what would be destroyed
  }
  created->reset();
  return 0;
}

/// @errors also what a constructor throws where the system gives no thread or no memory
Result<int> run_guarded(const LoadedConfig& loaded) try {
  return run(loaded);
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::kUnavailable, "there is not enough memory to start");
} catch (const std::system_error& error) {
  return fail(ErrorCode::kUnavailable,
              std::string("the system refused what the server needs: ") + error.what());
}

}  // namespace

Result<int> serve(const LoadedConfig& loaded) {
  crash::install({.build = std::string("podsense ") + build_info().version + " (" +
                           build_info().commit + ")"});
  const crash::Thread me("main");
  auto ended = run_guarded(loaded);
  if (!ended) {
    log::error("serving_failed", {{"reason", ended.error().message}});
  }
  log::flush(kLastLines);
  return ended;
}

}  // namespace podsense::server
