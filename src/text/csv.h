#pragma once

/// CSV files as people have them: RFC 4180 in UTF-8, with or without a byte-order mark, with CRLF,
/// LF or CR.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace podsense::text {

struct CsvField {
  std::string text;  ///< without quotes; blanks belong to it, except around quotes
  bool quoted = false;
  std::size_t column = 1;  ///< of its first character in its line, in bytes, from 1
};
struct CsvRecord {
  std::size_t line = 1;  ///< on which it begins
  std::string raw;       ///< as it stands in the file, without the end of line
  std::vector<CsvField> fields;
};

/// Lines without anything but blanks are no records.
/// @errors kInvalidArgument: line and column of a quote that is not closed or is followed by text,
/// of bytes that are no UTF-8, or what else the file is (UTF-16)
Result<std::vector<CsvRecord>> parse_csv(std::string_view text);

/// "line 3, column 7: …"
tl::unexpected<Error> bad_csv(std::size_t line, std::size_t column, std::string_view why);

/// What the first line of a CSV file is.
enum class HeaderLine {
  kGuess,  ///< a header where it has a name that is known or used
  kYes,
  kNo
};

}  // namespace podsense::text
