#include "load/clients/client_socket.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <string>
#include <utility>

#include "base/authorities.h"

namespace podsense::load {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;

std::string descriptors_reason() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return "no file descriptors left: the limit is " + std::to_string(limit.rlim_cur) +
         " (ulimit -n)";
}

Result<ssl::context> make_tls(const ClientTls& tls) {
  ssl::context context(ssl::context::tls_client);
  boost::system::error_code error;
  if (tls.roots.empty()) {
    context.set_default_verify_paths(error);
    if (const std::string bundle = authorities_elsewhere(); !error && !bundle.empty()) {
      context.load_verify_file(bundle, error);
    }
  } else {
    context.add_certificate_authority(asio::buffer(tls.roots), error);
  }
  if (error) {
    return fail(ErrorCode::kInvalidArgument,
                "the authorities to trust cannot be used: " + error.message());
  }
  if (!tls.certificate.empty()) {
    context.use_certificate_chain(asio::buffer(tls.certificate), error);
    if (!error) {
      context.use_private_key(asio::buffer(tls.key), ssl::context::pem, error);
    }
  }
  if (error) {
    return fail(ErrorCode::kInvalidArgument,
                "the client's certificate cannot be used: " + error.message());
  }
  return context;
}

/// What the server chose of the protocols that were offered.
std::string_view chosen_protocol(SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl, &name, &length);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): OpenSSL's bytes are unsigned
  return {reinterpret_cast<const char*>(name), length};
}

int ssl_reason(const boost::system::error_code& code) {
  return code.category() == asio::error::get_ssl_category()
             ? ERR_GET_REASON(static_cast<unsigned long>(code.value()))
             : 0;
}

}  // namespace

Result<Destination> Destination::create(const std::vector<Endpoint>& endpoints, std::size_t first,
                                        std::string host, bool with_tls, const ClientTls& tls) {
  Destination destination{.endpoints = endpoints,
                          .endpoint = first % endpoints.size(),
                          .host = std::move(host),
                          .verify = tls.verify,
                          .shows_certificate = !tls.certificate.empty()};
  if (with_tls) {
    auto context = make_tls(tls);
    if (!context) {
      return fail(std::move(context.error()));
    }
    destination.tls.emplace(std::move(*context));
  }
  return destination;
}

std::size_t Destination::take_endpoint() {
  const std::size_t taken = endpoint;
  const bool v4 = endpoints[taken].address().is_v4();
  do {
    endpoint = (endpoint + 1) % endpoints.size();
  } while (endpoints[endpoint].address().is_v4() != v4);
  return taken;
}

/// Where another family works, the next connections begin there.
void Destination::connected_to(std::size_t index) {
  connected = true;
  if (endpoints[index].address().is_v4() != endpoints[endpoint].address().is_v4()) {
    endpoint = index;
  }
}

std::string client_refused(const boost::system::error_code& code) {
  switch (ssl_reason(code)) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "the server wants a client certificate: --cert FILE --key FILE";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return "the server refuses the client's certificate: " + code.message();
    default:
      return {};
  }
}

bool is_end(const boost::system::error_code& code) {
  return code == asio::error::eof || code == ssl::error::stream_truncated;
}

bool is_tls_alert(std::string_view bytes) {
  constexpr char kAlert = 21;  // RFC 8446, 5.1: ContentType
  constexpr char kMajor = 3;
  return bytes.size() >= 2 && bytes[0] == kAlert && bytes[1] == kMajor;
}

ClientSocket::ClientSocket(asio::io_context& context, Destination& destination)
    : destination_(destination), socket_(context) {}

void ClientSocket::connect(Done done) {
  closed_ = false;
  tried_ = 0;
  tls_.reset();
  begun_at_ = destination_.take_endpoint();
  try_endpoint(std::move(done));
}

void ClientSocket::try_endpoint(Done done) {
  const std::size_t index = (begun_at_ + tried_) % destination_.endpoints.size();
  Code ignored;
  socket_.close(ignored);
  socket_.async_connect(destination_.endpoints[index],
                        [this, index, done = std::move(done)](const Code& code) mutable {
                          if (closed_) {
                            return;
                          }
                          if (code) {
                            endpoint_failed(code, std::move(done));
                          } else {
                            destination_.connected_to(index);
                            handshake(std::move(done));
                          }
                        });
}

