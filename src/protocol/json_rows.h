#pragma once

/// Rows in JSON: lists of numbers, lists of values of any type, or objects of names and values.
/// Private to this module.

#include <memory>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "protocol/json_body.h"
#include "protocol/messages.h"

namespace podsense::protocol {

/// Reads the value of "instances". Lists go into the request's numbers, or into `cells` where that
/// is not null. @errors kInvalidArgument, kPayloadTooLarge
Result<void> read_rows(std::string_view json, ondemand::value& value, RowsRequest& request,
                       std::vector<Cell>* cells);
/// As read_rows, the value of "features", which is one row.
Result<void> read_features(std::string_view json, ondemand::value& value, RowsRequest& request,
                           std::vector<Cell>* cells);

/// Null: the body is a picture's.
inline RowsRequest* rows_of(RowsRequest& request) {
  return &request;
}
inline RowsRequest* rows_of(std::variant<ClassifyRequest, RowsRequest>& request) {
  return std::get_if<RowsRequest>(&request);
}

/// Parses a body's rows as numbers; where they are no numbers of FP32, as cells. `parse` takes
/// null, or where cells go. What is wrong with the numbers stays with the cells, for models that
/// want numbers; what is neither is refused as numbers are.
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
