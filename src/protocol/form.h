#pragma once

/// Parsers for request formats other than JSON: base64, multipart/form-data, query strings, media
/// types. They parse in place, with limits; no allocation is sized by a length that the client only
/// declares.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/messages.h"

namespace podsense::protocol {

/// Standard and URL-safe alphabets, padding optional, ASCII white space skipped.
/// @errors kInvalidArgument: the offset of the first invalid character
/// @source RFC 4648
Result<std::string> decode_base64(std::string_view text);

/// `type/subtype` in lower case, without parameters; empty: malformed.
std::string media_type(std::string_view content_type);
/// Whether the type is JSON. `media_type`: from media_type().
bool is_json(std::string_view media_type);
/// Whether a body of this type is parsed as JSON: JSON types, and the types that simple clients
/// send: none, a form's, or any text type. `media_type`: from media_type().
bool may_be_json(std::string_view media_type);
/// The unquoted value of a parameter such as `boundary` or `charset`.
std::optional<std::string> media_parameter(std::string_view content_type, std::string_view name);

struct FormPart {
  std::string_view name;  ///< borrowed from the body, like the other members
  std::string_view filename;
  std::string_view content_type;
  std::string_view data;
};

/// @errors kInvalidArgument: missing or invalid boundary, no closing delimiter, over 64 parts, part
/// headers over 8 KiB, or a part without a name
/// @source RFC 7578, RFC 2046 section 5.1
Result<std::vector<FormPart>> parse_multipart(std::string_view body, std::string_view boundary);

/// The pictures and options of a form: every part with a file name, and those named "image" or
/// "file" (also "images", "files", "image[]"); "model", "version" and "top_k" as text parts, which
/// apply to all pictures. Ignores text parts with other names, and empty parts, which browsers send
/// for empty inputs.
/// @return at least one
/// @errors kInvalidArgument: no picture, or a part name that seems to be a misspelled option;
/// kPayloadTooLarge: more than kMaxPictures
Result<Pictures> classify_from_form(std::string_view body, std::string_view boundary);

/// Whether bytes are binary (a picture or another file) and cannot be JSON, a form, base64 or other
/// text.
bool begins_binary(std::string_view body);

/// Decodes percent escapes of a path segment; malformed escapes stay unchanged.
std::string decode_segment(std::string_view segment);

struct QueryParameter {
  std::string name;
  std::string value;
};
/// Parses a query string, with percent and plus decoding. Ignores parameters that are not for this
/// server: cache busters (`_`, `ts`) and campaign tags (`utm_…`, `gclid`).
/// @errors kInvalidArgument: malformed escape, over 32 parameters, or a NUL
Result<std::vector<QueryParameter>> parse_query(std::string_view query);

/// Applies query parameters: "top_k", "model", "version", "cpu_ms". The error for an unknown or
/// duplicate name lists the accepted ones. The query overrides the body.
Result<void> apply_query(const std::vector<QueryParameter>& query, ClassifyRequest& request);
Result<void> apply_query(const std::vector<QueryParameter>& query, RowsRequest& request);
Result<void> apply_query(const std::vector<QueryParameter>& query, SimulateRequest& request);

/// cpu_ms: a number from 0 to kMaxCpuMs.
inline constexpr double kMaxCpuMs = 60'000;
inline constexpr std::uint32_t kMaxTopK = 1000;

}  // namespace podsense::protocol
