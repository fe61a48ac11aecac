#pragma once

/// For this module's tests: tables of invalid inputs with their exact error messages.

#include <gtest/gtest.h>

#include <span>
#include <string_view>

#include "base/error.h"
#include "protocol/messages.h"

namespace podsense::protocol {

struct Refusal {
  std::string_view input;
  std::string_view message;
};

/// The result for a model that needs numbers.
template <class Parse>
auto of_numbers(Parse parse) {
  return [parse](std::string_view json) -> Result<RowsRequest> {
    auto request = parse(json);
    if (request && request->cells) {
      return fail(request->cells->not_numbers);
    }
    return request;
  };
}

/// Expects each input of the table to fail with kInvalidArgument and its message.
template <class Parse>
void expect_refusals(std::span<const Refusal> table, Parse parse) {
  for (const Refusal& row : table) {
    SCOPED_TRACE(testing::PrintToString(row.input));
    const auto result = parse(row.input);
    if (result) {
      ADD_FAILURE() << "accepted";
      continue;
    }
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(result.error().message, row.message);
  }
}

}  // namespace podsense::protocol
