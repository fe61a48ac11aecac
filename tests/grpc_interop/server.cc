// A server of grpc.testing.TestService alone. Prints its port; ends when its standard input does.
//
//   grpc_interop_server [CERTIFICATE KEY]

#include "transport/server.h"

#include <csignal>
#include <cstdio>
#include <iostream>

#include "access/certificates.h"
#include "base/log.h"
#include "grpc/methods.h"
#include "inference/catalog.h"
#include "inference/service.h"
#include "simulated/simulated_backend.h"
#include "test_service.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a program of one file

/// What calls stand on: no model is served.
struct Ground {
  Ground() { list.push_back(simulated::make_backend()); }

  SteadyClock clock;
  metrics::Registry registry;
  std::vector<std::unique_ptr<model::Backend>> list;
  const model::Backends backends{std::move(list)};
  batching::Scheduler scheduler{{.executors = 1}, clock};
  inference::Catalog catalog{{}, backends, scheduler, registry, clock};
  inference::Service service{{}, catalog, nullptr, registry, clock};
};

int serve(access::Certificates* certificates) {
  Ground ground;
  grpc::CallEnvironment shared({.access_log = AccessLog::kOff},
                               {.service = ground.service, .clock = ground.clock});
  grpc::Methods methods;
  grpc::add_test_service(methods);
  transport::Router router;
  router.add_stream_service("application/grpc",
                            [&](const std::shared_ptr<transport::Stream>& stream) {
                              return grpc::open_call(shared, methods, stream);
                            });
  auto server = transport::Server::create({.name = "interop",
                                           .hosts = {"127.0.0.1"},
                                           .threads = 2,
                                           .access_log = AccessLog::kOff,
                                           .certificates = certificates},
                                          router, ground.registry, ground.clock);
  if (!server) {
    std::cerr << server.error().message << "\n";
    return 1;
  }
  (*server)->start();
  std::cout << (*server)->port() << '\n' << std::flush;
  while (std::getchar() != EOF) {
  }
  (*server)->announce_close();
  (*server)->stop_accepting();
  const bool idle = (*server)->wait_idle(std::chrono::seconds(10));
  ground.scheduler.stop();
  return idle ? 0 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // as the real binary does: OpenSSL writes to closed sockets
  log::configure(log::Level::kOff, log::Format::kJson);
  if (argc == 1) {
    return serve(nullptr);
  }
  auto certificates = access::Certificates::create(
      {.certificate = argv[1], .key = argc > 2 ? argv[2] : argv[1], .client_ca = {}});
  if (!certificates) {
    std::cerr << certificates.error().message << "\n";
    return 2;
  }
  return serve(certificates->get());
}
