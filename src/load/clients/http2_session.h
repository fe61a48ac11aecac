#pragma once

/// A client's side of one HTTP/2 connection without its socket: bytes go in and come out, streams
/// and the connection learn what becomes of them. nghttp2 keeps the protocol's rules: frames,
/// HPACK, flow control, and what a server may not send.
/// @source RFC 9113

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "load/clients/http2_messages.h"

struct nghttp2_session;

namespace podsense::load {

/// "CANCEL", or the number where there is no such code.
std::string http2_error_name(std::uint32_t code);

/// A request and its answer. The session knows it from `submit` until one of `on_end`, `on_failure`
/// or `Http2Session::cancel`; it must live so long, and stay where it is.
class Http2ClientStream {
 public:
  struct Failure {
    enum class Cause {
      kReset,        ///< by the server, with `code`
      kUnprocessed,  ///< the server did not look at it: it may be sent again; with `code`, or
                     ///< GOAWAY
      kFault,        ///< the answer, or the request, breaks the rules: see `what`
    } cause;
    std::uint32_t code = 0;  ///< of RST_STREAM; 0: there was none
    std::string what;
  };

  Http2ClientStream() = default;
  Http2ClientStream(const Http2ClientStream&) = delete;
  Http2ClientStream& operator=(const Http2ClientStream&) = delete;
  virtual ~Http2ClientStream() = default;

  virtual void on_header(std::string_view name, std::string_view value) = 0;
  virtual void on_data(std::string_view bytes) = 0;
  /// The answer is complete.
  virtual void on_end() = 0;
  virtual void on_failure(const Failure& failure) = 0;

  Http2Request request;
  std::uint64_t wire_out = 0;  ///< bytes of its frames
  std::uint64_t wire_in = 0;

 private:
  friend class Http2Session;
  std::int32_t id_ = 0;
  std::size_t body_sent_ = 0;
  std::size_t header_bytes_ = 0;
  bool reset_by_server_ = false;
  std::string fault_;
};

/// @threads one; of its calls, only `submit` and `cancel` may come from a callback
class Http2Session {
 public:
  class Events {
   public:
    virtual ~Events() = default;
    /// The server's settings are there, or changed.
    virtual void on_settings() = 0;
    /// The server takes no further requests; some may be under way yet.
    virtual void on_goaway(std::uint32_t code, std::string_view why) = 0;
  };

  /// Preface, settings and a window of the connection are the first bytes to send. Windows are as
  /// large as they may be: nothing is kept of what comes, so that nothing need wait.
  explicit Http2Session(Events& events);
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  /// Sends `stream.request`. False: the connection takes no more.
  bool submit(Http2ClientStream& stream);
  /// Resets the stream; it hears nothing more.
  void cancel(Http2ClientStream& stream);

  /// `fault` tells whether the connection is over.
  void receive(std::string_view bytes);
  /// The next bytes to send, valid until the next call; empty: none.
  std::string_view output();
  /// What the server did that no server may, once `output` has given the word that ends the
  /// connection; empty: nothing.
  [[nodiscard]] const std::string& fault() const { return fault_; }
  /// So many streams at a time the server allows.
  [[nodiscard]] std::uint32_t allowed_streams() const;

 private:
  struct Callbacks;  ///< what nghttp2 calls
  struct Free {
    void operator()(nghttp2_session* session) const;
  };

  Http2ClientStream* find(std::int32_t id) const;
  void detach(Http2ClientStream& stream);
  void ended(std::int32_t id);
  void closed(std::int32_t id, std::uint32_t code);

  Events& events_;
  std::unique_ptr<nghttp2_session, Free> session_;
  std::string reason_;  ///< of the last fault, in nghttp2's words
  bool reason_is_new_ = false;
  std::string fault_;
};

}  // namespace podsense::load
