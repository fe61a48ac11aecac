#include "transport/byte_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "base/log.h"

namespace podsense::transport {
namespace {

/// A TLS record has up to 16 KiB: after 256 KiB other connections get their turn.
constexpr unsigned kReadsAtOnce = 16;
/// The protocols for ALPN, preferred first, each with a length byte in front, RFC 7301.
constexpr std::array<unsigned char, 12> kProtocols{2,   'h', '2', 8,   'h', 't',
                                                   't', 'p', '/', '1', '.', '1'};

int choose_protocol(SSL* /*tls*/, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned offered_size, void* /*unused*/) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_size, kProtocols.data(), kProtocols.size(), offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // no_application_protocol: none in common
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

/// TLS 1.2 only with forward secrecy and authenticated encryption; 1.3 has nothing else.
constexpr const char* kCiphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20";

SSL_CTX* new_context() {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) {
    return nullptr;
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, kCiphers12);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);  // a record's header and its rest in one call
  SSL_CTX_set_alpn_select_cb(context, &choose_protocol, nullptr);
  // Sessions are resumed with tickets, whose keys live as long as the context.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  constexpr std::array<unsigned char, 8> kName{'p', 'o', 'd', 's', 'e', 'n', 's', 'e'};
  SSL_CTX_set_session_id_context(context, kName.data(), kName.size());
  return context;
}

std::string_view reason_for_metric(unsigned long error) {
  if (error == 0) {
    return "closed";
  }
  switch (ERR_GET_REASON(error)) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return "plain_http";
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return "closed";
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return "client_certificate";
    default:
      return "protocol";
  }
}

}  // namespace

void FreeTls::operator()(ssl_st* tls) const {
  SSL_free(tls);
}
void FreeTls::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

TlsSessions::TlsSessions(access::Certificates* certificates) : certificates_(certificates) {
  if (on()) {
    renew();
  }
}
TlsSessions::~TlsSessions() = default;

void TlsSessions::renew() {
  generation_ = certificates_->generation();
  std::unique_ptr<ssl_ctx_st, FreeTls> next(new_context());
  const auto identity = certificates_->current();
  if (const auto installed = next ? access::install(next.get(), *identity, certificates_->files())
                                  : fail(ErrorCode::kInternal, "no memory for TLS");
      !installed) {
    // The certificates were checked when read, so memory is short: the old context stays.
    return log::error("tls_context_failed", {{"message", installed.error().message}});
  }
  context_ = std::move(next);
}

TlsSession TlsSessions::make(int socket) {
  if (!on()) {
    return nullptr;
  }
  if (certificates_->generation() != generation_) {
    renew();
  }
  TlsSession tls(context_ ? SSL_new(context_.get()) : nullptr);
  if (tls && SSL_set_fd(tls.get(), socket) != 1) {
    tls.reset();
  }
  return tls;
}

/// Waits until the socket is ready for what the last OpenSSL call needed.
asio::awaitable<boost::system::error_code> ByteStream::wait_for_tls(int result) {
  const int lacked = SSL_get_error(tls_.get(), result);
  if (lacked == SSL_ERROR_WANT_READ || lacked == SSL_ERROR_WANT_WRITE) {
    const auto what =
        lacked == SSL_ERROR_WANT_READ ? Tcp::socket::wait_read : Tcp::socket::wait_write;
    const auto [error] = co_await socket_.async_wait(what, kToken);
    co_return error;
  }
  if (lacked == SSL_ERROR_ZERO_RETURN) {
    co_return asio::error::eof;
  }
  broken_ = true;
  co_return asio::error::connection_reset;
}

asio::awaitable<ByteStream::Handshake> ByteStream::handshake() {
  for (;;) {
    ERR_clear_error();
    const int result = SSL_accept(tls_.get());
    if (result == 1) {
      co_return Handshake{};
    }
    const unsigned long cause = ERR_peek_error();
    const auto error = co_await wait_for_tls(result);
    if (!error) {
      continue;
    }
    const char* text = ERR_reason_error_string(cause);
    Handshake failed{.reason = reason_for_metric(cause),
                     .detail = text == nullptr ? error.message() : text};
    if (error == asio::error::operation_aborted) {
      failed.reason = "timeout";
    }
    broken_ = true;
    co_return failed;
  }
}

asio::awaitable<ByteStream::Io> ByteStream::read_tls(asio::mutable_buffer space) {
  for (;;) {
    std::size_t got = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(tls_.get(), space.data(), space.size(), &got);
    if (result == 1) {
      if (++at_once_ >= kReadsAtOnce) {
        at_once_ = 0;
        co_await asio::post(socket_.get_executor(), asio::use_awaitable);
      }
      co_return Io{{}, got};
    }
    at_once_ = 0;
    const auto error = co_await wait_for_tls(result);
    if (error) {
      co_return Io{error, 0};
    }
  }
}

