#include "transport/http2_stream.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <charconv>

#include "base/ascii.h"
#include "transport/http2.h"

namespace podsense::transport {
namespace {

/// Bytes granted beyond what has arrived of a body.
constexpr std::uint64_t kAhead = 1U << 20U;
/// A head that is this many times over its limit ends the connection.
constexpr std::size_t kFarOver = 4;
/// How long to ignore what a client still sends for an answered request.
constexpr Duration kLinger = std::chrono::seconds(1);
/// RFC 9113 6.5.2: each field counts this many bytes in addition to its own.
constexpr std::size_t kFieldCost = 32;

nghttp2_nv field(std::string_view name, std::string_view value, int flags = 0) {
  // nghttp2's API takes non-const pointers, although it only reads.
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));  // NOLINT
  };
  return {.name = bytes(name),
          .value = bytes(value),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = static_cast<std::uint8_t>(NGHTTP2_NV_FLAG_NO_COPY_NAME | flags)};
}

/// For values that differ in every answer: not stored in HPACK's table.
constexpr int kOnce = NGHTTP2_NV_FLAG_NO_INDEX;

ssize_t read_data(nghttp2_session* /*session*/, std::int32_t /*id*/, std::uint8_t* /*space*/,
                  std::size_t most, std::uint32_t* flags, nghttp2_data_source* source,
                  void* /*http2*/) {
  return static_cast<Http2Stream*>(source->ptr)->next_data(most, *flags);
}

std::size_t size_of(const Chunk& chunk) {
  std::size_t size = chunk.bytes.size();
  for (const auto part : chunk.tail) {
    size += part.size();
  }
  return size;
}

std::string_view part_of(const Chunk& chunk, std::size_t part) {
  if (part == 0) {
    return chunk.bytes;
  }
  const auto span = chunk.tail[part - 1];
  return {reinterpret_cast<const char*>(span.data()), span.size()};
}

}  // namespace

Http2Stream::Http2Stream(Http2& http2, std::int32_t id, std::shared_ptr<const void> holder)
    : holder_(std::move(holder)),
      http2_(http2),
      id_(id),
      executor_(http2.connection().stream().socket().get_executor()),
      exchange_(http2.connection().server(), http2.connection().worker(),
                http2.connection().peer()) {
  exchange_.begin();
}

Http2Stream::~Http2Stream() = default;

bool Http2Stream::add_header(std::string_view name, std::string_view value) {
  const std::size_t limit = http2_.connection().server().options.max_header_bytes;
  head_size_ += name.size() + value.size() + kFieldCost;
  if (head_size_ > limit) {
    return head_size_ <= limit * kFarOver;  // further fields are decoded and dropped
  }
  Request& request = exchange_.request();
  if (name == ":method") {
    request.method_name = value;
    request.method = method_of(value);
  } else if (name == ":path") {
    request.target = value;
  } else if (name == ":authority") {
    request.headers.add("host", value);
  } else if (name == "host") {
    if (request.headers.count("host") == 0) {
      request.headers.add(name, value);
    }
  } else if (!name.starts_with(':')) {
    request.headers.add(name, value);
  }
  return true;
}

void Http2Stream::head_complete(bool ended) {
  remote_ended_ = ended;
  ServerState& server = http2_.connection().server();
  const Request& request = exchange_.request();
  body_expires_ = ended ? TimePoint::max() : http2_.now() + server.options.body_timeout;
  if (head_size_ > server.options.max_header_bytes) {
    return refuse_head();
  }
  if (const OpenStream* open = server.router.stream_service(request)) {
    if (const auto& refused = http2_.connection().turned_away()) {
      exchange_.examine();
      exchange_.refuse(*refused);
      return answer(exchange_.ready_answer());
    }
    exchange_.examine();
    if (const auto& refused = exchange_.refusal();
        refused && refused->code == ErrorCode::kOverloaded) {
      return answer(exchange_.ready_answer());  // too many requests of this address
    }
    service_ = (*open)(self());
    if (ended && service_) {
      service_->on_end();
    }
    return;
  }
  begin_handler(ended);
}

