#pragma once

/// The callbacks through which nghttp2 reports frames. Private to this module.

struct nghttp2_session;

namespace podsense::transport {

class Http2;

/// A server session that reports its events to `http2`, which must outlive it. @throws
/// std::bad_alloc
nghttp2_session* new_http2_session(Http2& http2);

}  // namespace podsense::transport
