#pragma once

/// A request body, or a URL's path and query, that differs from request to request. It is a pure
/// function of the request's number, so that two runs with one seed send the same bytes.
///
///   {{counter}}              0, 1, 2, …
///   {{random_int LOW HIGH}}  a whole number, both ends included
///   {{random LOW HIGH}}      a number with six decimals, LOW ≤ x < HIGH
///   {{row}}                  a line of the CSV file, the first for request 0, then round and round
///   {{row NAME}}             one column of it, by the name in its first line
///
/// `{{{{` stands for two braces.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace podsense::load {

/// Lines of a CSV file: no quotes are taken off, since a line goes into a JSON array as it is.
struct Table {
  std::vector<std::string> columns;  ///< empty where the first line has numbers only
  std::vector<std::string> rows;     ///< at least one
};

/// The first line gives the columns' names unless all of its fields are numbers.
/// @errors kInvalidArgument: no rows, or a row with another number of fields than the first line
Result<Table> parse_table(std::string_view csv);

class BodyTemplate {
 public:
  /// @errors kInvalidArgument names the faulty placeholder and what is accepted
  static Result<BodyTemplate> parse(std::string_view text, std::shared_ptr<const Table> rows,
                                    std::uint64_t seed);
  /// Bytes that are sent as they are.
  static BodyTemplate fixed(std::string bytes);

  [[nodiscard]] bool is_fixed() const { return pieces_.empty(); }
  [[nodiscard]] const std::string& fixed_bytes() const { return tail_; }
  void append(std::uint64_t index, std::string& out) const;
  /// For a URL: of what the placeholders give, all but letters, digits and -._~,:/@ is
  /// percent-encoded.
  void append_encoded(std::uint64_t index, std::string& out) const;

 private:
  struct Counter {};
  struct RandomInt {
    std::int64_t low = 0;
    std::int64_t high = 0;
  };
  struct Random {
    double low = 0;
    double high = 0;
  };
  struct Row {
    int column = -1;  ///< -1: the whole line
  };
  using Value = std::variant<Counter, RandomInt, Random, Row>;
  struct Piece {
    std::string before;
    Value value;
  };
  static Result<Value> parse_value(std::string_view text, const Table* rows);
  void append_value(const Value& value, std::uint64_t index, std::size_t place,
                    std::string& out) const;

  std::vector<Piece> pieces_;
  std::string tail_;
  std::shared_ptr<const Table> rows_;
  std::uint64_t seed_ = 0;
};

}  // namespace podsense::load
