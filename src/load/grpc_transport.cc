#include "load/grpc_transport.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace podsense::load {
namespace {

/// A link that is being connected is looked at anew so often, so that nothing waits longer at the
/// end.
constexpr Duration kWatch = std::chrono::milliseconds(100);
/// How often links that stand are looked at.
constexpr Duration kLook = std::chrono::milliseconds(250);

TimePoint now() {
  return std::chrono::steady_clock::now();
}

gpr_timespec from_now(Duration time) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(time.count(), GPR_TIMESPAN));
}

}  // namespace

/// A channel: one connection, made anew by gRPC when it breaks.
struct GrpcTransport::Link {
  explicit Link(std::shared_ptr<::grpc::Channel> opened)
      : channel(std::move(opened)), stub(channel) {}

  std::shared_ptr<::grpc::Channel> channel;
  ::grpc::GenericStub stub;
  bool ready = false;
  bool first = false;  ///< `open` waits for it
  TimePoint connect_began;
  unsigned calls = 0;
  Event watched{.kind = Event::Kind::kWatched, .owner = this, .happened = {}};

  // To learn why there is no connection: gRPC tells only calls.
  Event probed{.kind = Event::Kind::kProbed, .owner = this, .happened = {}};
  std::unique_ptr<::grpc::ClientContext> probe_context;
  std::unique_ptr<::grpc::GenericClientAsyncResponseReader> probe;
  ::grpc::ByteBuffer probe_answer;
  ::grpc::Status probe_status;
};

struct GrpcTransport::Call {
  Link* link = nullptr;
  std::size_t place = 0;  ///< in `calls_`
  Ticket ticket;
  ::grpc::ClientContext context;
  std::unique_ptr<::grpc::GenericClientAsyncResponseReader> reader;
  ::grpc::ByteBuffer answer;
  ::grpc::Status status;
  std::uint64_t bytes_out = 0;
  int came = 0;  ///< completions; the waiting thread's
  Event first_byte{.kind = Event::Kind::kFirstByte, .owner = this, .happened = {}};
  Event finished{.kind = Event::Kind::kFinished, .owner = this, .happened = {}};
};

std::unique_ptr<Transport> GrpcTransport::create(const GrpcTransportOptions& options,
                                                 boost::asio::io_context& context, Sink& sink) {
  std::unique_ptr<GrpcTransport> transport(new GrpcTransport(options, context, sink));
  transport->waiter_ = std::thread([raw = transport.get()] { raw->wait_for_events(); });
  return transport;
}

GrpcTransport::GrpcTransport(const GrpcTransportOptions& options, boost::asio::io_context& context,
                             Sink& sink)
    : options_(options), context_(context), sink_(sink) {}

GrpcTransport::~GrpcTransport() {
  for (Call* const call : calls_) {
    call->context.TryCancel();
  }
  for (const auto& link : links_) {
    if (link->probe_context) {
      link->probe_context->TryCancel();
    }
  }
  queue_.Shutdown();
  waiter_.join();
  for (Call* const call : calls_) {
    delete call;  // NOLINT(cppcoreguidelines-owning-memory): gRPC holds its address, not an owner
  }
}

// --- gRPC's side: runs on the waiting thread

void GrpcTransport::wait_for_events() {
  void* tag = nullptr;
  bool good = false;
  while (queue_.Next(&tag, &good)) {
    auto* const event = static_cast<Event*>(tag);
    event->happened = now();
    if (event->kind == Event::Kind::kFirstByte || event->kind == Event::Kind::kFinished) {
      // A call may go when both have come.
      auto* const call = static_cast<Call*>(event->owner);
      if (++call->came == 2) {
        hand_over(&call->finished);
      }
    } else {
      hand_over(event);
    }
  }
}

void GrpcTransport::hand_over(Event* event) {
  bool was_empty = false;
  {
    const MutexLock lock(mutex_);
    was_empty = events_.empty();
    events_.push_back(event);
  }
  if (was_empty) {
    boost::asio::post(context_, [this] { drain(); });
  }
}

