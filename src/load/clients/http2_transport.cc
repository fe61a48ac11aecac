#include "load/clients/http2_transport.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace podsense::load {
namespace {

/// So often one of the connections that were lost is opened again.
constexpr Duration kRestore = std::chrono::milliseconds(50);

}  // namespace

Result<Http2Shared> make_http2_shared(const Http2TransportOptions& options) {
  auto destination = Destination::create(options.endpoints, options.first_endpoint, options.host,
                                         options.with_tls, options.tls);
  if (!destination) {
    return fail(std::move(destination.error()));
  }
  destination->alpn = "h2";
  return Http2Shared{.destination = std::move(*destination),
                     .messages = options.messages,
                     .timeout = options.timeout,
                     .streams = options.keep_alive ? options.streams : 1,
                     .keep_alive = options.keep_alive};
}

Result<std::unique_ptr<Transport>> Http2Transport::create(const Http2TransportOptions& options,
                                                          boost::asio::io_context& context,
                                                          Sink& sink) {
  auto shared = make_http2_shared(options);
  if (!shared) {
    return fail(std::move(shared.error()));
  }
  return std::unique_ptr<Transport>(new Http2Transport(options, std::move(*shared), context, sink));
}

Http2Transport::Http2Transport(const Http2TransportOptions& options, Http2Shared shared,
                               boost::asio::io_context& context, Sink& sink)
    : context_(context),
      sink_(sink),
      shared_(std::move(shared)),
      wanted_(options.keep_alive ? options.connections : 0),
      most_(options.max_connections) {}

Http2Transport::~Http2Transport() = default;

void Http2Transport::open(std::function<void(Result<void>)> ready) {
  ready_ = std::move(ready);
  // Without keep-alive one connection shows that the server is there.
  opening_ = std::max(1U, wanted_);
  for (unsigned i = 0, count = opening_; i < count; ++i) {
    add();
  }
}

void Http2Transport::opened_one(Result<void> result) {
  if (ready_ && (!result || --opening_ == 0)) {
    const auto ready = std::exchange(ready_, nullptr);
    ready(std::move(result));
  }
}

Http2Connection* Http2Transport::add() {
  const auto link = std::make_shared<Http2Connection>(context_, shared_, *this);
  put(links_, link);
  link->connect();
  return link.get();
}

void Http2Transport::put(Connections& list, std::shared_ptr<Http2Connection> connection) {
  connection->place = list.size();
  list.push_back(std::move(connection));
}

std::shared_ptr<Http2Connection> Http2Transport::take(Connections& list, std::size_t place) {
  std::swap(list[place], list.back());
  list[place]->place = place;
  auto taken = std::move(list.back());
  list.pop_back();
  return taken;
}

/// The next that has room, one that stands before one that does not.
Http2Connection* Http2Transport::choose() {
  Http2Connection* waiting = nullptr;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const std::size_t at = (next_ + i) % links_.size();
    Http2Connection* const link = links_[at].get();
    if (!link->has_room()) {
      continue;
    }
    if (link->is_open()) {
      next_ = at + 1;
      crowded_ = i > 0;
      return link;
    }
    waiting = waiting == nullptr ? link : waiting;
  }
  crowded_ = true;
  if (waiting != nullptr) {
    return waiting;
  }
  return links_.size() < most_ ? add() : nullptr;
}

bool Http2Transport::send(const RequestTicket& ticket) {
  Http2Connection* const link = closing_ ? nullptr : choose();
  if (link == nullptr) {
    return false;
  }
  ++in_flight_;
  auto request = shared_.messages->request(ticket.index);
  if (request) {
    link->send(std::make_unique<Http2Exchange>(ticket, std::move(*request),
                                               shared_.messages->answer(ticket.index)));
  } else {
    refuse(ticket, request.error().message);
  }
  return true;
}

void Http2Transport::refuse(const RequestTicket& ticket, std::string why) {
  boost::asio::post(context_, [this, ticket, why = std::move(why)] {
    --in_flight_;
    const TimePoint at = std::chrono::steady_clock::now();
    sink_.finished({.ticket = ticket,
                    .error = ErrorKind::kProtocol,
                    .first_byte = at,
                    .finished = at,
                    .sample = why});
  });
}

void Http2Transport::check_time(TimePoint now) {
  // After a restart of the server the load shall be on as many connections as before.
  if (!ready_ && !closing_ && links_.size() < wanted_ && now - restored_ >= kRestore) {
    restored_ = now;
    add();
  }
  // Backwards, and over copies of the pointers: one that ends changes the lists.
  for (Connections* const list : {&links_, &leaving_}) {
    for (std::size_t i = list->size(); i-- > 0;) {
      if (i < list->size()) {
        const auto link = (*list)[i];
        link->check_time(now);
      }
    }
  }
}

void Http2Transport::close() {
  closing_ = true;
  for (Connections* const list : {&links_, &leaving_}) {
    while (!list->empty()) {
      const auto link = list->back();
      link->end(ErrorKind::kCanceled, {});
    }
  }
}

void Http2Transport::remove(const Http2Connection& connection) {
  const bool is_link =
      connection.place < links_.size() && links_[connection.place].get() == &connection;
  take(is_link ? links_ : leaving_, connection.place);
}

/// What the server closes is opened again at once, so that the next request need not wait for it;
/// but not one that was of no use, lest the server be flooded with connections.
void Http2Transport::replace(const Http2Connection& lost) {
  if (!closing_ && links_.size() < wanted_ && lost.has_answered()) {
    add();
  }
}

void Http2Transport::connection_leaving(Http2Connection& connection) {
  put(leaving_, take(links_, connection.place));
  replace(connection);
}

void Http2Transport::connection_open(Http2Connection& /*connection*/, Duration took) {
  sink_.connected(took);
  opened_one({});
}

void Http2Transport::connection_refused(Http2Connection& connection, const ConnectFailure& why) {
  remove(connection);
  opened_one(
      fail(why.kind == ErrorKind::kTimeout ? ErrorCode::kDeadlineExceeded : ErrorCode::kUnavailable,
           why.why));
}

void Http2Transport::connection_closed(Http2Connection& connection) {
  remove(connection);
  replace(connection);
}

void Http2Transport::exchange_finished(Http2Connection& connection, const RequestOutcome& outcome) {
  --in_flight_;
  // A closed loop asks again at once, and has room here; all others may be full.
  if (crowded_ && connection.is_open()) {
    next_ = connection.place;
  }
  sink_.finished(outcome);
}

void Http2Transport::exchange_again(Http2Connection& connection,
                                    std::unique_ptr<Http2Exchange> exchange) {
  if (Http2Connection* const link = closing_ ? nullptr : choose()) {
    link->send(std::move(exchange));
    return;
  }
  exchange_finished(connection,
                    Http2Connection::failed_as(
                        *exchange, closing_ ? ErrorKind::kCanceled : ErrorKind::kClosed,
                        "the server did not take the request, and no other connection is free"));
}

}  // namespace podsense::load