bool ByteStream::chose_http2() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  if (tls_) {
    SSL_get0_alpn_selected(tls_.get(), &name, &size);
  }
  return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

asio::awaitable<std::tuple<boost::system::error_code>> ByteStream::wait_readable_tls() {
  for (bool waited = false;; waited = true) {
    char byte = 0;
    std::size_t got = 0;
    ERR_clear_error();
    const int result = SSL_peek_ex(tls_.get(), &byte, 1, &got);
    if (result == 1) {
      if (!waited) {  // a read that never waits must still yield to others
        co_await asio::post(socket_.get_executor(), asio::use_awaitable);
      }
      co_return std::tuple{boost::system::error_code{}};
    }
    if (const auto error = co_await wait_for_tls(result)) {
      co_return std::tuple{error};
    }
  }
}

std::size_t ByteStream::read_now(asio::mutable_buffer space, boost::system::error_code& error) {
  error = {};
  if (tls_) {
    std::size_t got = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(tls_.get(), space.data(), space.size(), &got);
    if (result != 1) {
      error = how_it_failed(result);
    }
    return got;
  }
  const auto got = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
  if (got > 0) {
    return static_cast<std::size_t>(got);
  }
  error = got == 0 ? boost::system::error_code(asio::error::eof)
                   : boost::system::error_code(errno, boost::system::system_category());
  return 0;
}

/// would_block, or why the stream ended.
boost::system::error_code ByteStream::how_it_failed(int result) {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return asio::error::would_block;
    case SSL_ERROR_ZERO_RETURN:
      return asio::error::eof;
    default:
      broken_ = true;
      return asio::error::connection_reset;
  }
}

std::size_t ByteStream::write_tls_now(const Pieces& pieces, boost::system::error_code& error) {
  error = {};
  std::size_t total = 0;
  for (asio::const_buffer piece : pieces) {
    while (piece.size() > 0) {
      std::size_t sent = 0;
      ERR_clear_error();
      const int result = SSL_write_ex(tls_.get(), piece.data(), piece.size(), &sent);
      if (result != 1) {
        error = how_it_failed(result);
        return total;
      }
      piece += sent;
      total += sent;
    }
  }
  return total;
}

asio::awaitable<ByteStream::Io> ByteStream::write_tls(Pieces* pieces) {
  for (;;) {
    // Renegotiation is off, so a write can only wait for space in the socket.
    const auto [error] = co_await socket_.async_wait(Tcp::socket::wait_write, kToken);
    if (error) {
      co_return Io{error, 0};
    }
    boost::system::error_code failed;
    consume(*pieces, write_tls_now(*pieces, failed));
    if (failed != asio::error::would_block) {
      co_return Io{failed, 0};
    }
  }
}

ByteStream::Peer ByteStream::peer() {
  char byte = 0;
  if (tls_) {
    std::size_t got = 0;
    ERR_clear_error();
    const int result = SSL_peek_ex(tls_.get(), &byte, 1, &got);
    if (result == 1) {
      return Peer::kSent;
    }
    const int lacked = SSL_get_error(tls_.get(), result);
    if (lacked == SSL_ERROR_WANT_READ || lacked == SSL_ERROR_WANT_WRITE) {
      return Peer::kSilent;
    }
    broken_ = broken_ || lacked != SSL_ERROR_ZERO_RETURN;
    return Peer::kGone;
  }
  const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got > 0) {
    return Peer::kSent;
  }
  return got == 0 || errno == ECONNRESET ? Peer::kGone : Peer::kSilent;
}

void ByteStream::end_sending(boost::system::error_code& error) {
  if (tls_ && !broken_ && socket_.is_open()) {
    ERR_clear_error();
    SSL_shutdown(tls_.get());  // sends close_notify, if the socket has space
    ERR_clear_error();
  }
  socket_.shutdown(Tcp::socket::shutdown_send, error);
}

void consume(ByteStream::Pieces& pieces, std::size_t count) {
  std::size_t used = 0;
  while (used < pieces.size() && count >= pieces[used].size()) {
    count -= pieces[used++].size();
  }
  // A write uses only the first 64 pieces; if these were all empty it would make no progress.
  pieces.erase(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(used));
  if (count > 0) {
    pieces.front() += count;
  }
}

}  // namespace podsense::transport
