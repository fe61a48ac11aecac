#include "transport/http2_callbacks.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <new>
#include <string_view>

#include "transport/http2.h"
#include "transport/http2_stream.h"

namespace podsense::transport {
namespace {

std::string_view text(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

Http2& of(void* http2) {
  return *static_cast<Http2*>(http2);
}

bool is_request(const nghttp2_frame* frame) {
  return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

int on_begin_headers(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* http2) {
  if (is_request(frame)) {
    of(http2).open_stream(frame->hd.stream_id);
  }
  return 0;
}

/// Trailers are read and ignored, RFC 9110 6.5.1.
int on_header(nghttp2_session* /*session*/, const nghttp2_frame* frame, const std::uint8_t* name,
              std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
              std::uint8_t /*flags*/, void* http2) {
  if (!is_request(frame)) {
    return 0;
  }
  Http2Stream* const stream = of(http2).find(frame->hd.stream_id);
  if (stream != nullptr && !stream->add_header(text(name, name_size), text(value, value_size))) {
    of(http2).calm_down("headers");
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  return 0;
}

bool ends_stream(const nghttp2_frame* frame) {
  return (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

int on_frame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* http2) {
  Http2& connection = of(http2);
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
      connection.head_ended();
      if (Http2Stream* const stream = connection.find(frame->hd.stream_id); stream != nullptr) {
        if (is_request(frame)) {
          stream->head_complete(ends_stream(frame));
        } else if (ends_stream(frame)) {
          stream->ended();
        }
      }
      break;
    case NGHTTP2_DATA:
      if (Http2Stream* const stream = connection.find(frame->hd.stream_id);
          stream != nullptr && ends_stream(frame)) {
        stream->ended();
      }
      break;
    case NGHTTP2_RST_STREAM:
      connection.note_reset(frame->hd.stream_id);
      break;
    case NGHTTP2_PING:
      connection.got_ping((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0);
      break;
    case NGHTTP2_SETTINGS:
      connection.got_settings();
      break;
    default:
      break;
  }
  return 0;
}

int on_data(nghttp2_session* session, std::uint8_t /*flags*/, std::int32_t id,
            const std::uint8_t* bytes, std::size_t size, void* http2) {
  Http2& connection = of(http2);
  // The bytes are used at once, or counted for the stream.
  nghttp2_session_consume_connection(session, size);
  constexpr double kWorth = 16;  // bytes that a DATA frame should have at least
  connection.flood().earn(std::min(2.0, static_cast<double>(size) / kWorth));
  if (Http2Stream* const stream = connection.find(id); stream != nullptr) {
    stream->data(text(bytes, size));
  }
  return 0;
}

int on_stream_close(nghttp2_session* /*session*/, std::int32_t id, std::uint32_t error,
                    void* http2) {
  of(http2).close_stream(id, error == NGHTTP2_NO_ERROR);
  return 0;
}

int on_sent(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* http2) {
  if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM) {
    of(http2).was_calmed();
  }
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
    return 0;
  }
  of(http2).note_sent();
  Http2Stream* const stream = of(http2).find(frame->hd.stream_id);
  if (stream != nullptr && ends_stream(frame) && !stream->remote_ended()) {
    stream->answered_early();
  }
  return 0;
}

int send_data(nghttp2_session* /*session*/, nghttp2_frame* /*frame*/, const std::uint8_t* head,
              std::size_t size, nghttp2_data_source* source, void* /*http2*/) {
  constexpr std::size_t kHead = 9;
  static_cast<Http2Stream*>(source->ptr)->send_data(text(head, kHead), size);
  return 0;
}

struct Setup {
  Setup() {
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
      throw std::bad_alloc();
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, &on_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, &send_data);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
  }
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
};

}  // namespace

nghttp2_session* new_http2_session(Http2& http2) {
  static const Setup setup;
  nghttp2_session* session = nullptr;
  if (nghttp2_session_server_new2(&session, setup.callbacks, &http2, setup.option) != 0) {
    throw std::bad_alloc();
  }
  return session;
}

}  // namespace podsense::transport
