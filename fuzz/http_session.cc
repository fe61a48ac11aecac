// Any bytes on a connection to the real server: no crash, and what comes back is HTTP/1.1, or
// HTTP/2 where they begin with its preface.

#include <string>
#include <string_view>

#include "session_target.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a fuzz target

const transport::Router& routes() {
  static transport::Router& router = *new transport::Router;
  const auto answer = [](transport::Request& request, transport::Reply reply) {
    reply(transport::json_response("{\"bytes\":" + std::to_string(request.body.size()) + "}"));
  };
  router.add({.path = "/echo", .post = answer, .max_body = 4096, .api = true});
  router.add({.path = "/health", .get = answer});
  return router;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto& target = *new fuzz::SessionTarget(routes());  // outlives libFuzzer's exit handlers
  if (size > 16'384) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string answer = target.exchange(bytes);
  if (!answer.empty() && !answer.starts_with("HTTP/1.1 ") &&
      bytes.find("PRI * HTTP/2.0") == std::string_view::npos) {
    std::abort();
  }
  return 0;
}
