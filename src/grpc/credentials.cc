#include "grpc/credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <atomic>
#include <string>

namespace podsense::grpc {
namespace {

/// gRPC's own watchers of files (FileWatcherCertificateProvider, 1.51) take whatever the files
/// hold, and a pair that does not fit together ends TLS for new connections. The C core asks us
/// instead at each handshake, and keeps what it has where there is nothing new.
class TlsCredentials final : public ::grpc::ServerCredentials {
 public:
  explicit TlsCredentials(access::Certificates& certificates) : certificates_(certificates) {}

  void SetAuthMetadataProcessor(
      const std::shared_ptr<::grpc::AuthMetadataProcessor>& /*processor*/) override {
    // Callers are admitted by the services: there is nothing to be asked here.
  }

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    const auto clients = certificates_.asks_clients()
                             ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                             : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    grpc_server_credentials* credentials = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(clients, &fetch, this));
    const int port = grpc_server_add_http2_port(server, address.c_str(), credentials);
    grpc_server_credentials_release(credentials);  // the port has a reference of its own
    return port;
  }

  /// Called at the start and at each handshake, one at a time.
  static grpc_ssl_certificate_config_reload_status fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    auto& mine = *static_cast<TlsCredentials*>(self);
    const std::uint64_t generation = mine.certificates_.generation();
    if (mine.given_.exchange(generation) == generation) {
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    const auto identity = mine.certificates_.current();
    const grpc_ssl_pem_key_cert_pair pair{.private_key = identity->key.c_str(),
                                          .cert_chain = identity->certificate.c_str()};
    // The core insists on authorities even where clients are asked for no certificate, and then
    // never looks at them: our own chain stands in.
    const std::string& roots =
        identity->client_ca.empty() ? identity->certificate : identity->client_ca;
    *config = grpc_ssl_server_certificate_config_create(roots.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  access::Certificates& certificates_;
  std::atomic<std::uint64_t> given_{0};
};

}  // namespace

std::shared_ptr<::grpc::ServerCredentials> tls_credentials(access::Certificates& certificates) {
  return std::make_shared<TlsCredentials>(certificates);
}

}  // namespace podsense::grpc
