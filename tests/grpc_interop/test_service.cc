#include "test_service.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "test.pb.h"

namespace podsense::grpc {
namespace {

namespace testing = ::grpc::testing;

/// Metadata that comes back with the answer: before it, and behind it.
void echo_metadata(Call& call) {
  constexpr std::string_view kInitial = "x-grpc-test-echo-initial";
  constexpr std::string_view kTrailing = "x-grpc-test-echo-trailing-bin";
  if (const std::string_view value = call.metadata(kInitial); !value.empty()) {
    call.add_metadata(kInitial, std::string(value));
  }
  if (const std::string_view value = call.metadata(kTrailing); !value.empty()) {
    call.add_trailer(kTrailing, std::string(value));
  }
}

bool accepts_gzip(const Call& call) {
  return call.metadata("grpc-accept-encoding").find("gzip") != std::string_view::npos;
}

/// "expect_compressed" of a request, against how it came.
Result<void> check_compressed(const testing::BoolValue& expected, bool came) {
  if (expected.value() && !came) {
    return fail(ErrorCode::kInvalidArgument, "the message should have come compressed");
  }
  return {};
}

void fill(testing::Payload& payload, std::int32_t size) {
  payload.set_body(std::string(static_cast<std::size_t>(std::max(0, size)), '\0'));
}

using SimpleCall = UnaryCall<testing::SimpleRequest, testing::SimpleResponse>;

void answer_simple(SimpleCall& call) {
  echo_metadata(call);
  const testing::SimpleRequest& request = call.request();
  if (request.response_status().code() != 0) {
    return call.reply_status(static_cast<std::uint32_t>(request.response_status().code()),
                             request.response_status().message());
  }
  if (request.response_compressed().value() && accepts_gzip(call)) {
    call.compress(transport::Coding::kGzip);
  }
  fill(*call.response().mutable_payload(), request.response_size());
  call.reply(check_compressed(request.expect_compressed(), call.was_compressed()));
}

/// Many messages, one answer: the size of all payloads.
class InputCall final : public Call {
 public:
  using Call::Call;

 private:
  void begin() override { echo_metadata(*this); }
  void message(std::string_view bytes) override {
    testing::StreamingInputCallRequest request;
    auto taken = parse_message(bytes, request);
    if (taken) {
      taken = check_compressed(request.expect_compressed(), reader().compressed());
    }
    if (!taken) {
      return reject(taken.error());
    }
    size_ += request.payload().body().size();
  }
  void half_closed() override {
    testing::StreamingInputCallResponse response;
    response.set_aggregated_payload_size(static_cast<std::int32_t>(size_));
    send(*frame(response));
    finish(nullptr);
  }

  std::size_t size_ = 0;
};

/// Has work done later, on a thread of its own.
class Later {
 public:
  void after(std::chrono::microseconds wait, std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    waiting_.emplace(std::chrono::steady_clock::now() + wait, std::move(work));
    changed_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      if (waiting_.empty()) {
        changed_.wait(lock, stop, [this] { return !waiting_.empty(); });
      } else if (const auto first = waiting_.begin();
                 first->first > std::chrono::steady_clock::now()) {
        const auto until = first->first;
        changed_.wait_until(lock, stop, until, [&] { return waiting_.begin()->first < until; });
      } else {
        const auto work = std::move(first->second);
        waiting_.erase(first);
        lock.unlock();
        work();
        lock.lock();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> waiting_;
  std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};
};

/// For each request as many answers as it asks for, of the sizes and after the times that it says.
class OutputCall final : public Call {
 public:
  OutputCall(CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
             const RpcMethod& method, Later& later)
      : Call(shared, std::move(stream), method), later_(later) {}

 private:
  std::shared_ptr<OutputCall> self() {
    return std::static_pointer_cast<OutputCall>(shared_from_this());
  }

  void begin() override {
    echo_metadata(*this);
    if (accepts_gzip(*this)) {
      add_metadata("grpc-encoding", "gzip");
    }
    stream().allow_slow_body();
  }
  void message(std::string_view bytes) override {
    testing::StreamingOutputCallRequest request;
    if (const auto parsed = parse_message(bytes, request); !parsed) {
      return reject(parsed.error());
    }
    if (request.response_status().code() != 0) {
      return finish_with(static_cast<std::uint32_t>(request.response_status().code()),
                         request.response_status().message());
    }
    for (const testing::ResponseParameters& one : request.response_parameters()) {
      wanted_.push_back(one);
    }
    send_next();
  }
  void half_closed() override {
    ended_ = true;
    send_next();
  }

  void send_next() {
    if (waits_) {
      return;
    }
    for (; !wanted_.empty(); wanted_.pop_front()) {
      if (const int wait = wanted_.front().interval_us(); wait > 0) {
        wanted_.front().clear_interval_us();
        return send_after(std::chrono::microseconds(wait));
      }
      testing::StreamingOutputCallResponse response;
      fill(*response.mutable_payload(), wanted_.front().size());
      const bool compressed = wanted_.front().compressed().value() && accepts_gzip(*this);
      send(*frame(response, compressed ? transport::Coding::kGzip : transport::Coding::kIdentity));
    }
    if (ended_) {
      finish(nullptr);
    }
  }

  void send_after(std::chrono::microseconds wait) {
    waits_ = true;
    later_.after(wait, [self = self()] {
      self->stream().post([self] {
        self->waits_ = false;
        self->send_next();
      });
    });
  }

  Later& later_;
  std::deque<testing::ResponseParameters> wanted_;
  bool waits_ = false;
  bool ended_ = false;
};

}  // namespace

void add_test_service(Methods& methods) {
  methods.answer<testing::Empty, testing::Empty>(
      {.name = "/grpc.testing.TestService/EmptyCall", .access = Access::kOpen},
      [](const testing::Empty& /*request*/, testing::Empty& /*response*/) -> Result<void> {
        return {};
      });
  methods.unary<testing::SimpleRequest, testing::SimpleResponse>(
      {.name = "/grpc.testing.TestService/UnaryCall", .access = Access::kOpen}, &answer_simple);
  methods.add({.name = "/grpc.testing.TestService/StreamingInputCall", .access = Access::kOpen},
              [](CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
                 const RpcMethod& method) {
                return std::make_shared<InputCall>(shared, std::move(stream), method);
              });
  const auto later = std::make_shared<Later>();
  for (const std::string_view name : {"/grpc.testing.TestService/StreamingOutputCall",
                                      "/grpc.testing.TestService/FullDuplexCall"}) {
    methods.add({.name = name, .access = Access::kOpen},
                [later](CallEnvironment& shared, std::shared_ptr<transport::Stream> stream,
                        const RpcMethod& method) {
                  return std::make_shared<OutputCall>(shared, std::move(stream), method, *later);
                });
  }
}

}  // namespace podsense::grpc
