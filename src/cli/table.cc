#include "cli/table.h"

#include <algorithm>
#include <numeric>

namespace podsense::cli {
namespace {

constexpr std::size_t kUsualName = 24;
constexpr std::size_t kLongestName = 48;
constexpr std::size_t kShortestName = 8;

std::string right(std::string_view text, std::size_t width) {
  const std::size_t blanks = width > text.size() ? width - text.size() : 0;
  return " " + std::string(blanks, ' ').append(text);
}

std::string left(std::string_view name, std::size_t width) {
  std::string out(name);
  if (out.size() > width) {
    out = "~" + out.substr(out.size() - width + 1);
  }
  out.resize(width, ' ');
  return out;
}

/// Which columns are shown, and how wide the names are.
struct Layout {
  std::size_t name = 0;
  std::vector<bool> shown;
};

Layout lay_out(const std::vector<Column>& columns, std::size_t longest, std::size_t width) {
  Layout layout{.name = std::max(kUsualName, std::min(longest, kLongestName)),
                .shown = std::vector<bool>(columns.size(), true)};
  std::size_t cells =
      std::transform_reduce(columns.begin(), columns.end(), std::size_t{0}, std::plus<>(),
                            [](const Column& column) { return 1 + column.width; });
  if (layout.name + cells > width) {
    layout.name = std::max(kShortestName, std::min(longest, kLongestName));
  }
  while (layout.name + cells > width) {
    std::size_t least = columns.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (layout.shown[i] && columns[i].rank > 0 &&
          (least == columns.size() || columns[i].rank > columns[least].rank)) {
        least = i;
      }
    }
    if (least == columns.size()) {
      break;
    }
    layout.shown[least] = false;
    cells -= 1 + columns[least].width;
  }
  if (layout.name + cells > width) {
    layout.name = std::max(kShortestName, width > cells ? width - cells : 0);
  }
  return layout;
}

}  // namespace

std::vector<std::string> table(std::string_view title, const std::vector<Column>& columns,
                               const std::vector<Row>& rows, std::size_t width) {
  std::size_t longest = title.size();
  for (const Row& row : rows) {
    longest = std::max(longest, row.name.size());
  }
  const Layout layout = lay_out(columns, longest, width);
  std::vector<std::string> lines{left(title, layout.name)};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    lines[0] += layout.shown[i] ? right(columns[i].title, columns[i].width) : "";
  }
  for (const Row& row : rows) {
    std::string& line = lines.emplace_back(left(row.name, layout.name));
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      line += layout.shown[i] ? right(row.cells[i], columns[i].width) : "";
    }
    line += row.text.empty() ? "" : " " + row.text;
  }
  for (std::string& line : lines) {
    line.resize(std::min(line.size(), width));
  }
  return lines;
}

void cut_to(std::vector<std::string>& lines, std::size_t room) {
  if (lines.size() <= room) {
    return;
  }
  const std::size_t kept = room > 0 ? room - 1 : 0;
  const std::size_t left_out = lines.size() - kept;
  lines.resize(kept);
  if (room > 0) {
    lines.push_back("and " + std::to_string(left_out) + " more lines");
  }
}

}  // namespace podsense::cli
