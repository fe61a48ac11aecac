#pragma once

/// gRPC connections that carry unary calls, so many on each at a time; when all are full another is
/// opened, up to a limit. A call is sent once and never again.

#include <grpcpp/completion_queue.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "load/grpc_channel.h"
#include "load/grpc_requests.h"
#include "load/transport.h"

namespace podsense::load {

struct GrpcTransportOptions {
  std::shared_ptr<const GrpcChannels> channels;
  std::shared_ptr<const GrpcRequests> requests;
  std::vector<std::pair<std::string, std::string>> metadata;
  unsigned connections = 1;  ///< opened ahead
  unsigned max_connections = 1000;
  unsigned streams = 100;  ///< calls on a connection at a time
  Duration timeout = std::chrono::seconds(20);
};

/// Beside the event loop's thread one more waits for gRPC's completions, takes the time of each and
/// hands them over.
class GrpcTransport final : public Transport {
 public:
  static std::unique_ptr<Transport> create(const GrpcTransportOptions& options,
                                           boost::asio::io_context& context, Sink& sink);
  ~GrpcTransport() override;

  void open(std::function<void(Result<void>)> ready) override;
  bool send(const Ticket& ticket) override;
  void check_time(TimePoint now) override;
  void close() override;
  [[nodiscard]] std::size_t in_flight() const override { return in_flight_; }

 private:
  struct Link;
  struct Call;
  /// What comes back from gRPC; `happened` is set by the thread that waits.
  struct Event {
    enum class Kind { kFirstByte, kFinished, kWatched, kProbed } kind;
    void* owner;
    TimePoint happened;
  };

  GrpcTransport(const GrpcTransportOptions& options, boost::asio::io_context& context, Sink& sink);

  Link& add_link();
  void connect(Link& link);
  void watch(Link& link);
  void look_at(Link& link, TimePoint now);
  void probe(Link& link);
  void probed(Link& link);
  void opened_one(Result<void> result);
  Link* choose();
  void start(Link& link, const Ticket& ticket, const ::grpc::ByteBuffer& message);
  [[nodiscard]] ErrorKind why_failed(const Call& call) const;
  void finish(Call& call);
  void refuse(const Ticket& ticket, std::string why);
  void wait_for_events();
  void hand_over(Event* event);
  void drain();

  const GrpcTransportOptions options_;
  boost::asio::io_context& context_;
  Sink& sink_;
  ::grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Link>> links_;
  std::size_t next_ = 0;       ///< where the search for a free link begins
  std::vector<Call*> calls_;   ///< under way
  std::size_t in_flight_ = 0;  ///< those, and refused ones that are not told yet
  TimePoint last_look_;
  bool closing_ = false;
  std::function<void(Result<void>)> ready_;
  unsigned opening_ = 0;

  Mutex mutex_;
  std::vector<Event*> events_ GUARDED_BY(mutex_);
  std::thread waiter_;
};

}  // namespace podsense::load