void ClientSocket::endpoint_failed(const Code& code, Done done) {
  ConnectFailure failure;
  if (code == asio::error::no_descriptors ||
      code == boost::system::errc::too_many_files_open_in_system) {
    failure = {.kind = ErrorKind::kDescriptors, .why = descriptors_reason()};
    done(&failure);
    return;
  }
  // The first is the one of the address that one expects to work.
  first_failure_ = tried_ == 0 ? code : first_failure_;
  if (++tried_ < destination_.endpoints.size()) {
    try_endpoint(std::move(done));
    return;
  }
  failure.why = first_failure_.message();
  // An address that cannot be used at all gives the same error as one whose ports are used up.
  if (destination_.connected && first_failure_ == boost::system::errc::address_not_available) {
    failure = {.kind = ErrorKind::kPorts,
               .why =
                   "no local ports left: see net.ipv4.ip_local_port_range; connections that "
                   "are kept open need fewer"};
  }
  done(&failure);
}

void ClientSocket::handshake(Done done) {
  Code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  if (destination_.tls) {
    tls_handshake(std::move(done));
  } else {
    done(nullptr);
  }
}

void ClientSocket::tls_handshake(Done done) {
  Code ignored;
  tls_.emplace(socket_, *destination_.tls);
  SSL* const ssl = tls_->native_handle();
  if (asio::ip::make_address(destination_.host, ignored); ignored) {  // a name, no address
    SSL_set_tlsext_host_name(ssl, destination_.host.c_str());
  }
  if (destination_.verify) {
    tls_->set_verify_mode(ssl::verify_peer, ignored);
    tls_->set_verify_callback(ssl::host_name_verification(destination_.host), ignored);
  }
  if (!destination_.alpn.empty()) {
    const std::string list = static_cast<char>(destination_.alpn.size()) + destination_.alpn;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): OpenSSL's bytes are unsigned
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(list.data()),
                        static_cast<unsigned>(list.size()));
  }
  tls_->async_handshake(
      ssl::stream_base::client, [this, ssl, done = std::move(done)](const Code& code) {
        if (closed_) {
          return;
        }
        ConnectFailure failure{.kind = ErrorKind::kTls, .why = code ? tls_reason(code) : ""};
        if (!code && chosen_protocol(ssl) != destination_.alpn && !destination_.alpn.empty()) {
          failure.why = "the server does not offer " + destination_.alpn + " in TLS (ALPN)";
        }
        done(failure.why.empty() ? nullptr : &failure);
      });
}

/// Why there was no handshake.
std::string ClientSocket::tls_reason(const Code& code) {
  SSL* const ssl = tls_->native_handle();
  if (std::string refused = client_refused(code); !refused.empty()) {
    return refused;
  }
  if (ssl_reason(code) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL) {
    return "the server does not offer " + destination_.alpn + " in TLS (ALPN)";
  }
  if (ssl_reason(code) == SSL_R_WRONG_VERSION_NUMBER) {
    return "TLS handshake failed: the server speaks no TLS";
  }
  const long verdict = SSL_get_verify_result(ssl);
  if (destination_.verify && verdict != X509_V_OK) {
    return std::string("the certificate is refused: ") + X509_verify_cert_error_string(verdict);
  }
  std::string reason = "TLS handshake failed: " + code.message();
  if (is_end(code) || code == asio::error::connection_reset) {
    reason = "the server closed the connection during the TLS handshake";
  }
  // TLS 1.2 has no word of its own for it. It has asked where it named authorities.
  const bool asked = SSL_get0_peer_CA_list(ssl) != nullptr;
  return reason + (asked && !destination_.shows_certificate
                       ? "; it wants a client certificate: --cert FILE --key FILE"
                       : "");
}

bool ClientSocket::is_alive() {
  char byte = 0;
  const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

std::size_t ClientSocket::write_now(std::string_view bytes) {
  if (tls_) {
    return 0;
  }
  Code code;
  const std::size_t done = socket_.write_some(asio::buffer(bytes.data(), bytes.size()), code);
  return code ? 0 : done;
}

void ClientSocket::close() {
  closed_ = true;
  Code ignored;
  socket_.close(ignored);
}

}  // namespace podsense::load
