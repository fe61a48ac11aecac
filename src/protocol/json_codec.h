#pragma once

/// JSON ↔ protocol values. simdjson reads, appended text writes; no JSON type leaves this module.
/// Every message names the field, what it was and what is accepted. Unknown fields are errors that
/// name the nearest known one. Depth is limited to 16 before parsing descends.
/// @threads thread-safe (a parser per thread inside)

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "protocol/messages.h"

namespace podsense::protocol {

/// `{"image": "<base64>", "model"?, "version"?, "top_k"?}`; "image" may be a data: URL.
Result<ClassifyRequest> parse_classify_image(std::string_view json);
/// `{"images": ["<base64>", …], …}` or `{"urls": ["https://…", …], …}` with the same options.
/// @return one at least; a picture whose base64 is broken is its own error
/// @errors kPayloadTooLarge: more than kMaxPictures
Result<Pictures> parse_classify_several(std::string_view json);
/// Whether the body is meant for parse_classify_several.
bool holds_several_pictures(std::string_view json);
/// `{"url": "https://…", "model"?, "version"?, "top_k"?}`; "url" may be a data: URL.
Result<ClassifyRequest> parse_classify_url(std::string_view json);

/// Rows that may come in one request.
inline constexpr std::size_t kMaxRows = 4096;
inline constexpr std::size_t kMaxColumns = 65'536;

/// `{"features": [numbers], "model"?, "version"?}`: one row; or `"instances"` with one. Count is
/// checked by inference, which knows the model. @errors kInvalidArgument: NaN, infinity, out of
/// float range, not a number; kPayloadTooLarge: more than kMaxColumns
/// `"features"` may be an object of names and values instead: numbers, texts, booleans, null; and a
/// list may hold such values, which are RowsRequest::cells then.
Result<RowsRequest> parse_features(std::string_view json);
/// `{"instances": [[numbers], …], "model"?, "version"?}`: rows of equal length, 1..kMaxRows.
/// @errors as parse_features; kPayloadTooLarge: more than kMaxRows
Result<RowsRequest> parse_instances(std::string_view json);
/// The numbers of a request's `json` as doubles: [rows, columns], missing ones NaN.
Result<std::vector<double>> read_exact_values(std::string_view json);
/// The same as they were written: whole numbers whole, missing ones std::monostate.
Result<std::vector<Cell>> read_exact_cells(std::string_view json);
/// Named columns of one row.
inline constexpr std::size_t kMaxNamedColumns = 1024;
/// `{"image": "<base64>"}`, `{"image_url": "https://…"}` or `{"features": [numbers]}`, each with
/// "model"? and "version"?, the first two with "top_k"?. Exactly one of the three must be there.
Result<std::variant<ClassifyRequest, RowsRequest>> parse_infer(std::string_view json);
/// `{"cpu_ms"?: number, "model"?, "version"?}`; an empty body is an empty object.
Result<SimulateRequest> parse_simulate(std::string_view json);

/// Append one JSON object, as design: model, version, request_id, …, timing_ms.
void write_classify(std::string& out, const ClassifyAnswer& answer, std::string_view request_id);
/// `answer.rows` holds exactly one row.
void write_features(std::string& out, const RowsAnswer& answer, std::string_view request_id);
void write_instances(std::string& out, const RowsAnswer& answer, std::string_view request_id);
void write_simulate(std::string& out, const SimulateAnswer& answer, std::string_view request_id);
/// `{"error": …, "code": …, "request_id": …}`
void write_error(std::string& out, const Error& error, std::string_view request_id);

}  // namespace podsense::protocol
