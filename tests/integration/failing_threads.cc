// Preloaded into a server: the system has no more threads, or takes no filter on a socket
// (FAIL_FILTERS), as under gVisor. From the nth thread on (FAIL_THREADS_FROM), or
// as long as a file exists (FAIL_THREADS_WHILE), pthread_create fails as it does at a limit. Root
// is bound by no RLIMIT_NPROC, so this is how it is tried.
#include <dlfcn.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {

bool must_fail() {
  static std::atomic<int> made{0};
  const char* from = std::getenv("FAIL_THREADS_FROM");      // NOLINT(concurrency-mt-unsafe)
  const char* as_long = std::getenv("FAIL_THREADS_WHILE");  // NOLINT(concurrency-mt-unsafe)
  const int number = ++made;
  return (from != nullptr && number >= std::atoi(from)) ||  // NOLINT(cert-err34-c)
         (as_long != nullptr && ::access(as_long, F_OK) == 0);
}

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*run)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): what dlsym gives
  static const auto real = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  return must_fail() ? EAGAIN : real(thread, attributes, run, argument);
}

extern "C" int setsockopt(int socket, int level, int name, const void* value,
                          socklen_t size) noexcept {
  using Set = int (*)(int, int, int, const void*, socklen_t);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): what dlsym gives
  static const auto real = reinterpret_cast<Set>(::dlsym(RTLD_NEXT, "setsockopt"));
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (name == SO_ATTACH_FILTER && std::getenv("FAIL_FILTERS") != nullptr) {
    errno = EPERM;
    return -1;
  }
  return real(socket, level, name, value, size);
}

extern "C" int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                           const posix_spawnattr_t* attributes, char* const* argv,
                           char* const* environment) {
  using Spawn = int (*)(pid_t*, const char*, const posix_spawn_file_actions_t*,
                        const posix_spawnattr_t*, char* const*, char* const*);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): what dlsym gives
  static const auto real = reinterpret_cast<Spawn>(::dlsym(RTLD_NEXT, "posix_spawn"));
  const bool fails = std::getenv("FAIL_SPAWN") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  return fails ? EAGAIN : real(pid, path, actions, attributes, argv, environment);
}
