#include "base/log_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/secrets.h"
#include "base/text.h"
#include "base/utc_time.h"

namespace podsense::log {
namespace {

/// Longer values are cut: request paths and library messages can have any length.
constexpr std::size_t kMaxValue = 1024;
/// All ECS names used here exist in this version.
constexpr std::string_view kEcsVersion = "8.11.0";
constexpr double kNanosecondsInMs = 1e6;

/// Cuts at the start of a character, so that no character is split.
std::string_view cut(std::string_view text) {
  if (text.size() <= kMaxValue) {
    return text;
  }
  std::size_t end = kMaxValue;
  while (end > kMaxValue - 4 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80) {
    --end;
  }
  return text.substr(0, end);
}

/// Whether nothing in `text` could be mistaken for another field, a new line or a terminal command.
bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '=';
  });
}

void append_cut(std::string& out, std::string_view text, bool quote) {
  const std::string_view shown = cut(text);
  if (quote || !is_plain(shown)) {
    append_json_string(out, shown);
  } else {
    out += shown;
  }
  if (shown.size() < text.size()) {
    out.insert(out.size() - (out.back() == '"' ? 1 : 0), "…");
  }
}

void append_text(std::string& out, std::string_view text, bool quote) {
  if (may_have_secrets(text)) {
    append_cut(out, without_secrets(text), quote);
  } else {
    append_cut(out, text, quote);
  }
}

void append_value(std::string& out, const Value& value, bool quote) {
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          append_text(out, v, quote);
        } else if constexpr (std::is_same_v<T, bool>) {
          out += v ? "true" : "false";
        } else {
          append_json_number(out, v);
        }
      },
      value);
}

bool is_empty(const Value& value) {
  const auto* text = std::get_if<std::string_view>(&value);
  return text != nullptr && text->empty();
}

/// Null if the field is missing or empty.
const Field* find(Fields fields, std::string_view key) {
  const auto* found = std::ranges::find(fields, key, &Field::key);
  return found == fields.end() || is_empty(found->value) ? nullptr : found;
}

/// The event in words, its subject and its cause: "model refused mnist 3: no input".
std::string_view told(std::string_view event, Fields fields) {
  static thread_local std::string text;
  text.assign(event);
  std::ranges::replace(text, '_', ' ');
  const auto add = [&](std::string_view key, std::string_view before) {
    if (const Field* field = find(fields, key)) {
      text += before;
      if (const auto* words = std::get_if<std::string_view>(&field->value)) {
        text += *words;
      } else {
        append_value(text, field->value, false);
      }
    }
  };
  for (const std::string_view key : {"method", "rpc", "path", "status", "model", "version"}) {
    add(key, " ");
  }
  add("reason", ": ");
  return text;
}

std::string_view message_of(std::string_view event, Fields fields) {
  const Field* own = find(fields, "message");
  return own != nullptr ? std::get<std::string_view>(own->value) : told(event, fields);
}

void append_key(std::string& out, std::string_view key) {
  out += ',';
  append_json_string(out, key);
  out += ':';
}

/// All but the message, under their own names.
void append_fields(std::string& out, Fields fields) {
  for (const Field& field : fields) {
    if (!is_empty(field.value) && field.key != "message") {
      append_key(out, field.key);
      append_value(out, field.value, true);
    }
  }
}

void append_json(std::string& line, const Head& head, Fields fields) {
  line += R"({"ts":")";
  append_utc(line, head.time);
  line += R"(","level":")";
  line += level_name(head.level);
  line += R"(","event":)";
  append_json_string(line, head.event);
  line += R"(,"message":)";
  append_text(line, message_of(head.event, fields), true);
  append_fields(line, fields);
  line += '}';
}

std::string_view severity(Level level) {
  switch (level) {
    case Level::kTrace:
    case Level::kDebug:
      return "DEBUG";
    case Level::kWarning:
      return "WARNING";
    case Level::kError:
      return "ERROR";
    case Level::kInfo:
    case Level::kOff:
      break;
  }
  return "INFO";
}

