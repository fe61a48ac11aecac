#include "grpc/services.h"

#include <google/protobuf/stubs/logging.h>

#include "base/log.h"
#include "grpc/health.h"
#include "grpc/methods.h"
#include "grpc/oip_service.h"
#include "grpc/podsense_service.h"
#include "grpc/reflection.h"
#include "grpc/web.h"

namespace podsense::grpc {
namespace {

/// Keeps protobuf from writing to stderr: malformed messages are the client's fault and answered
/// with an error.
void quiet_protobuf(google::protobuf::LogLevel level, const char* /*file*/, int /*line*/,
                    const std::string& message) {
  log::write(level >= google::protobuf::LOGLEVEL_FATAL ? log::Level::kError : log::Level::kDebug,
             "protobuf_library", {{"message", message}});
}

}  // namespace

struct Services::Impl {
  Impl(GrpcOptions options, Sources sources) : shared(std::move(options), std::move(sources)) {
    add_podsense_service(methods, shared);
    add_oip_service(methods, shared);
    watchers = add_health(methods, shared);
    if (shared.options.reflection) {
      add_reflection(methods);
    }
  }

  CallEnvironment shared;
  Methods methods;
  std::shared_ptr<Watchers> watchers;
};

Services::Services(GrpcOptions options, Sources sources)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(sources))) {
  google::protobuf::SetLogHandler(&quiet_protobuf);
}

Services::~Services() = default;

void Services::add_to(transport::Router& router) {
  Impl& impl = *impl_;
  router.add_stream_service("application/grpc",
                            [&impl](const std::shared_ptr<transport::Stream>& stream) {
                              return open_call(impl.shared, impl.methods, stream);
                            });
  add_web_routes(router, impl.shared, impl.methods);
}

}  // namespace podsense::grpc