void Http2Stream::refuse_head() {
  exchange_.name_nameless();
  exchange_.refuse(
      {.code = ErrorCode::kHeadersTooLarge,
       .message = "the headers are over " +
                  std::to_string(http2_.connection().server().options.max_header_bytes) +
                  " bytes"});
  answer(exchange_.ready_answer());
}

void Http2Stream::begin_handler(bool ended) {
  exchange_.examine();
  exchange_.choose_handler();
  if (const auto& refused = http2_.connection().turned_away()) {
    exchange_.turn_away(*refused);
  }
  const std::string_view length = exchange_.request().header("content-length");
  std::uint64_t size = 0;
  if (std::from_chars(length.data(), length.data() + length.size(), size).ec == std::errc()) {
    length_ = size;
  }
  exchange_.check_body(length_, !ended || length_);
  if (exchange_.refusal()) {
    return answer(exchange_.ready_answer());
  }
  if (ended) {
    return body_complete();
  }
  reads_body_ = true;
  grant_ahead();
}

/// The rest of a short body, or trailers, usually follow soon, and then the stream ends by itself.
void Http2Stream::answered_early() {
  if (service_) {
    return need_no_more();
  }
  lingers_ = true;
  body_expires_ = std::min(body_expires_, http2_.now() + kLinger);
  record();
}

/// Logs the answer, which is complete even if the client is still sending.
void Http2Stream::record() {
  exchange_.record(response_, bytes_out_, answer_began_);
  exchange_.end();
}

