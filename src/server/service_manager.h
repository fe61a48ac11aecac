#pragma once

/// The protocols of systemd and compatible service managers: reports states over a datagram socket
/// (sd_notify(3)) and takes listening sockets by descriptor (sd_listen_fds(3)). Does nothing
/// without a service manager. Private to this module.
/// @source sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3); docs/adr/0066

#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::server {

/// @threads thread-safe
class ServiceManager {
 public:
  /// `get` returns an environment variable or null; tests pass their own. NOTIFY_SOCKET: a path, or
  /// "@NAME" for an abstract socket. WATCHDOG_USEC, WATCHDOG_PID.
  template <class Get>
  static ServiceManager from(const Get& get) {
    const auto text = [&get](const char* name) {
      const char* value = get(name);
      return std::string(value == nullptr ? "" : value);
    };
    return {text("NOTIFY_SOCKET"), text("WATCHDOG_USEC"), text("WATCHDOG_PID")};
  }
  static ServiceManager from_environment();

  /// Sends lines of NAME=VALUE. A fault is logged once.
  void tell(std::string_view state) const;
  void ready() const { tell("READY=1\nSTATUS=serving"); }
  /// Reports "reloading" until the next `ready`.
  void reloading() const;
  void stopping() const { tell("STOPPING=1\nSTATUS=draining"); }
  /// Reports "alive" if the manager has a watchdog. Call it once per second.
  void alive() const;

  /// The maximum time between calls of `alive`. Zero: no watchdog.
  [[nodiscard]] Duration watchdog() const { return watchdog_; }

 private:
  ServiceManager(std::string socket, const std::string& watchdog_us,
                 const std::string& watchdog_pid);

  std::string socket_;  ///< empty: no service manager
  Duration watchdog_{};
};

/// Listening TCP sockets by port name: "http", "grpc", "admin".
using ListenSockets = std::map<std::string, int, std::less<>>;

/// LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES. A single socket with another name is "http". Empty if
/// none are passed to this process. They are closed in child processes.
/// @errors kInvalidArgument: unknown or duplicate name, or a descriptor that is not a listening TCP
/// socket
Result<ListenSockets> inherited_sockets();

}  // namespace podsense::server
