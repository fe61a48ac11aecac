#include "load/clients/http_transport.h"

#include <algorithm>

namespace podsense::load {
namespace {

constexpr Duration kLeastSettling = std::chrono::milliseconds(20);
constexpr Duration kMostSettling = std::chrono::seconds(1);

}  // namespace

Result<std::unique_ptr<Transport>> HttpTransport::create(const HttpTransportOptions& options,
                                                         boost::asio::io_context& context,
                                                         Sink& sink) {
  auto requests = HttpRequests::create(options.request);
  if (!requests) {
    return fail(std::move(requests.error()));
  }
  auto destination =
      Destination::create(options.endpoints, options.first_endpoint, name_in_tls(options.request),
                          options.request.url.tls, options.tls);
  if (!destination) {
    return fail(std::move(destination.error()));
  }
  return std::unique_ptr<Transport>(
      new HttpTransport(options, std::move(*requests), std::move(*destination), context, sink));
}

HttpTransport::HttpTransport(const HttpTransportOptions& options, HttpRequests requests,
                             Destination destination, boost::asio::io_context& context, Sink& sink)
    : context_(context),
      sink_(sink),
      shared_{.requests = std::move(requests),
              .destination = std::move(destination),
              .keep_alive = options.request.keep_alive,
              .timeout = options.timeout,
              .expect = options.expect,
              .url = options.request.url,
              .redirects = options.redirects},
      wanted_(options.request.keep_alive ? options.connections : 0),
      most_(options.max_connections),
      settled_(context) {}

HttpTransport::~HttpTransport() = default;

void HttpTransport::open(std::function<void(Result<void>)> ready) {
  ready_ = std::move(ready);
  // Without keep-alive one connection shows that the server is there; it is not used.
  opening_ = std::max(1U, wanted_);
  const unsigned count = opening_;
  for (unsigned i = 0; i < count; ++i) {
    add(nullptr);
  }
}

void HttpTransport::opened_one(Result<void> result) {
  if (!ready_ || (result && opening_ == 0)) {  // `ready_` will be called by `settle`
    return;
  }
  if (result) {
    --opening_;
    if (opening_ > 0) {
      return;
    }
    if (shared_.destination.tls) {
      settle();
      return;
    }
  }
  std::exchange(ready_, nullptr)(std::move(result));
}

/// With TLS 1.3 a server judges the client's certificate when the client is through with its
/// handshake: that takes about as long again to be heard, and is better said before the run.
void HttpTransport::settle() {
  settled_.expires_after(std::clamp(slowest_open_, kLeastSettling, kMostSettling));
  settled_.async_wait([this](const boost::system::error_code& error) {
    if (!error && ready_) {
      std::exchange(ready_, nullptr)({});
    }
  });
}

/// The last one used is the warmest; with several addresses the one that rested longest has its
/// turn, so that all of them get their share.
HttpConnection* HttpTransport::take_free() {
  HttpConnection* connection = nullptr;
  if (shared_.destination.endpoints.size() > 1) {
    connection = free_.front();
    free_.pop_front();
  } else {
    connection = free_.back();
    free_.pop_back();
  }
  return connection;
}

void HttpTransport::add(const RequestTicket* ticket) {
  auto connection = std::make_shared<HttpConnection>(context_, shared_, *this);
  connection->place = all_.size();
  all_.push_back(connection);
  if (ticket == nullptr) {
    spare_.push_back(connection.get());
  }
  connection->connect(ticket);
}

void HttpTransport::remove(HttpConnection& connection) {
  std::erase(free_, &connection);
  std::erase(spare_, &connection);
  all_.back()->place = connection.place;
  std::swap(all_[connection.place], all_.back());
  all_.pop_back();
}

bool HttpTransport::send(const RequestTicket& ticket) {
  if (closing_) {
    return false;
  }
  while (!free_.empty()) {
    HttpConnection* const connection = take_free();
    if (connection->is_alive(ticket.started)) {
      ++in_flight_;
      connection->send(ticket);
      return true;
    }
    connection->end(ErrorKind::kClosed, {});
  }
  // One that is on its way will be there sooner than one that is begun now.
  if (!spare_.empty()) {
    HttpConnection* const connection = spare_.back();
    spare_.pop_back();
    ++in_flight_;
    connection->send(ticket);
    return true;
  }
  if (all_.size() >= most_) {
    return false;
  }
  ++in_flight_;
  add(&ticket);
  return true;
}

void HttpTransport::check_time(TimePoint now) {
  // Backwards, since one that ends puts the last into its place.
  for (std::size_t i = all_.size(); i-- > 0;) {
    if (i < all_.size()) {
      all_[i]->check_time(now);
    }
  }
}

void HttpTransport::close() {
  closing_ = true;
  while (!all_.empty()) {
    all_.back()->end(ErrorKind::kCanceled, {});
  }
}

void HttpTransport::connection_open(HttpConnection& connection, Duration took) {
  sink_.connected(took);
  std::erase(spare_, &connection);
  if (connection.is_free()) {
    free_.push_back(&connection);
  }
  slowest_open_ = std::max(slowest_open_, took);
  opened_one({});
}

void HttpTransport::connection_refused(HttpConnection& connection, ErrorKind kind,
                                       const std::string& why) {
  remove(connection);
  opened_one(fail(
      kind == ErrorKind::kTimeout ? ErrorCode::kDeadlineExceeded : ErrorCode::kUnavailable, why));
}

void HttpTransport::request_finished(HttpConnection& connection, const RequestOutcome& outcome) {
  --in_flight_;
  if (connection.is_free()) {
    free_.push_back(&connection);
  }
  sink_.finished(outcome);
}

// What the server closes is opened again at once, so that the next request need not wait for it.
void HttpTransport::connection_closed(HttpConnection& connection) {
  remove(connection);
  if (!closing_ && all_.size() < wanted_) {
    add(nullptr);
  }
}

}  // namespace podsense::load
