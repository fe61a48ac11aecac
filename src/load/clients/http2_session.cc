#include "load/clients/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace podsense::load {
namespace {

/// What one may grow to before another's data hold it up: the largest that RFC 9113 has, less a
/// margin that h2load keeps as well.
constexpr std::int32_t kWindow = (1 << 30) - 1;
/// Of an answer, its trailers included, each field with 32 bytes beside its own.
constexpr std::size_t kMostHeaders = 256U << 10U;
constexpr std::size_t kFieldOverhead = 32;  // RFC 9113, 6.5.2
constexpr std::size_t kFrameHead = 9;

std::string_view text(const std::uint8_t* bytes, std::size_t size) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): nghttp2's bytes are unsigned
  return {reinterpret_cast<const char*>(bytes), size};
}

/// nghttp2 copies what it is given, and takes it by pointers that are not const.
nghttp2_nv field(const HeaderField& header) {
  const auto bytes = [](const std::string& value) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast,cppcoreguidelines-pro-type-const-cast)
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  };
  return {.name = bytes(header.name),
          .value = bytes(header.value),
          .namelen = header.name.size(),
          .valuelen = header.value.size(),
          .flags = NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

std::string http2_error_name(std::uint32_t code) {
  constexpr std::uint32_t kCodes = 14;
  return code < kCodes ? nghttp2_http2_strerror(code) : std::to_string(code);
}

struct Http2Session::Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

  static int on_header(nghttp2_session* /*session*/, const nghttp2_frame* frame,
                       const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
                       std::size_t value_size, std::uint8_t /*flags*/, void* user) {
    Http2ClientStream* const stream = self(user).find(frame->hd.stream_id);
    if (stream == nullptr) {
      return 0;
    }
    stream->header_bytes_ += name_size + value_size + kFieldOverhead;
    if (stream->header_bytes_ > kMostHeaders) {
      stream->fault_ = "the answer's headers are larger than 256 KiB";
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    stream->on_header(text(name, name_size), text(value, value_size));
    return 0;
  }

  static int on_data(nghttp2_session* /*session*/, std::uint8_t /*flags*/, std::int32_t id,
                     const std::uint8_t* bytes, std::size_t size, void* user) {
    if (Http2ClientStream* const stream = self(user).find(id)) {
      stream->on_data(text(bytes, size));
    }
    return 0;
  }

  static int on_frame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    Http2Session& session = self(user);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        if (Http2ClientStream* const stream = session.find(frame->hd.stream_id)) {
          stream->wire_in += kFrameHead + frame->hd.length;
          if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            session.ended(frame->hd.stream_id);
          }
        }
        break;
      case NGHTTP2_RST_STREAM:
        if (Http2ClientStream* const stream = session.find(frame->hd.stream_id)) {
          stream->reset_by_server_ = true;  // `on_close` follows
        }
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
          session.events_.on_settings();
        }
        break;
      case NGHTTP2_GOAWAY:
        session.events_.on_goaway(frame->goaway.error_code,
                                  text(frame->goaway.opaque_data, frame->goaway.opaque_data_len));
        break;
      default:
        break;
    }
    return 0;
  }

  /// A frame that breaks the rules: nghttp2 resets its stream, or ends the connection.
  static int on_invalid_frame(nghttp2_session* /*session*/, const nghttp2_frame* frame, int error,
                              void* user) {
    Http2Session& session = self(user);
    if (!std::exchange(session.reason_is_new_, false)) {
      session.reason_ = nghttp2_strerror(error);
    }
    if (Http2ClientStream* const stream = session.find(frame->hd.stream_id)) {
      stream->fault_ = "not an HTTP/2 answer: " + session.reason_;
    }
    return 0;
  }

  static int on_error(nghttp2_session* /*session*/, int /*error*/, const char* message,
                      std::size_t size, void* user) {
    self(user).reason_.assign(message, size);
    self(user).reason_is_new_ = true;
    return 0;
  }

  static int on_sent(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    Http2Session& session = self(user);
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
      session.fault_ =
          session.reason_.empty() ? http2_error_name(frame->goaway.error_code) : session.reason_;
    } else if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
      if (Http2ClientStream* const stream = session.find(frame->hd.stream_id)) {
        stream->wire_out += kFrameHead + frame->hd.length;
      }
    }
    return 0;
  }

  /// nghttp2 closes the stream next, as refused: that holds only where the server is the reason.
  static int on_not_sent(nghttp2_session* /*session*/, const nghttp2_frame* frame, int error,
                         void* user) {
    Http2ClientStream* const stream = self(user).find(frame->hd.stream_id);
    if (stream != nullptr && frame->hd.type == NGHTTP2_HEADERS &&
        error != NGHTTP2_ERR_START_STREAM_NOT_ALLOWED && error != NGHTTP2_ERR_SESSION_CLOSING) {
      stream->fault_ = std::string("the request cannot be sent: ") + nghttp2_strerror(error);
    }
    return 0;
  }

  static int on_close(nghttp2_session* /*session*/, std::int32_t id, std::uint32_t code,
                      void* user) {
    self(user).closed(id, code);
    return 0;
  }

  static ssize_t read_body(nghttp2_session* /*session*/, std::int32_t id, std::uint8_t* room,
                           std::size_t size, std::uint32_t* flags, nghttp2_data_source* /*source*/,
                           void* user) {
    Http2ClientStream* const stream = self(user).find(id);
    if (stream == nullptr) {  // canceled: its reset goes first
      return NGHTTP2_ERR_DEFERRED;
    }
    const std::string& body = *stream->request.body;
    const std::size_t part = std::min(size, body.size() - stream->body_sent_);
    std::copy_n(body.data() + stream->body_sent_, part, room);
    stream->body_sent_ += part;
    if (stream->body_sent_ == body.size()) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return static_cast<ssize_t>(part);
  }

  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* all = nullptr;
    if (nghttp2_session_callbacks_new(&all) != 0) {
      throw std::bad_alloc();
    }
    nghttp2_session_callbacks_set_on_header_callback(all, &on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, &on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, &on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(all, &on_invalid_frame);
    nghttp2_session_callbacks_set_error_callback2(all, &on_error);
    nghttp2_session_callbacks_set_on_frame_send_callback(all, &on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(all, &on_not_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(all, &on_close);
    return all;
  }
};

void Http2Session::Free::operator()(nghttp2_session* session) const {
  nghttp2_session_del(session);
}

Http2Session::Http2Session(Events& events) : events_(events) {
  nghttp2_session_callbacks* const callbacks = Callbacks::make();
  nghttp2_option* options = nullptr;
  nghttp2_session* session = nullptr;
  int error = nghttp2_option_new(&options);
  if (error == 0) {
    nghttp2_option_set_no_closed_streams(options, 1);  // kept only for priorities
    error = nghttp2_session_client_new2(&session, callbacks, this, options);
    nghttp2_option_del(options);
  }
  nghttp2_session_callbacks_del(callbacks);
  if (error != 0) {
    throw std::bad_alloc();  // the only reason
  }
  session_.reset(session);
  const std::array<nghttp2_settings_entry, 3> settings{
      {{.settings_id = NGHTTP2_SETTINGS_ENABLE_PUSH, .value = 0},
       {.settings_id = NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, .value = kWindow},
       {.settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, .value = kMostHeaders}}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kWindow);
}

Http2Session::~Http2Session() = default;

Http2ClientStream* Http2Session::find(std::int32_t id) const {
  return static_cast<Http2ClientStream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
}

void Http2Session::detach(Http2ClientStream& stream) {
  nghttp2_session_set_stream_user_data(session_.get(), stream.id_, nullptr);
}

bool Http2Session::submit(Http2ClientStream& stream) {
  std::vector<nghttp2_nv> fields;
  fields.reserve(stream.request.head->size());
  std::ranges::transform(*stream.request.head, std::back_inserter(fields), field);
  const nghttp2_data_provider body{.source = {}, .read_callback = &Callbacks::read_body};
  stream.body_sent_ = 0;
  stream.header_bytes_ = 0;
  stream.reset_by_server_ = false;
  stream.fault_.clear();
  const bool has_body = stream.request.body && !stream.request.body->empty();
  stream.id_ = nghttp2_submit_request(session_.get(), nullptr, fields.data(), fields.size(),
                                      has_body ? &body : nullptr, &stream);
  return stream.id_ > 0;
}

void Http2Session::cancel(Http2ClientStream& stream) {
  detach(stream);
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_CANCEL);
}

