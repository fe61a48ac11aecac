#include "load/clients/http2_once.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <thread>

namespace podsense::load {
namespace {

constexpr Duration kSweep = std::chrono::milliseconds(10);
constexpr Duration kRetry = std::chrono::milliseconds(200);

TimePoint now() {
  return std::chrono::steady_clock::now();
}

/// A loop that ends with the answer, or with why there is none.
class Asker final : private Sink {
 public:
  Result<Once> ask(const Http2TransportOptions& options) {
    auto made = Http2Transport::create(options, context_, *this);
    if (!made) {
      return fail(std::move(made.error()));
    }
    const std::unique_ptr<Transport> transport = std::move(*made);
    transport->open([&](Result<void> result) {
      const TimePoint at = now();
      if (!result || !transport->send({.intended = at, .started = at})) {
        end(result ? fail(ErrorCode::kUnavailable, "the connection takes no request")
                   : fail(std::move(result.error())));
      }
    });
    sweep(*transport);
    context_.run();
    return *result_;
  }

 private:
  void finished(const RequestOutcome& outcome) override {
    end(Once{
        .error = outcome.error, .status = outcome.status, .sample = std::string(outcome.sample)});
  }
  void connected(Duration /*took*/) override {}

  void end(Result<Once> result) {
    result_ = std::move(result);
    context_.stop();
  }
  void sweep(Transport& transport) {
    sweeper_.expires_after(kSweep);
    sweeper_.async_wait([this, &transport](const boost::system::error_code& error) {
      if (!error) {
        transport.check_time(now());
        sweep(transport);
      }
    });
  }

  boost::asio::io_context context_{1};
  boost::asio::steady_timer sweeper_{context_};
  std::optional<Result<Once>> result_;
};

}  // namespace

Result<Once> ask_once(const Http2TransportOptions& options, Duration wait) {
  const TimePoint limit = now() + wait;
  while (true) {
    auto answer = Asker().ask(options);
    if (answer || now() + kRetry >= limit) {
      return answer;
    }
    std::this_thread::sleep_for(kRetry);
  }
}

}  // namespace podsense::load
