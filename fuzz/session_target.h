#pragma once

/// A real server on a loopback port of its own, for the whole run of a fuzz target, and one
/// exchange of bytes with it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "transport/server.h"

namespace podsense::fuzz {

class SessionTarget {
 public:
  /// `router` outlives it.
  explicit SessionTarget(const transport::Router& router) {
    log::configure(log::Level::kOff, log::Format::kJson);
    server_ = std::move(*transport::Server::create({.hosts = {"127.0.0.1"},
                                                    .max_header_bytes = 2048,
                                                    .max_inflated_bytes = 8192,
                                                    .cors_origins = {"https://example.com"}},
                                                   router, registry_, clock_));
    server_->start();
  }

  /// Sends `bytes` and that no more will come; what comes back.
  std::string exchange(std::string_view bytes) {
    const int peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // The port is chosen when connecting, so that every address has all of them.
    const int late = 1;
    ::setsockopt(peer, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const sockaddr_in from = loopback(2 + exchanges_++ % 200, 0);
    const sockaddr_in to = loopback(1, server_->port());
    if (::bind(peer, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0 ||
        !connect_to(peer, to)) {
      std::perror("no connection to the server under test");
      std::abort();
    }
    while (!bytes.empty()) {
      const ssize_t sent = ::send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) {
        continue;
      }
      if (sent <= 0) {
        break;  // refused half-way: the answer is still to be read
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    ::shutdown(peer, SHUT_WR);
    std::string answer = read_all(peer);
    ::close(peer);
    return answer;
  }

 private:
  static std::string read_all(int peer) {
    std::string answer;
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(peer, piece, sizeof piece, 0)) != 0;) {
      if (got < 0) {
        if (errno == EINTR) {
          continue;
        }
        if (errno == EAGAIN) {
          std::abort();  // a connection that never ends
        }
        break;
      }
      answer.append(piece, static_cast<std::size_t>(got));
    }
    return answer;
  }

  /// libFuzzer's timer interrupts: what was begun then goes on by itself.
  static bool connect_to(int peer, const sockaddr_in& to) {
    if (::connect(peer, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
      return true;
    }
    if (errno != EINTR) {
      return false;
    }
    pollfd ready{.fd = peer, .events = POLLOUT, .revents = 0};
    while (::poll(&ready, 1, -1) < 0 && errno == EINTR) {
    }
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(peer, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    return error == 0;
  }

  /// 127.0.0.`host`. Thousands of exchanges a second leave as many ports waiting for a minute:
  /// from one address they would run out.
  static sockaddr_in loopback(std::uint32_t host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00U) + host);
    return address;
  }

  std::uint32_t exchanges_ = 0;
  SteadyClock clock_;
  metrics::Registry registry_;
  std::unique_ptr<transport::Server> server_;
};

}  // namespace podsense::fuzz
