#pragma once

/// A web server for tests: loopback, port 0, one blocking thread per connection. It sends exactly
/// the bytes that a test specifies, valid or not.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace podsense::fetch {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

/// A bound socket that does not listen: connections are refused, and nobody else gets the port.
inline std::pair<Socket, std::uint16_t> bind_loopback() {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);  // also 127.0.0.2 etc.
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(socket.fd(), generic, size) != 0 || getsockname(socket.fd(), generic, &size) != 0) {
    throw std::runtime_error("no loopback socket");
  }
  return {std::move(socket), ntohs(address.sin_port)};
}

class TestServer {
 public:
  /// The stream to one client, plain or TLS.
  struct Stream {
    std::function<long(char*, std::size_t)> read;
    std::function<bool(std::string_view)> write;
  };

  class Exchange {
   public:
    Exchange(std::string head, Stream& stream) : head_(std::move(head)), stream_(stream) {}
    [[nodiscard]] const std::string& head() const { return head_; }
    [[nodiscard]] std::string path() const {
      const auto start = head_.find(' ') + 1;
      return head_.substr(start, head_.find(' ', start) - start);
    }
    /// False: the client has gone.
    bool send(std::string_view bytes) { return stream_.write(bytes); }
    void reply(std::string_view status, std::string_view headers, std::string_view body) {
      send("HTTP/1.1 " + std::string(status) + "\r\n" + std::string(headers) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
    }
    void redirect(std::string_view location) {
      reply("302 Found", "Location: " + std::string(location) + "\r\n", "");
    }
    /// Sends nothing until the client leaves or the server stops.
    void hold() {
      char byte = 0;
      while (stream_.read(&byte, 1) > 0) {
      }
    }

   private:
    std::string head_;
    Stream& stream_;
  };

  /// True: keep the connection for another request.
  using Handler = std::function<bool(Exchange&)>;
  /// Runs `talk` over a connection's stream; a TLS server wraps the socket here.
  using Wrapper = std::function<void(int fd, const std::function<void(Stream&)>& talk)>;

  explicit TestServer(Handler handler, Wrapper wrapper = plain)
      : TestServer(std::move(handler), std::move(wrapper), bind_loopback()) {}
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer() {
    shutdown(listener_.fd(), SHUT_RDWR);
    acceptor_.join();
    std::vector<std::thread> threads;
    {
      const MutexLock lock(mutex_);
      for (const Socket& socket : connections_) {
        shutdown(socket.fd(), SHUT_RDWR);
      }
      threads.swap(threads_);
    }
    for (auto& thread : threads) {
      thread.join();
    }
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(std::string_view path, std::string_view host = "127.0.0.1") const {
    return "http://" + std::string(host) + ":" + std::to_string(port_) + std::string(path);
  }
  [[nodiscard]] std::vector<std::string> heads() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return heads_;
  }
  [[nodiscard]] std::size_t connections() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return connections_.size();
  }
  void wait_for_requests(std::size_t count) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (heads_.size() < count) {
      changed_.wait(mutex_);
    }
  }

 private:
  TestServer(Handler handler, Wrapper wrapper, std::pair<Socket, std::uint16_t> bound)
      : handler_(std::move(handler)),
        wrapper_(std::move(wrapper)),
        listener_(std::move(bound.first)),
        port_(bound.second) {
    listen(listener_.fd(), 128);
    acceptor_ = std::thread([this] { accept_all(); });
  }

  static void plain(int fd, const std::function<void(Stream&)>& talk) {
    Stream stream{.read = [fd](char* to, std::size_t size) { return recv(fd, to, size, 0); },
                  .write =
                      [fd](std::string_view bytes) {
                        while (!bytes.empty()) {
                          const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
                          if (sent <= 0) {
                            return false;
                          }
                          bytes.remove_prefix(static_cast<std::size_t>(sent));
                        }
                        return true;
                      }};
    talk(stream);
  }

  void accept_all() {
    while (true) {
      const int fd = accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) {
        return;
      }
      const MutexLock lock(mutex_);
      connections_.emplace_back(fd);  // closed with the server, so that no descriptor is reused
      threads_.emplace_back([this, fd] {
        wrapper_(fd, [this](Stream& stream) { serve(stream); });
        shutdown(fd, SHUT_RDWR);
      });
    }
  }

  void serve(Stream& stream) {
    while (true) {
      std::string head;
      char byte = 0;
      while (!head.ends_with("\r\n\r\n")) {
        if (stream.read(&byte, 1) <= 0) {
          return;
        }
        head += byte;
      }
      {
        const MutexLock lock(mutex_);
        heads_.push_back(head);
        changed_.notify_all();
      }
      Exchange exchange(std::move(head), stream);
      if (!handler_(exchange)) {
        return;
      }
    }
  }

  const Handler handler_;
  const Wrapper wrapper_;
  const Socket listener_;
  const std::uint16_t port_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> heads_ GUARDED_BY(mutex_);
  std::vector<Socket> connections_ GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace podsense::fetch
