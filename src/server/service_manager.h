#pragma once

/// What systemd, or another service manager that speaks its protocols, gets and gives: states
/// over a datagram socket (sd_notify(3)), listening sockets by descriptor (sd_listen_fds(3)).
/// Without one everything here does nothing. Private to this module.
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
  /// `get` gives a variable of the environment or null; tests give their own.
  /// NOTIFY_SOCKET: a path, or "@NAME" for an abstract socket. WATCHDOG_USEC, WATCHDOG_PID.
  template <class Get>
  static ServiceManager from(const Get& get) {
    const auto text = [&get](const char* name) {
      const char* value = get(name);
      return std::string(value == nullptr ? "" : value);
    };
    return {text("NOTIFY_SOCKET"), text("WATCHDOG_USEC"), text("WATCHDOG_PID")};
  }
  static ServiceManager from_environment();

  /// Lines of NAME=VALUE. A fault is logged once.
  void tell(std::string_view state) const;
  void ready() const { tell("READY=1\nSTATUS=serving"); }
  /// Until the next `ready`.
  void reloading() const;
  void stopping() const { tell("STOPPING=1\nSTATUS=draining"); }
  /// "Alive": only where the manager waits for it. Call it once a second.
  void alive() const;

  /// Within this it must hear of `alive`. Zero: it does not wait.
  [[nodiscard]] Duration watchdog() const { return watchdog_; }

 private:
  ServiceManager(std::string socket, const std::string& watchdog_us,
                 const std::string& watchdog_pid);

  std::string socket_;  ///< empty: there is nobody to tell
  Duration watchdog_{};
};

/// Listening TCP sockets by the port that they are for: "http", "grpc", "admin".
using ListenSockets = std::map<std::string, int, std::less<>>;

/// LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES. A single socket of another name is "http".
/// None where there are none for this process. They are closed in children.
/// @errors kInvalidArgument: a name that is no port's, or one twice; a descriptor that is no
///         listening TCP socket
Result<ListenSockets> inherited_sockets();

}  // namespace podsense::server
