// Any body of a gRPC-Web request: its answer is whole messages, then trailers with a status that
// gRPC has. The first byte chooses method and encoding.

#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wrappers.pb.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "grpc/methods.h"
#include "grpc/web.h"
#include "inference/catalog.h"
#include "inference/service.h"
#include "simulated/simulated_backend.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a fuzz target
using google::protobuf::BytesValue;
using Streaming = grpc::StreamCall<BytesValue, BytesValue>;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

/// What calls stand on: no model is served.
class Ground {
 public:
  Ground() {
    log::configure(log::Level::kOff, log::Format::kJson);
    google::protobuf::SetLogHandler(nullptr);
    methods_.answer<BytesValue, BytesValue>(
        {.name = "/fuzz/Unary", .access = grpc::Access::kOpen},
        [](const BytesValue& request, BytesValue& response) -> Result<void> {
          response = request;
          if (request.value().starts_with("e")) {
            return fail(ErrorCode::kNotFound, "none: " + request.value().substr(0, 100));
          }
          return {};
        });
    methods_.stream<BytesValue, BytesValue>(
        {.name = "/fuzz/Stream", .access = grpc::Access::kOpen},
        {.handle =
             [](const grpc::Caller&, Streaming::Item& item, Streaming::Done done) {
               item.response = item.request;
               done({});
             },
         .tell = [](const Error& error,
                    Streaming::Item& item) { item.response.set_value(error.message); }});
    grpc::add_web_routes(router_, shared_, methods_);
  }

  std::string answer(std::string_view path, std::string_view encoding, std::string body) {
    transport::Request request;
    request.method = transport::Method::kPost;
    request.target = path;
    request.path = request.target;
    request.id = "id";
    request.headers.add("content-type", "application/grpc-web+proto");
    if (!encoding.empty()) {
      request.headers.add("grpc-encoding", encoding);
    }
    request.body = std::move(body);
    request.context.received = clock_.now();
    std::optional<transport::Response> response;
    const auto match = router_.find(request.path);
    require(match.has_value());
    match->route->post(request, [&](transport::Response given) { response = std::move(given); });
    require(response && response->status == 200);  // nothing here takes its time
    return response->body;
  }

 private:
  static std::vector<std::unique_ptr<model::Backend>> engines() {
    std::vector<std::unique_ptr<model::Backend>> list;
    list.push_back(simulated::make_backend());
    return list;
  }

  SteadyClock clock_;
  metrics::Registry registry_;
  const model::Backends backends_{engines()};
  batching::Scheduler scheduler_{{.executors = 1}, clock_};
  inference::Catalog catalog_{{}, backends_, scheduler_, registry_, clock_};
  inference::Service service_{{}, catalog_, nullptr, registry_, clock_};
  grpc::CallEnvironment shared_{{.max_message_bytes = 8000, .access_log = AccessLog::kOff},
                                {.service = service_, .clock = clock_}};
  grpc::Methods methods_;
  transport::Router router_;
};

/// The number of messages before the trailers.
std::size_t check(std::string_view answer) {
  for (std::size_t messages = 0;; ++messages) {
    require(answer.size() >= grpc::kPrefixSize);
    std::size_t size = 0;
    for (std::size_t i = 1; i < grpc::kPrefixSize; ++i) {
      size = size << 8U | static_cast<unsigned char>(answer[i]);
    }
    const bool trailers = answer[0] == '\x80';
    require(trailers || answer[0] == '\0');
    answer.remove_prefix(grpc::kPrefixSize);
    require(answer.size() >= size);
    const std::string_view content = answer.substr(0, size);
    answer.remove_prefix(size);
    if (!trailers) {
      require(BytesValue().ParseFromArray(content.data(), static_cast<int>(size)));
      continue;
    }
    require(answer.empty() && content.ends_with("\r\n"));
    require(content.find("grpc-status: ") != std::string_view::npos);
    return messages;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Ground& ground = *new Ground;  // outlives libFuzzer's exit handlers
  if (size == 0) {
    return 0;
  }
  constexpr std::string_view kEncodings[] = {"", "gzip", "deflate", "identity", "br"};
  const bool streams = data[0] % 2 == 1;
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string answer = ground.answer(streams ? "/fuzz/Stream" : "/fuzz/Unary",
                                           kEncodings[data[0] / 2 % std::size(kEncodings)], body);
  require(check(answer) <= (streams ? size : 1));
  return 0;
}
