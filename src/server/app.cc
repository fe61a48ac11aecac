#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <semaphore>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/crash.h"
#include "base/log.h"
#include "base/thread_limit.h"
#include "server/build_info.h"
#include "server/guard.h"
#include "server/options.h"
#include "server/service_manager.h"
#include "server/serving.h"
#include "transport/message.h"

namespace podsense::server {
namespace {

/// Blocks of at least this size are returned to the system as soon as they are freed. By default
/// glibc raises this threshold up to 32 MiB while models are loaded and unloaded; then weights are
/// in the heap between small allocations, which keep it from shrinking.
constexpr int kMappedBlock = 4 * 1024 * 1024;

void return_large_blocks() {
#ifdef __GLIBC__
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads
  mallopt(M_MMAP_THRESHOLD, kMappedBlock);
#endif
}

/// The minimum stack size, for deeply nested graphs. Threads get the size of `ulimit -s`, or only 2
/// MiB if that is "unlimited". Untouched stack memory costs nothing.
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

/// The interval at which the main thread checks whether the first load has ended.
constexpr Duration kLoadCheck = std::chrono::milliseconds(20);

/// The maximum time to write the last log lines at exit.
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

/// The signal to stop, and when it arrived.
struct Stop {
  int signal = 0;
  TimePoint at{};

  /// Whether `got` is a second signal, which exits at once. Wrappers such as `timeout` send a
  /// signal to the child and to its group, so the same signal within a second does not count.
  [[nodiscard]] bool insisted(int got, TimePoint now) const {
    constexpr Duration kSame = std::chrono::seconds(1);
    return (got == SIGTERM || got == SIGINT) && (got != signal || now - at >= kSame);
  }
};

void reload(Serving& serving, const ServiceManager& manager) {
  log::info("reload_requested", {{"by", "SIGHUP"}});
  manager.reloading();
  serving.reload([manager] { manager.ready(); });
}

/// Waits for the signal to stop; SIGHUP reloads. @errors kUnavailable: nothing can be served
Result<Stop> wait_for_stop(Serving& serving, const sigset_t& set, bool reload_signal,
                           const ServiceManager& manager) {
  const SteadyClock clock;
  for (bool loaded = false;;) {
    const int got = wait_signal(set, loaded ? Duration(std::chrono::hours(1)) : kLoadCheck);
    if (const auto first = loaded || got != 0 ? std::nullopt : serving.first_load()) {
      loaded = true;
      if (!*first) {
        return fail(first->error());
      }
      manager.ready();
    }
    if (got == SIGHUP) {
      if (reload_signal) {
        reload(serving, manager);
      }
    } else if (got != 0) {
      log::info("shutdown_began", {{"signal", got == SIGINT ? "SIGINT" : "SIGTERM"},
                                   {"in_flight", serving.in_flight()}});
      return Stop{.signal = got, .at = clock.now()};
    }
  }
}

/// Waits for a second signal during the drain. Its thread is created at start, because the system
/// may have no threads left later.
class SecondSignal {
 public:
  /// @errors kUnavailable: no thread
  Result<void> start(const sigset_t& set) try {
    std::thread([set, shared = shared_] { watch(set, *shared); }).detach();
    return {};
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kUnavailable, "no thread for signals: " + thread_refusal(error));
  }
  void watch_from_now(const Stop& stop) {
    shared_->stop = stop;
    shared_->draining.release();
  }
  /// If all requests are answered, a second signal exits with code 0 instead of 1.
  void set_answered(bool answered) { shared_->answered = answered; }

 private:
  /// The thread may outlive `main`, so it only uses this shared state.
  struct Shared {
    Stop stop;
    std::binary_semaphore draining{0};
    std::atomic<bool> answered = false;
  };
  [[noreturn]] static void watch(const sigset_t& set, Shared& shared) {
    const SteadyClock clock;
    shared.draining.acquire();
    for (;;) {
      if (!shared.stop.insisted(wait_signal(set, std::chrono::hours(1)), clock.now())) {
        continue;
      }
      if (shared.answered) {
        exit_now(0);
      }
      log::warning("shutdown_forced");
      exit_now(1);
    }
  }

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

/// The addresses as in URLs; empty: no such port.
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

/// True: all requests were answered.
bool drain(Serving& serving, const Config& config, const sigset_t& signals, const Stop& stop,
           SecondSignal& second) {
  const SteadyClock clock;
  const Deadline deadline = Deadline::after(clock.now(), config.shutdown.drain_timeout);
  serving.announce();
  const Deadline delay = Deadline::after(
      clock.now(), std::min(config.shutdown.drain_delay, deadline.left(clock.now())));
  for (;;) {
    if (stop.insisted(wait_signal(signals, delay.left(clock.now())), clock.now())) {
      log::warning("shutdown_forced");
      exit_now(1);
    }
    if (delay.passed(clock.now())) {
      break;  // SIGHUP is ignored now
    }
  }
  second.watch_from_now(stop);
  const bool drained = serving.drain(deadline);
  second.set_answered(drained);
  log::info("shutdown_ended", {{"drained", drained}, {"cut_off", serving.in_flight()}});
  return drained;
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
  const ServiceManager manager = ServiceManager::from_environment();
  auto sockets = inherited_sockets();
  if (!sockets) {
    return fail(std::move(sockets.error()));
  }
  SecondSignal second;
  if (auto started = second.start(signals); !started) {
    return fail(std::move(started.error()));
  }
  auto created = Serving::create(config, {.manager = &manager, .sockets = std::move(*sockets)});
  if (!created) {
    return fail(std::move(created.error()));
  }
  Serving& serving = **created;
  if (auto started = serving.start(); !started) {
    return fail(std::move(started.error()));
  }
  log_start(serving, config);
  warn_unauthenticated(config, serving.guard());
  if (auto written = serving.write_ports_file(); !written) {
    return fail(std::move(written.error()));
  }
  const auto stop = wait_for_stop(serving, signals, config.models.reload_signal, manager);
  if (!stop) {
    return fail(stop.error());
  }
  manager.stopping();
  const bool drained = drain(serving, config, signals, *stop, second);
  if (!drained || !serving.close_admin() || serving.has_overdue_runs()) {
    exit_now(drained ? 0 : 1);  // requests and runs still use objects that would be destroyed
  }
  created->reset();
  return 0;
}

/// @errors also exceptions of constructors, such as a lack of threads or memory
Result<int> run_guarded(const LoadedConfig& loaded) try {
  return run(loaded);
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::kUnavailable, "there is not enough memory to start");
} catch (const std::system_error& error) {
  const bool thread = error.code() == std::errc::resource_unavailable_try_again;
  return fail(ErrorCode::kUnavailable,
              thread ? "no thread for the server: " + thread_refusal(error)
                     : std::string("the system refused what the server needs: ") + error.what());
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
