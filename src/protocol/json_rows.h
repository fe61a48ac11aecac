#pragma once

/// Parses rows in JSON: lists of numbers, lists of values of any type, or objects with names and
/// values. Private to this module.

#include <memory>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "protocol/json_body.h"
#include "protocol/messages.h"

namespace podsense::protocol {

/// Reads the value of "instances". Lists are stored in the request's numbers, or in `cells` if that
/// is not null. @errors kInvalidArgument, kPayloadTooLarge
Result<void> read_rows(std::string_view json, ondemand::value& value, RowsRequest& request,
                       std::vector<Cell>* cells);
/// Like read_rows, for the value of "features", which is one row.
Result<void> read_features(std::string_view json, ondemand::value& value, RowsRequest& request,
                           std::vector<Cell>* cells);

/// The body's rows; null: the body is a picture.
inline RowsRequest* rows_of(RowsRequest& request) {
  return &request;
}
inline RowsRequest* rows_of(std::variant<ClassifyRequest, RowsRequest>& request) {
  return std::get_if<RowsRequest>(&request);
}

/// Parses a body's rows as FP32 numbers, or, if that fails, as cells. `parse` gets the destination
/// of cells, or null. The error for the numbers is kept with the cells, for models that need
/// numbers. If both fail, the error is that for numbers.
template <class Parse>
auto parse_rows(const Parse& parse) {
  auto request = parse(static_cast<std::vector<Cell>*>(nullptr));
  if (!request && request.error().code == ErrorCode::kInvalidArgument) {
    auto cells = std::make_shared<CellRows>();
    auto again = parse(&cells->cells);
    RowsRequest* const rows = again ? rows_of(*again) : nullptr;
    if (rows != nullptr && !cells->cells.empty()) {
      cells->not_numbers = std::move(request.error());
      rows->cells = std::move(cells);
      return again;
    }
  }
  return request;
}

}  // namespace podsense::protocol
