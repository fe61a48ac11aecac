#include "load/measuring/scrape.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>

#include "base/text.h"
#include "text/numbers.h"

namespace podsense::load {
namespace {

constexpr int kPollMs = 100;
constexpr std::array<double, 16> kBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075,
                                          0.1,    0.25,  0.5,    0.75,  1,    2.5,   5,    10};

void head(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  out.append(name).append(" ").append(type).append("\n");
}

void sample(std::string& out, std::string_view name, auto value) {
  out.append(name).append(" ");
  append_json_number(out, value);
  out.append("\n");
}

void histogram(std::string& out, const std::string& name, std::string_view help,
               const quantiles::DurationHistogram& values) {
  head(out, name, help, "histogram");
  for (const double bound : kBuckets) {
    std::string text = name + "_bucket{le=\"";
    append_json_number(text, bound);
    const Duration limit(static_cast<Duration::rep>(bound * 1e9));
    sample(out, text + "\"}", values.count_to(limit));
  }
  sample(out, name + "_bucket{le=\"+Inf\"}", values.count());
  sample(out, name + "_sum", static_cast<double>(values.sum_ns()) / 1e9);
  sample(out, name + "_count", values.count());
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// Reads one request's head, whatever it is, and answers.
void answer(int client, const ScrapeMetrics& metrics) {
  const timeval limit{.tv_sec = 1, .tv_usec = 0};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  std::string request;
  std::array<char, 2048> buffer;
  while (request.find("\r\n\r\n") == std::string::npos && request.size() < 16 * buffer.size()) {
    const auto got = ::recv(client, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      return;
    }
    request.append(buffer.data(), static_cast<std::size_t>(got));
  }
  const std::string body = metrics.text();
  send_all(client,
           "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n"
           "Content-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
}

struct Listener {
  int socket = -1;
  unsigned port = 0;
};

tl::unexpected<Error> bad_address(const std::string& host, const std::string& port) {
  return fail(ErrorCode::kInvalidArgument,
              "--prometheus '" + host + ":" + port +
                  "': accepted: ADDRESS:PORT or :PORT, a port from 0 to 65535");
}

Result<Listener> open_listener(const std::string& host, const std::string& port) {
  const auto number = text::parse_number(port);
  if (!number || *number < 0 || *number > 65535 || *number != std::floor(*number)) {
    return bad_address(host, port);
  }
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = host.empty() ? AF_INET : AF_UNSPEC;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found) != 0) {
    return bad_address(host, port);
  }
  const int socket = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool bound =
      ::bind(socket, found->ai_addr, found->ai_addrlen) == 0 && ::listen(socket, 16) == 0;
  const int error = errno;
  freeaddrinfo(found);
  if (!bound) {
    ::close(socket);
    return fail(ErrorCode::kUnavailable, "cannot listen on " + host + ":" + port + ": " +
                                             std::generic_category().message(error));
  }
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  std::array<char, NI_MAXSERV> chosen{};
  auto* const address = static_cast<sockaddr*>(static_cast<void*>(&own));
  getsockname(socket, address, &size);
  getnameinfo(address, size, nullptr, 0, chosen.data(), chosen.size(), NI_NUMERICSERV);
  return Listener{.socket = socket, .port = static_cast<unsigned>(std::stoul(chosen.data()))};
}

}  // namespace

void ScrapeMetrics::update(const Recorder::Recent& recent, std::size_t in_flight) {
  const MutexLock lock(mutex_);
  total_.merge(recent);
  in_flight_ = in_flight;
}

std::string ScrapeMetrics::text() const {
  const MutexLock lock(mutex_);
  std::string out;
  const std::string requests = "podsense_load_requests_total";
  head(out, requests, "Requests that ended, by outcome; dropped ones were not sent.", "counter");
  sample(out, requests + R"({outcome="ok"})", total_.ok);
  sample(out, requests + R"({outcome="failed"})", total_.failed);
  sample(out, requests + R"({outcome="dropped"})", total_.dropped);
  head(out, "podsense_load_offered_total", "Requests that were due.", "counter");
  sample(out, "podsense_load_offered_total", total_.offered);
  head(out, "podsense_load_in_flight", "Requests without an answer yet.", "gauge");
  sample(out, "podsense_load_in_flight", in_flight_);
  histogram(out, "podsense_load_latency_seconds",
            "From the moment a request was due to its successful answer.", total_.latency);
  histogram(out, "podsense_load_send_lag_seconds", "How late the generator sent what was due.",
            total_.send_lag);
  return out;
}

Result<std::unique_ptr<ScrapePage>> ScrapePage::listen(std::string_view address,
                                                       const ScrapeMetrics& metrics) {
  const std::size_t colon = address.rfind(':');
  const std::string port(colon == std::string_view::npos ? address : address.substr(colon + 1));
  const std::string host(colon == std::string_view::npos ? "" : address.substr(0, colon));
  auto listener = open_listener(host, port);
  if (!listener) {
    return fail(std::move(listener.error()));
  }
  return std::unique_ptr<ScrapePage>(new ScrapePage(listener->socket, listener->port, metrics));
}

ScrapePage::ScrapePage(int listener, unsigned port, const ScrapeMetrics& metrics)
    : listener_(listener), port_(port), metrics_(metrics) {
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

ScrapePage::~ScrapePage() {
  thread_.request_stop();
  thread_.join();
  ::close(listener_);
}

void ScrapePage::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    pollfd wanted{.fd = listener_, .events = POLLIN, .revents = 0};
    if (::poll(&wanted, 1, kPollMs) > 0) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client >= 0) {
        answer(client, metrics_);
        ::close(client);
      }
    }
  }
}

}  // namespace podsense::load
