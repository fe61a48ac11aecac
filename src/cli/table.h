#pragma once

/// Tables of text that fit a terminal: names on the left, numbers on the right.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace podsense::cli {

struct Column {
  std::string_view title;
  std::size_t width = 0;  ///< of its cells, without the blank before
  int rank = 0;           ///< where there is no room the highest go first; 0 stays
};

struct Row {
  std::string name;
  std::vector<std::string> cells;  ///< one for each column, or
  std::string text;                ///< what stands there instead of them
};

/// The title and the rows, none longer than `width` columns. Columns are left out where they do not
/// fit, before names lose their beginnings (their ends tell pods apart).
std::vector<std::string> table(std::string_view title, const std::vector<Column>& columns,
                               const std::vector<Row>& rows, std::size_t width);

/// Cuts `lines` to `room`, of which the last one then says how many more there are.
void cut_to(std::vector<std::string>& lines, std::size_t room);

}  // namespace podsense::cli
