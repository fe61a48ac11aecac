#pragma once

/// Converts JSON to and from protocol values. simdjson parses; output is appended text; no JSON
/// type leaves this module. Every error message names the field, its value and what is accepted.
/// The error for an unknown field suggests the closest known one. Nesting is limited to depth 16
/// before parsing.
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
/// @return at least one; a picture with invalid base64 is an error of its own
/// @errors kPayloadTooLarge: more than kMaxPictures
Result<Pictures> parse_classify_several(std::string_view json);
/// Whether the body should be parsed by parse_classify_several.
bool holds_several_pictures(std::string_view json);
/// `{"url": "https://…", "model"?, "version"?, "top_k"?}`; "url" may be a data: URL.
Result<ClassifyRequest> parse_classify_url(std::string_view json);

/// Maximum rows in one request.
inline constexpr std::size_t kMaxRows = 4096;
inline constexpr std::size_t kMaxColumns = 65'536;

/// `{"features": [numbers], "model"?, "version"?}`: one row; or `"instances"` with one. Inference
/// checks the number of columns, as it knows the model.
/// @errors kInvalidArgument: NaN, infinity, out of float range, or not a number; kPayloadTooLarge:
/// more than kMaxColumns `"features"` may be an object of names and values instead: numbers, texts,
/// booleans, null; and a list may hold such values, which are RowsRequest::cells then.
Result<RowsRequest> parse_features(std::string_view json);
/// `{"instances": [[numbers], …], "model"?, "version"?}`: rows of equal length, 1..kMaxRows.
/// @errors as parse_features; kPayloadTooLarge: more than kMaxRows
Result<RowsRequest> parse_instances(std::string_view json);
/// The numbers of a request's `json` as doubles: [rows, columns]; missing ones are NaN.
Result<std::vector<double>> read_exact_values(std::string_view json);
/// The values of a request's `json` with their types: integers stay integers; missing ones are
/// std::monostate.
Result<std::vector<Cell>> read_exact_cells(std::string_view json);
/// Maximum named columns of a row.
inline constexpr std::size_t kMaxNamedColumns = 1024;
/// `{"image": "<base64>"}`, `{"image_url": "https://…"}` or `{"features": [numbers]}`, each with
/// "model"? and "version"?, the first two also with "top_k"?. Exactly one of the three must be
/// present.
Result<std::variant<ClassifyRequest, RowsRequest>> parse_infer(std::string_view json);
/// `{"cpu_ms"?: number, "model"?, "version"?}`; an empty body is an empty object.
Result<SimulateRequest> parse_simulate(std::string_view json);

/// These functions append one JSON object: model, version, request_id, …, timing_ms.
void write_classify(std::string& out, const ClassifyAnswer& answer, std::string_view request_id);
/// @pre `answer.rows` has exactly one row
void write_features(std::string& out, const RowsAnswer& answer, std::string_view request_id);
void write_instances(std::string& out, const RowsAnswer& answer, std::string_view request_id);
void write_simulate(std::string& out, const SimulateAnswer& answer, std::string_view request_id);
/// `{"error": …, "code": …, "request_id": …}`
void write_error(std::string& out, const Error& error, std::string_view request_id);

}  // namespace podsense::protocol
