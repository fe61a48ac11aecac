#include "trace/otlp.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/protobuf_wire.h"
#include "trace/ids.h"

namespace podsense::trace {
namespace {

using Message = WireMessage;

Message attribute(std::string_view key, std::string_view value) {
  Message any;
  any.bytes(1, value);
  Message pair;
  pair.text(1, key);
  pair.message(2, any);
  return pair;
}

Message attribute(std::string_view key, std::uint64_t value) {
  Message any;
  any.number(3, value);
  Message pair;
  pair.text(1, key);
  pair.message(2, any);
  return pair;
}

std::string big_endian(std::uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) {
    out += static_cast<char>(value >> static_cast<unsigned>(shift));
  }
  return out;
}

constexpr std::uint64_t kInternal = 1;
constexpr std::uint64_t kServer = 2;
constexpr std::uint64_t kClient = 3;
constexpr std::uint64_t kStatusError = 2;

struct Head {
  std::uint64_t span_id = 0;
  std::uint64_t parent = 0;
  std::string_view name;
  std::uint64_t kind = kInternal;
  TimePoint begin;
  TimePoint end;
};

std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; !bytes.empty() && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if (byte < 0x80) {
      break;
    }
  }
  return value;
}

/// A field removed from the front of `bytes`: its number, and its value in one of the two members.
struct WireField {
  std::uint64_t number = 0;
  std::uint64_t integer = 0;
  std::string_view text;
};
bool take_field(std::string_view& bytes, WireField& field) {
  if (bytes.empty()) {
    return false;
  }
  const std::uint64_t key = take_varint(bytes);
  field = {.number = key >> 3U};
  switch (key & 7U) {
    case 0:
      field.integer = take_varint(bytes);
      return true;
    case 2: {
      const std::uint64_t size = std::min<std::uint64_t>(take_varint(bytes), bytes.size());
      field.text = bytes.substr(0, size);
      bytes.remove_prefix(size);
      return true;
    }
    default:
      return false;  // these messages have no other wire types
  }
}

}  // namespace

/// Encodes a Request; a friend that reads its members.
struct Encoder {
  const Request& request;

  [[nodiscard]] std::uint64_t unix_ns(TimePoint at) const {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(at.time_since_epoch().count() + request.unix_offset_ns_, 0));
  }

  [[nodiscard]] Message span(const Head& head) const {
    Message out;
    const auto& trace_id = request.own_.trace_id;
    out.bytes(1, big_endian(trace_id[0]) + big_endian(trace_id[1]));
    out.bytes(2, big_endian(head.span_id));
    if (head.parent != 0) {
      out.bytes(4, big_endian(head.parent));
    }
    out.text(5, head.name);
    out.number(6, head.kind);
    out.fixed64(7, unix_ns(head.begin));
    out.fixed64(8, unix_ns(head.end));
    return out;
  }

  [[nodiscard]] Message whole() const {
    Message out = span({.span_id = request.own_.span_id,
                        .parent = request.parent_span_,
                        .name = request.name_,
                        .kind = kServer,
                        .begin = request.begin_,
                        .end = request.end_});
    out.message(9, attribute("http.request.method", request.method_));
    out.message(9, attribute("url.path", request.path_));
    out.message(
        9, attribute("http.response.status_code", static_cast<std::uint64_t>(request.status_)));
    out.message(9, attribute("podsense.request_id", request.request_id_));
    // OpenTelemetry's conventions only cover generative AI models (gen_ai.request.model).
    if (!request.model_.empty()) {
      out.message(9, attribute("podsense.model.name", request.model_));
      out.message(9, attribute("podsense.model.version", request.version_));
    }
    if (request.failed_) {
      out.message(9, attribute("error.type", request.code_));
      Message status;
      status.number(3, kStatusError);
      out.message(15, status);
    }
    return out;
  }

  void append_to(Message& scope_spans) const {
    scope_spans.message(2, whole());
    for (const Span& part : request.spans_) {
      scope_spans.message(2, span({.span_id = random_bits() | 1U,
                                   .parent = request.own_.span_id,
                                   .name = part.name,
                                   .kind = part.name == "fetch" ? kClient : kInternal,
                                   .begin = part.begin,
                                   .end = part.end}));
    }
  }

  [[nodiscard]] std::size_t count() const { return 1 + request.spans_.size(); }
};

std::string encode(const Options& options, const std::vector<std::shared_ptr<Request>>& requests) {
  Pairs attributes{{"service.name", options.service_name}};
  if (!options.service_version.empty()) {
    attributes.emplace("service.version", options.service_version);
  }
  if (!options.instance.empty()) {
    attributes.emplace("service.instance.id", options.instance);
  }
  attributes.insert(options.attributes.begin(), options.attributes.end());  // keeps existing keys
  Message resource;
  for (const auto& [key, value] : attributes) {
    resource.message(1, attribute(key, value));
  }
  Message scope;
  scope.text(1, "podsense");
  scope.text(2, options.service_version);
  Message scope_spans;
  scope_spans.message(1, scope);
  for (const auto& request : requests) {
    Encoder{*request}.append_to(scope_spans);
  }
  Message resource_spans;
  resource_spans.message(1, resource);
  resource_spans.message(2, scope_spans);
  Message all;
  all.message(1, resource_spans);
  return all.take();
}

std::size_t span_count(const Request& request) {
  return Encoder{request}.count();
}

PartialSuccess read_partial_success(std::string_view body) {
  PartialSuccess out;
  for (WireField field; take_field(body, field);) {
    if (field.number != 1) {
      continue;
    }
    std::string_view partial = field.text;
    for (WireField inner; take_field(partial, inner);) {
      if (inner.number == 1) {
        out.rejected = inner.integer;
      } else if (inner.number == 2) {
        out.message = inner.text;
      }
    }
  }
  return out;
}

}  // namespace podsense::trace
