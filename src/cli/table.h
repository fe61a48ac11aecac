#pragma once

/// Tables of text that fit a terminal: names on the left, numbers on the right.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace podsense::cli {

struct Column {
  std::string_view title;
  std::size_t width = 0;  ///< of its cells, without the leading blank
  int rank = 0;           ///< columns with the highest rank are removed first; 0: never
};

struct Row {
  std::string name;
  std::vector<std::string> cells;  ///< one for each column, or
  std::string text;                ///< shown instead of the cells
};

/// Formats the title and the rows, each at most `width` columns. If they do not fit, columns are
/// removed first; then names are cut at their start, because their ends distinguish pods.
std::vector<std::string> table(std::string_view title, const std::vector<Column>& columns,
                               const std::vector<Row>& rows, std::size_t width);

/// Cuts `lines` to `room` lines; the last one then shows how many more there are.
void cut_to(std::vector<std::string>& lines, std::size_t room);

}  // namespace podsense::cli