/// Tells the client not to send the rest. @source RFC 9113, 8.1
void Http2Stream::need_no_more() {
  nghttp2_submit_rst_stream(http2_.session(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_NO_ERROR);
  http2_.flush_soon();
}

/// Grants the client a window beyond the bytes received, if there is memory for it.
void Http2Stream::grant_ahead() {
  const std::uint64_t most = length_.value_or(exchange_.max_body() + 1);
  const std::uint64_t target = std::min(most, received_ + kAhead);
  if (target <= granted_ || granted_ - received_ >= kAhead / 2) {
    return;
  }
  if (!exchange_.take_memory(length_ ? target : 2 * target)) {
    reads_body_ = false;
    return answer(exchange_.ready_answer());
  }
  grant(target - granted_);
}

void Http2Stream::data(std::string_view bytes) {
  received_ += bytes.size();
  if (service_) {
    return service_->on_data(bytes);
  }
  if (!reads_body_) {  // it was answered already
    passed_over_ += bytes.size();
    if (lingers_ && passed_over_ > kMostDiscarded) {
      need_no_more();
    }
    return;
  }
  std::string& body = exchange_.request().body;
  if (body.size() + bytes.size() > exchange_.max_body()) {
    exchange_.refuse(exchange_.too_large(std::nullopt));
  } else if (exchange_.take_memory(
                 std::max(length_.value_or(0), 2 * std::uint64_t{body.size() + bytes.size()}))) {
    if (length_ && body.empty()) {
      body.reserve(*length_);
    }
    body += bytes;
    return grant_ahead();
  }
  reads_body_ = false;
  answer(exchange_.ready_answer());
}

void Http2Stream::ended() {
  remote_ended_ = true;
  body_expires_ = TimePoint::max();
  if (service_) {
    return service_->on_end();
  }
  if (std::exchange(reads_body_, false)) {
    body_complete();
  }
}

void Http2Stream::body_complete() {
  if (exchange_.coding() != Coding::kIdentity && !exchange_.request().body.empty()) {
    inflater_ = std::make_unique<Inflater>(exchange_.request().body, exchange_.coding(),
                                           http2_.connection().server().options.max_inflated_bytes);
    return inflate();
  }
  call_handler();
}

/// Decompresses one slice, then yields to other connections.
void Http2Stream::inflate() {
  if (closed_ || responded_) {
    return;
  }
  constexpr std::size_t kSlice = 64U << 10U;
  if (exchange_.take_memory(exchange_.request().body.size() + 2 * inflater_->size() + kSlice)) {
    const auto done = inflater_->step();
    if (!done) {
      exchange_.refuse(done.error());
    } else if (!*done) {
      return boost::asio::post(executor_, [self = self()] { self->inflate(); });
    } else {
      exchange_.request().body = inflater_->take();
    }
  }
  inflater_.reset();
  call_handler();
}

void Http2Stream::call_handler() {
  if (!exchange_.refusal()) {
    static_cast<void>(exchange_.take_memory_to_read());
  }
  exchange_.set_deadline();
  if (!exchange_.has_handler()) {
    return answer(exchange_.ready_answer());
  }
  exchange_.call_handler([self = self()](Response response) mutable {
    Http2Stream& stream = *self;
    stream.exchange_.pack(response);
    stream.post([self = std::move(self), response = std::move(response)]() mutable {
      self->answer(std::move(response));
    });
  });
}

/// Sends the answer of a handler, or an error instead of it.
void Http2Stream::answer(Response response) {
  if (responded_) {
    return;
  }
  if (closed_) {  // nobody reads it
    exchange_.record(response, 0, http2_.now());
    return exchange_.end();
  }
  reads_body_ = false;
  exchange_.decorate(response);
  answer_began_ = http2_.now();
  const bool bodiless = exchange_.request().method == Method::kHead || response.status == 204 ||
                        response.status == 304;
  Chunk chunk{.bytes = std::move(response.body),
              .tail = std::move(response.tail),
              .owner = std::move(response.tail_owner),
              .memory = std::move(response.memory)};
  if (!response.static_body.empty()) {
    chunk.tail.push_back(std::as_bytes(std::span(response.static_body)));
  }
  const std::size_t size = size_of(chunk);
  const std::string status = std::to_string(response.status);
  const std::string length = std::to_string(size);
  std::vector<nghttp2_nv> head;
  head.reserve(8 + response.headers.size());
  head.push_back(field(":status", status));
  head.push_back(field("date", http2_.connection().worker().date));
  if (!response.content_type.empty()) {
    head.push_back(field("content-type", response.content_type));
  }
  if (response.status != 204 && response.status != 304) {
    head.push_back(field("content-length", length));
  }
  head.push_back(field("x-request-id", exchange_.request().id, kOnce));
  if (!exchange_.request().context.traceparent.empty()) {
    head.push_back(field("traceparent", exchange_.request().context.traceparent, kOnce));
  }
  std::vector<std::string> names;  // HTTP/2 has them in lower case
  names.reserve(response.headers.size());
  for (const auto& [name, value] : response.headers) {
    names.push_back(ascii::lower(name));
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    // The copies of the names die after this call: nghttp2 must make its own.
    nghttp2_nv entry = field(names[i], response.headers[i].second);
    entry.flags = NGHTTP2_NV_FLAG_NONE;
    head.push_back(entry);
  }
  response_ = std::move(response);
  finished_ = true;
  const bool has_body = !bodiless && size > 0;
  if (has_body) {
    queue(std::move(chunk));
  }
  submit(head, has_body);
}

void Http2Stream::submit(std::span<const nghttp2_nv> head, bool has_body) {
  responded_ = true;
  nghttp2_data_provider provider{.source = {.ptr = this}, .read_callback = &read_data};
  const int failed = nghttp2_submit_response(http2_.session(), id_, head.data(), head.size(),
                                             has_body ? &provider : nullptr);
  if (failed != 0) {
    nghttp2_submit_rst_stream(http2_.session(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_INTERNAL_ERROR);
  }
  http2_.flush_soon();
}

void Http2Stream::respond(Fields headers) {
  if (closed_ || responded_) {
    return;
  }
  std::vector<nghttp2_nv> head;
  head.reserve(headers.size() + 1);
  head.push_back(field(":status", "200"));
  for (const auto& [name, value] : headers) {
    head.push_back(field(name, value));
  }
  submit(head, true);
}

void Http2Stream::queue(Chunk chunk) {
  const std::size_t size = size_of(chunk);
  if (size == 0) {
    return;
  }
  if (unsent_ == 0) {
    progressed_ = http2_.now();
  }
  unsent_ += size;
  bytes_out_ += size;
  chunks_.push_back(std::move(chunk));
}

void Http2Stream::write(Chunk chunk) {
  if (closed_ || finished_) {
    return;
  }
  queue(std::move(chunk));
  if (std::exchange(deferred_, false)) {
    nghttp2_session_resume_data(http2_.session(), id_);
  }
  http2_.flush_soon();
}

void Http2Stream::finish(Fields trailers) {
  if (closed_ || finished_) {
    return;
  }
  finished_ = true;
  exchange_.end();
  if (!responded_) {
    std::vector<nghttp2_nv> head;
    head.reserve(trailers.size() + 1);
    head.push_back(field(":status", "200"));
    for (const auto& [name, value] : trailers) {
      head.push_back(field(name, value));
    }
    return submit(head, false);
  }
  trailers_ = std::move(trailers);
  if (std::exchange(deferred_, false)) {
    nghttp2_session_resume_data(http2_.session(), id_);
  }
  http2_.flush_soon();
}

void Http2Stream::grant(std::uint64_t bytes) {
  if (closed_ || bytes == 0 || remote_ended_) {
    return;
  }
  granted_ += bytes;
  nghttp2_submit_window_update(
      http2_.session(), NGHTTP2_FLAG_NONE, id_,
      static_cast<std::int32_t>(std::min<std::uint64_t>(bytes, INT32_MAX)));
  http2_.flush_soon();
}

std::ptrdiff_t Http2Stream::next_data(std::size_t most, std::uint32_t& flags) {
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(unsent_, most));
  if (size == unsent_ && finished_) {
    flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!trailers_.empty()) {
      flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      std::vector<nghttp2_nv> fields;
      fields.reserve(trailers_.size());
      for (const auto& [name, value] : trailers_) {
        fields.push_back(field(name, value));
      }
      nghttp2_submit_trailer(http2_.session(), id_, fields.data(), fields.size());
    }
  } else if (size == 0) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  return static_cast<std::ptrdiff_t>(size);
}