// --- the event loop's side

void GrpcTransport::drain() {
  std::vector<Event*> events;
  {
    const MutexLock lock(mutex_);
    events.swap(events_);
  }
  for (Event* const event : events) {
    switch (event->kind) {
      case Event::Kind::kFinished:
        finish(*static_cast<Call*>(event->owner));
        break;
      case Event::Kind::kWatched:
        look_at(*static_cast<Link*>(event->owner), event->happened);
        break;
      case Event::Kind::kProbed:
        probed(*static_cast<Link*>(event->owner));
        break;
      case Event::Kind::kFirstByte:
        break;  // its time is all
    }
  }
}

void GrpcTransport::open(std::function<void(Result<void>)> ready) {
  ready_ = std::move(ready);
  opening_ = std::max(1U, options_.connections);
  for (unsigned i = 0, count = opening_; i < count; ++i) {
    add_link().first = true;
  }
}

void GrpcTransport::opened_one(Result<void> result) {
  if (!ready_) {
    return;
  }
  if (!result || --opening_ == 0) {
    const auto ready = std::exchange(ready_, nullptr);
    ready(std::move(result));
  }
}

GrpcTransport::Link& GrpcTransport::add_link() {
  links_.push_back(std::make_unique<Link>(options_.channels->open()));
  connect(*links_.back());
  return *links_.back();
}

void GrpcTransport::connect(Link& link) {
  link.ready = false;
  link.connect_began = now();
  watch(link);
}

void GrpcTransport::watch(Link& link) {
  const grpc_connectivity_state state = link.channel->GetState(true);
  if (state == GRPC_CHANNEL_READY) {
    look_at(link, now());
  } else if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && link.first && ready_) {
    probe(link);
  } else {
    link.channel->NotifyOnStateChange(state, from_now(kWatch), &queue_, &link.watched);
  }
}

void GrpcTransport::look_at(Link& link, TimePoint at) {
  if (closing_) {
    return;
  }
  if (link.channel->GetState(false) != GRPC_CHANNEL_READY) {
    if (link.first && ready_ && at - link.connect_began > options_.timeout) {
      opened_one(fail(ErrorCode::kDeadlineExceeded, "no connection within the time limit"));
    }
    watch(link);
    return;
  }
  link.ready = true;
  sink_.connected(at - link.connect_began);
  if (std::exchange(link.first, false)) {
    opened_one({});
  }
}

void GrpcTransport::probe(Link& link) {
  const ::grpc::Slice empty;
  const ::grpc::ByteBuffer nothing(&empty, 1);
  link.probe_context = std::make_unique<::grpc::ClientContext>();
  link.probe_context->set_deadline(from_now(options_.timeout));
  link.probe = link.stub.PrepareUnaryCall(link.probe_context.get(), "/grpc.health.v1.Health/Check",
                                          nothing, &queue_);
  link.probe->StartCall();
  link.probe->Finish(&link.probe_answer, &link.probe_status, &link.probed);
}

void GrpcTransport::probed(Link& link) {
  if (!link.probe_status.ok() &&
      grpc_error_kind(*link.probe_context, link.probe_status) != ErrorKind::kNone) {
    opened_one(fail(ErrorCode::kUnavailable,
                    options_.channels->reason(link.probe_status.error_message())));
  }
  watch(link);
}

/// The next that has room, one that stands before one that does not.
GrpcTransport::Link* GrpcTransport::choose() {
  Link* waiting = nullptr;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const std::size_t at = (next_ + i) % links_.size();
    Link* const link = links_[at].get();
    if (link->calls >= options_.streams) {
      continue;
    }
    if (link->ready) {
      next_ = at + 1;
      return link;
    }
    waiting = waiting == nullptr ? link : waiting;
  }
  if (waiting != nullptr) {
    return waiting;
  }
  return links_.size() < options_.max_connections ? &add_link() : nullptr;
}

