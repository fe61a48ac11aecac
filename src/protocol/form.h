#pragma once

/// Forms of a request that are not JSON: base64, multipart/form-data, query strings, media types.
/// All read in place with limits; nothing here allocates in proportion to what a length declares.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "protocol/messages.h"

namespace podsense::protocol {

/// Standard and URL-safe alphabets, padding optional, ASCII white space skipped.
/// @errors kInvalidArgument: naming the offset of the first wrong character
/// @source RFC 4648
Result<std::string> decode_base64(std::string_view text);

/// `type/subtype` in lower case without parameters; empty when it is not one.
std::string media_type(std::string_view content_type);
/// Whether the type says JSON. `media_type`: as above.
bool is_json(std::string_view media_type);
/// Whether a body of this type is read as JSON: what says so, and what most clients of simple
/// endpoints send: no type, a form's, or that of any text. `media_type`: as above.
bool may_be_json(std::string_view media_type);
/// A parameter's value, unquoted: `boundary`, `charset`.
std::optional<std::string> media_parameter(std::string_view content_type, std::string_view name);

struct FormPart {
  std::string_view name;  ///< borrowed from the body, as all else here
  std::string_view filename;
  std::string_view content_type;
  std::string_view data;
};

/// @errors kInvalidArgument: no or bad boundary, no closing delimiter, over 64 parts, part headers
///         over 8 KiB, a part without a name
/// @source RFC 7578, RFC 2046 section 5.1
Result<std::vector<FormPart>> parse_multipart(std::string_view body, std::string_view boundary);

/// The pictures and options of a form: every part with a file name, and those named "image" or
/// "file" (also "images", "files", "image[]"); "model", "version" and "top_k" as text parts, which
/// hold for all pictures. Empty parts, as browsers send them for inputs that were left empty, and
/// text parts of other names are passed over.
/// @return one at least
/// @errors kInvalidArgument: no picture, or a part whose name is nearly that of an option;
///         kPayloadTooLarge: more than kMaxPictures
Result<Pictures> classify_from_form(std::string_view body, std::string_view boundary);

/// Whether bytes begin as no text does, JSON, forms and base64 included: pictures and other files.
bool begins_binary(std::string_view body);

/// A segment of a path with its percent escapes undone; a broken one stays as it is.
std::string decode_segment(std::string_view segment);

struct QueryParameter {
  std::string name;
  std::string value;
};
/// Percent and plus decoding. What is not for the server is left out: what keeps caches away (`_`,
/// `ts`), and marks of campaigns (`utm_…`, `gclid`). @errors kInvalidArgument: bad escape, over 32
/// parameters, a NUL
Result<std::vector<QueryParameter>> parse_query(std::string_view query);

/// What a query may set; "top_k", "model", "version", "cpu_ms". An unknown or repeated name is an
/// error that lists the `accepted` ones. What the query sets overrides what the body said.
Result<void> apply_query(const std::vector<QueryParameter>& query, ClassifyRequest& request);
Result<void> apply_query(const std::vector<QueryParameter>& query, RowsRequest& request);
Result<void> apply_query(const std::vector<QueryParameter>& query, SimulateRequest& request);

/// cpu_ms: a number from 0 to kMaxCpuMs.
inline constexpr double kMaxCpuMs = 60'000;
inline constexpr std::uint32_t kMaxTopK = 1000;

}  // namespace podsense::protocol