void Http2Stream::send_data(std::string_view frame_head, std::size_t size) {
  Http2Output& output = http2_.output();
  output.add(frame_head);
  if (size > 0) {
    http2_.flood().earn(3);
    progressed_ = http2_.now();
  }
  unsent_ -= size;
  while (size > 0) {
    const Chunk& chunk = chunks_.front();
    const std::string_view part = part_of(chunk, chunk_part_).substr(chunk_offset_);
    const std::string_view piece = part.substr(0, size);
    output.borrow(piece, shared_from_this());
    size -= piece.size();
    chunk_offset_ += piece.size();
    if (piece.size() == part.size()) {
      chunk_offset_ = 0;
      if (++chunk_part_ > chunk.tail.size()) {
        chunk_part_ = 0;
        output.keep(std::move(chunks_.front()));
        chunks_.pop_front();
      }
    }
  }
  if (unsent_ == 0) {
    progressed_ = TimePoint::max();
    if (service_) {
      service_->on_sent();
    }
  }
}

void Http2Stream::closed(bool whole) {
  closed_ = true;
  exchange_.abandon();
  if (responded_ && !service_ && !lingers_) {
    record();
  }
  if (whole) {  // an answer that nobody received earns nothing back
    http2_.flood().earn(4);
  }
  if (responded_) {
    exchange_.end();
  }
  if (const auto service = std::move(service_)) {
    service->on_closed();
  }
}

void Http2Stream::check_time(TimePoint now) {
  const Duration limit = http2_.connection().server().options.write_timeout;
  if (now >= body_expires_) {
    body_expires_ = TimePoint::max();
    lingers_ ? need_no_more() : end_body();
  } else if (progressed_ != TimePoint::max() && now - progressed_ > limit) {
    nghttp2_submit_rst_stream(http2_.session(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_CANCEL);
    http2_.flush_soon();
  }
}

void Http2Stream::end_body() {
  if (service_) {
    return service_->on_late();
  }
  if (std::exchange(reads_body_, false)) {
    exchange_.refuse(
        {.code = ErrorCode::kRequestTimeout, .message = "the request's body did not come in time"});
    answer(exchange_.ready_answer());
  }
}

void Http2Stream::stop() {
  if (const auto service = service_) {
    service->on_stop();
  }
}

void Http2Stream::post(std::move_only_function<void()> work) {
  if (std::this_thread::get_id() == thread_) {
    return work();
  }
  boost::asio::post(executor_, [keep = shared_from_this(), work = std::move(work)]() mutable {
    work();
    work = nullptr;
  });
}

}  // namespace podsense::transport
