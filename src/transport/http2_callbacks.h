#pragma once

/// How nghttp2 tells of frames. Private to this module.

struct nghttp2_session;

namespace podsense::transport {

class Http2;

/// A server's session whose events go to `http2`, which outlives it. @throws std::bad_alloc
nghttp2_session* new_http2_session(Http2& http2);

}  // namespace podsense::transport
