#include "load/grpc_channel.h"

#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "load/job.h"

namespace podsense::load {
namespace {

constexpr int kFirstBackoff = 50;  // milliseconds
constexpr int kMostBackoff = 1000;

/// gRPC brings roots of its own; one expects those that curl and everything else here uses.
std::string system_roots() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets it
  const char* const named = std::getenv("SSL_CERT_FILE");
  for (const char* const path :
       {named, "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"}) {
    if (path != nullptr) {
      if (auto roots = read_file(path)) {
        return std::move(*roots);
      }
    }
  }
  return {};
}

std::shared_ptr<::grpc::ChannelCredentials> credentials(const GrpcTarget& target) {
  if (!target.url.tls) {
    return ::grpc::InsecureChannelCredentials();
  }
  const ClientTls& tls = target.tls;
  if (tls.verify) {
    return ::grpc::SslCredentials({.pem_root_certs = tls.roots,
                                   .pem_private_key = tls.key,
                                   .pem_cert_chain = tls.certificate});
  }
  ::grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_verify_server_certs(false);
  options.set_check_call_host(false);
  options.set_certificate_verifier(
      std::make_shared<::grpc::experimental::NoOpCertificateVerifier>());
  if (!tls.certificate.empty()) {
    options.set_certificate_provider(
        std::make_shared<::grpc::experimental::StaticDataCertificateProvider>(
            std::vector<::grpc::experimental::IdentityKeyCertPair>{
                {.private_key = tls.key, .certificate_chain = tls.certificate}}));
    options.watch_identity_key_cert_pairs();
  }
  return ::grpc::experimental::TlsCredentials(options);
}

/// gRPC takes several addresses of one family.
std::string address_list(const std::vector<Endpoint>& endpoints) {
  const bool v4 = endpoints.front().address().is_v4();
  std::string list;
  for (const Endpoint& endpoint : endpoints) {
    if (endpoint.address().is_v4() == v4) {
      const std::string address = endpoint.address().to_string();
      list += (list.empty() ? (v4 ? "ipv4:" : "ipv6:") : ",") +
              (v4 ? address : "[" + address + "]") + ":" + std::to_string(endpoint.port());
    }
  }
  return list;
}

/// Every failed handshake writes a line on stderr otherwise, beside the report's own.
void quiet_library() {
  static const bool done = [] {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets it
    if (std::getenv("GRPC_VERBOSITY") == nullptr) {
      gpr_set_log_function([](gpr_log_func_args*) {});
    }
    return true;
  }();
  static_cast<void>(done);
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_about_connecting(std::string_view message) {
  return contains(message, "failed to connect") || contains(message, "onnection refused") ||
         contains(message, "Failed to connect") || contains(message, "empty address list") ||
         contains(message, "connection attempt timed out") || contains(message, "andshake");
}

}  // namespace

GrpcChannels GrpcChannels::create(const GrpcTarget& target) {
  quiet_library();
  GrpcChannels channels;
  channels.target_ = target;
  channels.addresses_ = address_list(target.endpoints);
  if (target.url.tls && target.tls.roots.empty()) {
    channels.target_.tls.roots = system_roots();
  }
  return channels;
}

std::shared_ptr<::grpc::Channel> GrpcChannels::open() const {
  ::grpc::ChannelArguments arguments;
  // Channels that are alike share one connection otherwise.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstBackoff);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMostBackoff);
  // This is also how long one attempt to connect may take.
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(target_.timeout);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   static_cast<int>(std::clamp<std::int64_t>(limit.count(), 100, 600'000)));
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetUserAgentPrefix("podsense-load");
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY,
                      target_.authority.empty() ? target_.url.authority() : target_.authority);
  if (target_.url.tls) {
    arguments.SetSslTargetNameOverride(target_.url.host);
  }
  return ::grpc::CreateCustomChannel(addresses_, credentials(target_), arguments);
}

// A broken stream gets a status from the library, and nothing but its text tells it from one that
// the server sent.
ErrorKind grpc_error_kind(const ::grpc::ClientContext& context, const ::grpc::Status& status) {
  if (status.error_code() != ::grpc::StatusCode::UNAVAILABLE) {
    return ErrorKind::kNone;
  }
  const std::string& message = status.error_message();
  if (!contains(context.debug_error_string(), "Error received from peer") &&
      is_about_connecting(message)) {
    return contains(message, "andshake") || contains(message, "SSL_ERROR") ? ErrorKind::kTls
                                                                           : ErrorKind::kConnect;
  }
  if (message == "Socket closed" || message.starts_with("GOAWAY received")) {
    return ErrorKind::kClosed;
  }
  constexpr std::array<std::string_view, 4> kBroken{"Connection reset by peer", "Broken pipe",
                                                    "recvmsg:", "keepalive watchdog timeout"};
  return std::ranges::any_of(kBroken,
                             [&](std::string_view one) { return message.starts_with(one); })
             ? ErrorKind::kReset
             : ErrorKind::kNone;
}

std::string GrpcChannels::reason(const std::string& message) const {
  // The library keeps to itself what the server said, in TLS 1.3 after the client's handshake.
  if (target_.url.tls &&
      (message.ends_with("Socket closed") || message.ends_with("Connection reset by peer"))) {
    return target_.tls.certificate.empty()
               ? "the server closed the connection after the TLS handshake; it may want a client "
                 "certificate: --cert FILE --key FILE"
               : "the server closed the connection after the TLS handshake; it may not accept the "
                 "client's certificate";
  }
  struct Reason {
    std::string_view part;
    std::string_view said;
  };
  constexpr std::array<Reason, 8> kReasons{
      {{.part = "certificate verify failed", .said = "the certificate is refused"},
       {.part = "erification failed", .said = "the certificate is refused"},
       {.part = "is not in peer certificate", .said = "the certificate has another name"},
       {.part = "wrong version number", .said = "TLS handshake failed: the server speaks no TLS"},
       {.part = "http1.x server", .said = "the server speaks HTTP/1, no gRPC"},
       {.part = "SETTINGS frame", .said = "the server accepts connections, but speaks no gRPC"},
       {.part = "Connection refused", .said = "Connection refused"},
       {.part = "andshake", .said = "TLS handshake failed"}}};
  for (const Reason& reason : kReasons) {
    if (contains(message, reason.part)) {
      return std::string(reason.said);
    }
  }
  const std::size_t last = message.find("last error: ");
  const std::string reason = last == std::string::npos ? message : message.substr(last + 12);
  return reason == "OK" ? "the server accepts connections, but speaks no gRPC" : reason;
}

std::string grpc_status_text(const ::grpc::Status& status) {
  return status_name(kGrpcStatus + static_cast<int>(status.error_code()));
}

}  // namespace podsense::load
