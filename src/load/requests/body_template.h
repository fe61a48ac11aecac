#pragma once

/// A request body, or a URL's path and query, that differs from request to request. It is a pure
/// function of the request's number, so that two runs with one seed send the same bytes.
///
///   {{counter}}              0, 1, 2, …
///   {{random_int LOW HIGH}}  a whole number, both ends included
///   {{random LOW HIGH}}      a number with six decimals, LOW ≤ x < HIGH
///   {{row}}                  a record of the CSV file, the first for request 0, then round and
///   round
///   {{row NAME}}             one column of it: by its name in the first line, any case, or by its
///                            number from 1
///   {{json row NAME}}        the same as a JSON string with its quotes
///   {{raw row NAME}}         the same as it is
///
/// In a JSON body a row fits in where it stands: between quotes it is escaped; elsewhere each field
/// becomes a JSON value, that is, what is a number, true, false, null, an array or an object
/// already stays, an empty field is null, and all else becomes a string. `{{{{` stands for two
/// braces.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "text/csv.h"

namespace podsense::load {

/// A CSV file whose records have the same number of fields.
struct Table {
  struct Row {
    std::string raw;                       ///< as it stands in the file
    std::vector<std::string> fields;       ///< without their quotes
    std::vector<std::string> json_fields;  ///< each as a JSON value
    std::size_t line = 1;                  ///< in the file
    std::vector<std::size_t> columns;      ///< of each field's first character in its line
  };
  std::vector<std::string> columns;  ///< empty where the first line is no header
  std::vector<Row> rows;             ///< at least one
};

/// @param used  the names that templates ask for: with `kGuess` the first line is a header where it
///              has one of them
/// @errors kInvalidArgument: no rows, or the line and column where a record has too many or too few
/// fields, or where it is no CSV
Result<Table> parse_table(std::string_view csv, text::HeaderLine header = text::HeaderLine::kGuess,
                          std::span<const std::string> used = {});
/// The columns that a template asks for by name.
std::vector<std::string> row_names(std::string_view text);

/// What a template's text is.
enum class Syntax { kText, kJson };

class BodyTemplate {
 public:
  /// @errors kInvalidArgument names the faulty placeholder and what is accepted
  static Result<BodyTemplate> parse(std::string_view text, std::shared_ptr<const Table> rows,
                                    std::uint64_t seed, Syntax syntax = Syntax::kText);
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
  enum class Form { kRaw, kWithinString, kValue, kString };
  struct Row {
    int column = -1;  ///< -1: the whole record
    Form form = Form::kRaw;
    bool asked = false;  ///< the placeholder says which form
  };
  using Value = std::variant<Counter, RandomInt, Random, Row>;
  struct Piece {
    std::string before;
    Value value;
  };
  static Result<Value> parse_value(std::string_view text, const Table* rows);
  static Result<Value> parse_row(std::string_view text, std::string_view name, Row row,
                                 const Table* rows);
  void append_value(const Value& value, std::uint64_t index, std::size_t place,
                    std::string& out) const;
  void append_row(const Row& row, std::uint64_t index, std::string& out) const;

  std::vector<Piece> pieces_;
  std::string tail_;
  std::shared_ptr<const Table> rows_;
  std::uint64_t seed_ = 0;
};

}  // namespace podsense::load