/// @source Cloud Logging's LogEntry, HttpRequest: sizes and durations are texts there
void append_http_request(std::string& out, Fields fields) {
  const char* separator = R"(,"httpRequest":{)";
  const auto add = [&](std::string_view key, std::string_view name, std::string_view quote) {
    if (const Field* field = find(fields, key)) {
      out += std::exchange(separator, ",");
      append_json_string(out, name);
      out.append(":").append(quote);
      append_value(out, field->value, true);
      out += quote;
    }
  };
  add("method", "requestMethod", "");
  add("path", "requestUrl", "");
  add("status", "status", "");
  add("bytes_in", "requestSize", "\"");
  add("bytes_out", "responseSize", "\"");
  add("peer", "remoteIp", "");
  if (const Field* total = find(fields, "total_ms")) {
    const auto* ms = std::get_if<double>(&total->value);
    fmt::format_to(std::back_inserter(out), R"({}"latency":"{:.6f}s")", separator,
                   ms == nullptr ? 0 : *ms / 1e3);
  }
  out += '}';
}

/// The trace's resource name if the project is known, else its id.
void append_trace(std::string& out, std::string_view trace_id) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets it
  static const char* const project = std::getenv("GOOGLE_CLOUD_PROJECT");
  append_key(out, "logging.googleapis.com/trace");
  append_json_string(out, project == nullptr ? std::string(trace_id)
                                             : "projects/" + std::string(project) + "/traces/" +
                                                   std::string(trace_id));
}

void append_gcp(std::string& line, const Head& head, Fields fields) {
  line += R"({"time":")";
  append_utc(line, head.time);
  line += R"(","severity":")";
  line += severity(head.level);
  line += R"(","message":)";
  append_text(line, message_of(head.event, fields), true);
  append_key(line, "event");
  append_json_string(line, head.event);
  if (find(fields, "method") != nullptr && find(fields, "status") != nullptr) {
    append_http_request(line, fields);
  }
  if (const Field* trace = find(fields, "trace_id")) {
    append_trace(line, std::get<std::string_view>(trace->value));
  }
  append_fields(line, fields);
  line += '}';
}

/// The fields for which ECS has a name; all others get the prefix "podsense.".
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kEcsNames{
    {{"request_id", "http.request.id"},
     {"peer", "client.address"},
     {"peer_port", "client.port"},
     {"client", "user.name"},
     {"method", "http.request.method"},
     {"path", "url.path"},
     {"status", "http.response.status_code"},
     {"bytes_in", "http.request.bytes"},
     {"bytes_out", "http.response.bytes"},
     {"trace_id", "trace.id"},
     {"reason", "error.message"},
     {"build", "service.version"}}};

void append_ecs_field(std::string& out, const Field& field) {
  if (const auto* ms = std::get_if<double>(&field.value);
      ms != nullptr && field.key == "total_ms") {
    append_key(out, "event.duration");
    return append_json_number(out, static_cast<std::int64_t>(*ms * kNanosecondsInMs));
  }
  const auto* name =
      std::ranges::find(kEcsNames, field.key, [](const auto& pair) { return pair.first; });
  out += ',';
  if (name != kEcsNames.end()) {
    append_json_string(out, name->second);
  } else {
    out.append("\"podsense.").append(field.key).append("\"");
  }
  out += ':';
  append_value(out, field.value, true);
}

/// @source ecs-logging's specification: these names in this order, with dots and not nested
void append_ecs(std::string& line, const Head& head, Fields fields) {
  line += R"({"@timestamp":")";
  append_utc(line, head.time);
  line += R"(","log.level":")";
  line += level_name(head.level);
  line += R"(","message":)";
  append_text(line, message_of(head.event, fields), true);
  line.append(R"(,"ecs.version":")").append(kEcsVersion);
  line += R"(","service.name":"podsense","event.action":)";
  append_json_string(line, head.event);
  for (const Field& field : fields) {
    if (!is_empty(field.value) && field.key != "message") {
      append_ecs_field(line, field);
    }
  }
  line += '}';
}

/// Writes the event and its fields. No message is generated from them; only an explicit one is
/// shown.
void append_readable(std::string& line, const Head& head, Fields fields) {
  append_utc(line, head.time);
  fmt::format_to(std::back_inserter(line), " {:<7} {}", level_name(head.level), head.event);
  for (const Field& field : fields) {
    if (!is_empty(field.value)) {
      line.append(" ").append(field.key).append("=");
      append_value(line, field.value, false);
    }
  }
}

}  // namespace

std::string line_of(const Head& head, Fields fields) {
  std::string line;
  line.reserve(384);
  switch (head.format) {
    case Format::kText:
      append_readable(line, head, fields);
      break;
    case Format::kGcp:
      append_gcp(line, head, fields);
      break;
    case Format::kEcs:
      append_ecs(line, head, fields);
      break;
    case Format::kAuto:
    case Format::kJson:
      append_json(line, head, fields);
      break;
  }
  line += '\n';
  return line;
}

}  // namespace podsense::log