/// The server has said all. Where it did not wait for the rest of the request, nobody needs that.
void Http2Session::ended(std::int32_t id) {
  Http2ClientStream* const stream = find(id);
  detach(*stream);
  if (nghttp2_session_get_stream_local_close(session_.get(), id) == 0) {
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  }
  stream->on_end();
}

void Http2Session::closed(std::int32_t id, std::uint32_t code) {
  Http2ClientStream* const stream = find(id);
  if (stream == nullptr) {
    return;
  }
  detach(*stream);
  using Cause = Http2ClientStream::Failure::Cause;
  if (stream->fault_.empty() && code == NGHTTP2_REFUSED_STREAM) {
    stream->on_failure(
        {.cause = Cause::kUnprocessed, .code = stream->reset_by_server_ ? code : 0, .what = {}});
  } else if (stream->reset_by_server_) {
    stream->on_failure({.cause = Cause::kReset, .code = code, .what = {}});
  } else {
    stream->on_failure({.cause = Cause::kFault,
                        .code = code,
                        .what = stream->fault_.empty()
                                    ? "not an HTTP/2 answer: " + http2_error_name(code)
                                    : stream->fault_});
  }
}

void Http2Session::receive(std::string_view bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): nghttp2's bytes are unsigned
  const auto* const data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const ssize_t taken = nghttp2_session_mem_recv(session_.get(), data, bytes.size());
  if (taken < 0) {
    fault_ = nghttp2_strerror(static_cast<int>(taken));
  }
}

std::string_view Http2Session::output() {
  const std::uint8_t* bytes = nullptr;
  const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
  if (size < 0) {
    fault_ = nghttp2_strerror(static_cast<int>(size));
    return {};
  }
  return text(bytes, static_cast<std::size_t>(size));
}

std::uint32_t Http2Session::allowed_streams() const {
  return nghttp2_session_get_remote_settings(session_.get(),
                                             NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

}  // namespace podsense::load
