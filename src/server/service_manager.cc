#include "server/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

#include "base/log.h"

namespace podsense::server {
namespace {

constexpr int kFirstSocket = 3;  ///< SD_LISTEN_FDS_START
template <class Number>
std::optional<Number> whole(std::string_view text) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(out)
                                                                  : std::nullopt;
}

/// Sends `state`; returns errno or 0.
int send_to(const std::string& socket, std::string_view state) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() > sizeof address.sun_path || (socket[0] != '/' && socket[0] != '@')) {
    return EINVAL;  // only paths and abstract names are supported
  }
  std::ranges::copy(socket, address.sun_path);
  const bool abstract = socket[0] == '@';
  if (abstract) {
    address.sun_path[0] = '\0';
  }
  // A path of maximum length has no terminating zero to count.
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                             std::min(socket.size() + (abstract ? 0 : 1), sizeof address.sun_path));
  const int sender = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sender < 0) {
    return errno;
  }
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): as the socket API has it
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  const ssize_t sent =
      ::sendto(sender, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT, to, size);
  const int error = sent < 0 ? errno : 0;
  ::close(sender);
  return error;
}

Error wrong(int descriptor, const std::string& name, const std::string& what) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = "socket activation: descriptor " + std::to_string(descriptor) + " ('" + name +
                     "') " + what};
}

bool listens_tcp(int descriptor) {
  const auto option = [descriptor](int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
  };
  const int domain = option(SO_DOMAIN);
  return option(SO_ACCEPTCONN) == 1 && option(SO_TYPE) == SOCK_STREAM &&
         (domain == AF_INET || domain == AF_INET6);
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const auto colon = std::min(text.find(':'), text.size());
    names.emplace_back(text.substr(0, colon));
    text.remove_prefix(std::min(colon + 1, text.size()));
  }
  return names;
}

const char* variable(const char* name) {
  return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
  return from(variable);
}

ServiceManager::ServiceManager(std::string socket, const std::string& watchdog_us,
                               const std::string& watchdog_pid)
    : socket_(std::move(socket)) {
  const auto us = whole<std::uint64_t>(watchdog_us);
  const bool mine = watchdog_pid.empty() || whole<pid_t>(watchdog_pid) == ::getpid();
  constexpr std::uint64_t kMost = 1ULL << 50U;
  if (us && *us > 0 && *us < kMost && mine && !socket_.empty()) {
    watchdog_ = std::chrono::microseconds(*us);
  }
}

void ServiceManager::tell(std::string_view state) const {
  if (socket_.empty()) {
    return;
  }
  if (const int error = send_to(socket_, state); error != 0) {
    static std::atomic_flag told;
    if (!told.test_and_set()) {
      log::warning("service_manager_unreachable",
                   {{"path", socket_}, {"reason", std::generic_category().message(error)}});
    }
  }
}

void ServiceManager::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  constexpr std::int64_t kMicro = 1'000'000;
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * kMicro + now.tv_nsec / 1000) +
       "\nSTATUS=reloading");
}

void ServiceManager::alive() const {
  if (watchdog_ > Duration::zero()) {
    tell("WATCHDOG=1");
  }
}

Result<ListenSockets> inherited_sockets() {
  const auto text = [](const char* name) {
    const char* value = variable(name);
    return std::string(value == nullptr ? "" : value);
  };
  const auto count = whole<int>(text("LISTEN_FDS"));
  if (!count || *count <= 0 || whole<pid_t>(text("LISTEN_PID")) != ::getpid()) {
    return ListenSockets();
  }
  constexpr std::array<std::string_view, 3> kPorts{"http", "grpc", "admin"};
  std::vector<std::string> names = split_names(text("LISTEN_FDNAMES"));
  names.resize(static_cast<std::size_t>(std::min(*count, 64)), "unknown");
  if (*count == 1 && std::ranges::find(kPorts, names[0]) == kPorts.end()) {
    names[0] = "http";
  }
  ListenSockets sockets;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const int descriptor = kFirstSocket + static_cast<int>(i);
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    if (std::ranges::find(kPorts, names[i]) == kPorts.end()) {
      return fail(
          wrong(descriptor, names[i],
                "has the name of no port; FileDescriptorName= must be http, grpc or admin"));
    }
    if (!listens_tcp(descriptor)) {
      return fail(wrong(descriptor, names[i], "is no listening TCP socket"));
    }
    if (!sockets.emplace(names[i], descriptor).second) {
      return fail(wrong(descriptor, names[i], "is the second of that name"));
    }
  }
  return sockets;
}

}  // namespace podsense::server