bool GrpcTransport::send(const Ticket& ticket) {
  Link* const link = closing_ ? nullptr : choose();
  if (link == nullptr) {
    return false;
  }
  ++in_flight_;
  auto message = options_.requests->message(ticket.index);
  if (message) {
    start(*link, ticket, *message);
  } else {
    refuse(ticket, message.error().message);
  }
  return true;
}

void GrpcTransport::refuse(const Ticket& ticket, std::string why) {
  boost::asio::post(context_, [this, ticket, why = std::move(why)] {
    --in_flight_;
    const TimePoint at = now();
    sink_.finished({.ticket = ticket,
                    .error = ErrorKind::kProtocol,
                    .first_byte = at,
                    .finished = at,
                    .sample = why});
  });
}

void GrpcTransport::start(Link& link, const Ticket& ticket, const ::grpc::ByteBuffer& message) {
  auto* const call = new Call;  // NOLINT(cppcoreguidelines-owning-memory): `finish` ends it
  call->link = &link;
  call->ticket = ticket;
  call->bytes_out = message.Length();
  call->place = calls_.size();
  calls_.push_back(call);
  ++link.calls;
  call->context.set_deadline(from_now(options_.timeout));
  for (const auto& [key, value] : options_.metadata) {
    call->context.AddMetadata(key, value);
  }
  call->reader =
      link.stub.PrepareUnaryCall(&call->context, options_.requests->method(), message, &queue_);
  call->reader->StartCall();
  call->reader->ReadInitialMetadata(&call->first_byte);
  call->reader->Finish(&call->answer, &call->status, &call->finished);
}

ErrorKind GrpcTransport::why_failed(const Call& call) const {
  const ::grpc::StatusCode code = call.status.error_code();
  // Client and server both watch the deadline, so either may be the one that says so.
  if (code == ::grpc::StatusCode::DEADLINE_EXCEEDED &&
      call.finished.happened - call.ticket.started >= options_.timeout * 19 / 20) {
    return ErrorKind::kTimeout;
  }
  if (code == ::grpc::StatusCode::CANCELLED && closing_) {
    return ErrorKind::kCanceled;
  }
  return grpc_error_kind(call.context, call.status);
}

void GrpcTransport::finish(Call& call) {
  calls_.back()->place = call.place;
  std::swap(calls_[call.place], calls_.back());
  calls_.pop_back();
  --in_flight_;
  --call.link->calls;
  const std::unique_ptr<Call> owned(&call);
  const bool good = call.status.ok();
  const ErrorKind error = why_failed(call);
  const bool answered = error == ErrorKind::kNone;
  std::string said;
  if (!good) {
    said = error == ErrorKind::kConnect || error == ErrorKind::kTls
               ? options_.channels->reason(call.status.error_message())
               : call.status.error_message();
  }
  sink_.finished({.ticket = call.ticket,
                  .error = error,
                  .ok = good,
                  .status = answered ? kGrpcStatus + static_cast<int>(call.status.error_code()) : 0,
                  // Both come at once where headers and message do, in either order.
                  .first_byte = std::min(call.first_byte.happened, call.finished.happened),
                  .finished = call.finished.happened,
                  .bytes_out = call.bytes_out,
                  .bytes_in = good ? call.answer.Length() : 0,
                  .sample = said});
}

void GrpcTransport::check_time(TimePoint at) {
  if (at - last_look_ < kLook || closing_) {
    return;
  }
  last_look_ = at;
  for (const auto& link : links_) {
    // One that stood and does not any more is connected again, so that the next call need not wait.
    if (link->ready && link->channel->GetState(false) != GRPC_CHANNEL_READY) {
      connect(*link);
    }
  }
}

void GrpcTransport::close() {
  closing_ = true;
  for (Call* const call : calls_) {
    call->context.TryCancel();
  }
}

}  // namespace podsense::load
