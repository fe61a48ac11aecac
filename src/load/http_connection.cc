#include "load/http_connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>
#include <limits>
#include <utility>

namespace podsense::load {
namespace {

namespace asio = boost::asio;
constexpr std::size_t kBuffer = 16U << 10U;
constexpr std::size_t kMostHead = 256U << 10U;
/// A connection that was free for longer is looked at before it is used again.
constexpr Duration kStale = std::chrono::milliseconds(1);

TimePoint now() {
  return std::chrono::steady_clock::now();
}

std::string descriptors_reason() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return "no file descriptors left: the limit is " + std::to_string(limit.rlim_cur) +
         " (ulimit -n)";
}

/// What a server that refuses a client's certificate says; empty: it is not that. In TLS 1.3 a
/// client is through with its handshake before it hears of it.
std::string client_refused(const boost::system::error_code& code) {
  if (code.category() != asio::error::get_ssl_category()) {
    return {};
  }
  switch (ERR_GET_REASON(static_cast<unsigned long>(code.value()))) {
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

/// Why there was no handshake.
std::string tls_reason(SSL* ssl, const boost::system::error_code& code, const HttpShared& shared) {
  if (std::string refused = client_refused(code); !refused.empty()) {
    return refused;
  }
  const long verdict = SSL_get_verify_result(ssl);
  if (shared.verify && verdict != X509_V_OK) {
    return std::string("the certificate is refused: ") + X509_verify_cert_error_string(verdict);
  }
  std::string reason = "TLS handshake failed: " + code.message();
  if (code == asio::ssl::error::stream_truncated || code == asio::error::eof ||
      code == asio::error::connection_reset) {
    reason = "the server closed the connection during the TLS handshake";
  }
  // TLS 1.2 has no word of its own for it. It has asked where it named authorities.
  const bool asked = SSL_get0_peer_CA_list(ssl) != nullptr;
  return reason + (asked && !shared.shows_certificate
                       ? "; it wants a client certificate: --cert FILE --key FILE"
                       : "");
}

/// Path and query that a Location leads to; nothing where it leads to another server.
std::optional<std::string> redirect_target(const Url& url, std::string_view from,
                                           std::string_view location) {
  location = location.substr(0, location.find('#'));
  if (location.empty() || location.starts_with("//")) {
    return std::nullopt;
  }
  if (location.find("://") != location.npos && !location.starts_with('/')) {
    const auto other = parse_url(location);
    const bool same = other && other->tls == url.tls && other->host == url.host &&
                      other->port == url.port && !other->grpc;
    return same ? std::optional(other->target) : std::nullopt;
  }
  std::string target(location);
  if (location.starts_with('?')) {
    target = std::string(from.substr(0, from.find('?'))) + target;
  } else if (!location.starts_with('/')) {
    const std::string_view path = from.substr(0, from.find('?'));
    target = std::string(path.substr(0, path.rfind('/') + 1)) + target;
  }
  const bool clean = std::ranges::none_of(target, [](char c) { return c <= ' ' || c == '\x7f'; });
  return clean ? std::optional(target) : std::nullopt;
}

}  // namespace

HttpConnection::HttpConnection(asio::io_context& context, HttpShared& shared, Owner& owner)
    : shared_(shared), owner_(owner), socket_(context), in_(kBuffer) {}

void HttpConnection::connect(const Ticket* ticket) {
  connect_began_ = now();
  expires_ = connect_began_ + shared_.timeout;
  if (ticket != nullptr) {
    ticket_ = *ticket;
  }
  begun_at_ = shared_.take_endpoint();
  try_endpoint();
}

std::size_t HttpShared::take_endpoint() {
  const std::size_t taken = endpoint;
  const bool v4 = endpoints[taken].address().is_v4();
  do {
    endpoint = (endpoint + 1) % endpoints.size();
  } while (endpoints[endpoint].address().is_v4() != v4);
  return taken;
}

/// Where another family works, the next connections begin there.
void HttpShared::connected_to(std::size_t index) {
  connected = true;
  if (endpoints[index].address().is_v4() != endpoints[endpoint].address().is_v4()) {
    endpoint = index;
  }
}

void HttpConnection::try_endpoint() {
  const std::size_t index = (begun_at_ + tried_) % shared_.endpoints.size();
  Code ignored;
  socket_.close(ignored);
  socket_.async_connect(shared_.endpoints[index],
                        [self = shared_from_this(), index](const Code& code) {
                          if (self->state_ != State::kConnecting) {
                            return;
                          }
                          if (code) {
                            self->endpoint_failed(code);
                          } else {
                            self->shared_.connected_to(index);
                            self->handshake();
                          }
                        });
}

void HttpConnection::endpoint_failed(const Code& code) {
  if (code == asio::error::no_descriptors ||
      code == boost::system::errc::too_many_files_open_in_system) {
    connect_failed(ErrorKind::kDescriptors, descriptors_reason());
    return;
  }
  // The first is the one of the address that one expects to work.
  first_failure_ = tried_ == 0 ? code : first_failure_;
  if (++tried_ < shared_.endpoints.size()) {
    try_endpoint();
    return;
  }
  // An address that cannot be used at all gives the same error as one whose ports are used up.
  if (shared_.connected && first_failure_ == boost::system::errc::address_not_available) {
    connect_failed(ErrorKind::kPorts,
                   "no local ports left: see net.ipv4.ip_local_port_range; connections that are "
                   "kept open need fewer");
    return;
  }
  connect_failed(ErrorKind::kConnect, first_failure_.message());
}

void HttpConnection::handshake() {
  Code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  if (!shared_.tls) {
    connected();
    return;
  }
  tls_.emplace(socket_, *shared_.tls);
  SSL* const ssl = tls_->native_handle();
  if (asio::ip::make_address(shared_.host, ignored); ignored) {  // a name, no address
    SSL_set_tlsext_host_name(ssl, shared_.host.c_str());
  }
  if (shared_.verify) {
    tls_->set_verify_mode(asio::ssl::verify_peer, ignored);
    tls_->set_verify_callback(asio::ssl::host_name_verification(shared_.host), ignored);
  }
  tls_->async_handshake(
      asio::ssl::stream_base::client, [self = shared_from_this(), ssl](const Code& code) {
        if (self->state_ != State::kConnecting) {
          return;
        }
        if (code) {
          self->connect_failed(ErrorKind::kTls, tls_reason(ssl, code, self->shared_));
        } else {
          self->connected();
        }
      });
}

void HttpConnection::connected() {
  expires_ = TimePoint::max();
  state_ = ticket_ ? State::kBusy : State::kFree;
  last_used_ = now();
  owner_.connection_open(*this, last_used_ - connect_began_);
  if (ticket_ && !is_closed()) {
    write();
  }
  if (!is_closed()) {
    read();
  }
}

void HttpConnection::connect_failed(ErrorKind kind, const std::string& why) {
  const auto self = shared_from_this();
  close();
  owner_.connection_refused(*this, kind, why);
  if (ticket_) {
    owner_.request_finished(*this, failed_as(kind, why));
  }
}

bool HttpConnection::is_alive(TimePoint at) {
  if (at - last_used_ < kStale) {
    return true;
  }
  char byte = 0;
  const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

void HttpConnection::send(const Ticket& ticket) {
  ticket_ = ticket;
  if (state_ == State::kConnecting) {
    expires_ = ticket.started + shared_.timeout;
    return;
  }
  state_ = State::kBusy;
  write();
}

void HttpConnection::write() {
  if (!std::exchange(redirected_, false)) {
    redirects_ = 0;
    location_.clear();
    out_ = shared_.requests.request(ticket_->index, scratch_);
  }
  send_out();
}

void HttpConnection::send_out() {
  expires_ = ticket_->started + shared_.timeout;
  bytes_in_ = 0;
  first_byte_ = {};
  new_reader();
  std::size_t done = 0;
  if (!tls_) {
    Code code;
    done = socket_.write_some(asio::buffer(out_), code);
    // An error shows again, and is told, in the asynchronous write.
    done = code ? 0 : done;
  }
  if (done < out_.size()) {
    write_rest(done);
  }
}

void HttpConnection::write_rest(std::size_t done) {
  const auto rest = asio::buffer(out_.substr(done));
  writing_ = true;
  auto handler = [self = shared_from_this(), index = ticket_->index](const Code& code,
                                                                     std::size_t) {
    self->writing_ = false;
    // The answer may have come, or the server have closed, before all was written: reading tells.
    if (code && self->state_ == State::kBusy && self->ticket_->index == index) {
      self->ended(code);
    }
  };
  if (tls_) {
    asio::async_write(*tls_, rest, std::move(handler));
  } else {
    asio::async_write(socket_, rest, std::move(handler));
  }
}

void HttpConnection::read() {
  if (held_ == in_.size()) {
    in_.resize(in_.size() * 2);
  }
  const auto room = asio::buffer(in_.data() + held_, in_.size() - held_);
  auto handler = [self = shared_from_this()](const Code& code, std::size_t bytes) {
    if (self->is_closed()) {
      return;
    }
    if (code) {
      self->ended(code);
    } else {
      self->received(bytes);
    }
  };
  if (tls_) {
    tls_->async_read_some(room, std::move(handler));
  } else {
    socket_.async_read_some(room, std::move(handler));
  }
}

void HttpConnection::received(std::size_t bytes) {
  if (state_ != State::kBusy) {
    end(ErrorKind::kProtocol, {});  // bytes that nobody asked for
    return;
  }
  if (first_byte_ == TimePoint()) {
    first_byte_ = now();
  }
  bytes_in_ += bytes;
  held_ += bytes;
  if (Code code; !feed(code)) {
    end(ErrorKind::kProtocol, not_http_reason(code));
    return;
  }
  if (reader_->is_done()) {
    answered();
  }
  if (state_ == State::kFree || state_ == State::kBusy) {
    read();
  }
}

/// A TLS server answers plain HTTP with an alert, or in words as Go's and nginx do (status 400).
bool HttpConnection::is_tls_alert() const {
  constexpr char kAlert = 21;  // RFC 8446, 5.1: ContentType
  constexpr char kMajor = 3;
  return !tls_ && held_ >= 2 && in_[0] == kAlert && in_[1] == kMajor;
}

std::string HttpConnection::not_http_reason(const Code& code) const {
  return is_tls_alert() ? "the server speaks TLS on this port: use https:// or --tls"
                        : "not an HTTP answer: " + code.message();
}

void HttpConnection::new_reader() {
  reader_.emplace();
  reader_->body_limit(std::numeric_limits<std::uint64_t>::max());
  reader_->header_limit(kMostHead);
  reader_->skip(shared_.requests.is_head());
  reader_->keep_body(!shared_.expect.empty());
}

/// False, with the reason: what came is no answer.
bool HttpConnection::feed(Code& code) {
  std::size_t used = 0;
  while (used < held_ && !reader_->is_done()) {
    const std::size_t taken = reader_->put(asio::buffer(in_.data() + used, held_ - used), code);
    used += taken;
    if (code == boost::beast::http::error::need_more) {
      code = {};
      break;
    }
    if (code) {
      return false;
    }
    if (reader_->is_done() && reader_->status() / 100 == 1) {
      new_reader();  // 100 Continue and the like come before the answer, and are no part of it
      first_byte_ = used < held_ ? now() : TimePoint();
    } else if (taken == 0) {
      break;
    }
  }
  held_ -= used;
  std::memmove(in_.data(), in_.data() + used, held_);
  return true;
}

void HttpConnection::ended(const Code& code) {
  if (const std::string refused = client_refused(code); !refused.empty()) {
    connect_failed(ErrorKind::kTls, refused);
    return;
  }
  if (state_ == State::kBusy && is_tls_alert()) {  // too short for the reader to say anything
    end(ErrorKind::kProtocol, not_http_reason(code));
    return;
  }
  const bool closed = code == asio::error::eof || code == asio::ssl::error::stream_truncated;
  if (state_ == State::kBusy && closed && reader_->is_header_done() && !reader_->is_done()) {
    Code finish;
    reader_->put_eof(finish);
    if (!finish && reader_->is_done()) {
      answered();
      return;
    }
  }
  end(closed ? ErrorKind::kClosed : ErrorKind::kReset,
      closed ? "the server closed the connection before the answer was complete" : code.message());
}

/// What the answer lacks; empty: nothing.
std::string HttpConnection::unexpected() const {
  if (reader_->status() / 100 != 2) {
    return {};
  }
  for (const Expectation& one : shared_.expect) {
    if (std::string fault = one.fault_of(reader_->body()); !fault.empty()) {
      return fault;
    }
  }
  return {};
}

/// Asks again where the answer leads to; false: the answer stands.
bool HttpConnection::follow() {
  const int status = reader_->status();
  const bool leads =
      status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  if (!leads || redirects_ >= shared_.redirects || writing_) {
    return false;
  }
  const std::string from = location_.empty() ? shared_.requests.target(ticket_->index) : location_;
  const auto target = redirect_target(shared_.url, from, reader_->location());
  if (!target) {
    return false;
  }
  ++redirects_;
  location_ = *target;
  out_ = shared_.requests.redirected(ticket_->index, status, *target, scratch_);
  const bool again =
      shared_.keep_alive && reader_->keep_alive() && !reader_->need_eof() && held_ == 0;
  if (again) {
    send_out();
    return true;
  }
  redirected_ = true;
  state_ = State::kConnecting;
  held_ = 0;
  tried_ = 0;
  tls_.reset();
  connect_began_ = now();
  expires_ = ticket_->started + shared_.timeout;
  try_endpoint();
  return true;
}

void HttpConnection::answered() {
  if (shared_.redirects > 0 && follow()) {
    return;
  }
  const int status = reader_->status();
  const TimePoint at = now();
  const std::string fault = unexpected();
  const Outcome outcome{.ticket = *ticket_,
                        .error = fault.empty() ? ErrorKind::kNone : ErrorKind::kUnexpected,
                        .ok = status >= 200 && status < 300 && fault.empty(),
                        .status = status,
                        .first_byte = first_byte_,
                        .finished = at,
                        .bytes_out = out_.size(),
                        .bytes_in = bytes_in_,
                        .sample = fault.empty() ? std::string_view(reader_->sample()) : fault};
  const bool again =
      shared_.keep_alive && reader_->keep_alive() && !reader_->need_eof() && held_ == 0;
  const auto self = shared_from_this();
  ticket_.reset();
  expires_ = TimePoint::max();
  last_used_ = outcome.finished;
  if (again && !writing_) {  // an answer before the whole request is no end of that
    state_ = State::kFree;
  } else {
    close();
    owner_.connection_closed(*this);
  }
  owner_.request_finished(*this, outcome);
}

Outcome HttpConnection::failed_as(ErrorKind kind, std::string_view why) {
  const TimePoint at = now();
  const Outcome outcome{.ticket = *ticket_,
                        .error = kind,
                        .first_byte = at,
                        .finished = at,
                        .bytes_out = out_.size(),
                        .bytes_in = bytes_in_,
                        .sample = why};
  ticket_.reset();
  return outcome;
}

void HttpConnection::end(ErrorKind kind, std::string_view why) {
  if (is_closed()) {
    return;
  }
  const auto self = shared_from_this();
  close();
  owner_.connection_closed(*this);
  if (ticket_) {
    owner_.request_finished(*this, failed_as(kind, why));
  }
}

void HttpConnection::check_time(TimePoint at) {
  if (at < expires_) {
    return;
  }
  if (state_ == State::kConnecting) {
    connect_failed(ErrorKind::kTimeout, "no connection within the time limit");
  } else {
    end(ErrorKind::kTimeout, "no answer within the time limit");
  }
}

void HttpConnection::close() {
  state_ = State::kClosed;
  expires_ = TimePoint::max();
  Code ignored;
  socket_.close(ignored);
}

}  // namespace podsense::load
