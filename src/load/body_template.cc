#include "load/body_template.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "load/quantity.h"

namespace podsense::load {
namespace {

constexpr std::string_view kAccepted =
    "accepted: {{counter}}, {{random_int LOW HIGH}}, {{random LOW HIGH}}, {{row}}, {{row NAME}}";

tl::unexpected<Error> bad_placeholder(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument,
              "{{" + std::string(text) + "}}: " + std::string(why) + "; " + std::string(kAccepted));
}

/// @source splitmix64's finalizer, twice: request and place give independent numbers
std::uint64_t mix(std::uint64_t z) {
  z += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  for (const std::string_view word : split(text, ' ')) {
    if (!word.empty()) {
      found.push_back(word);
    }
  }
  return found;
}

std::optional<std::int64_t> parse_whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                  : std::nullopt;
}

}  // namespace

Result<Table> parse_table(std::string_view csv) {
  Table table;
  std::size_t fields = 0;
  std::size_t number = 0;
  for (const std::string_view line : split(csv, '\n')) {
    ++number;
    if (line.empty()) {
      continue;
    }
    const auto parts = split(line, ',');
    if (fields == 0) {
      fields = parts.size();
      if (!std::ranges::all_of(parts,
                               [](std::string_view p) { return parse_number(p).has_value(); })) {
        table.columns.assign(parts.begin(), parts.end());
        continue;
      }
    }
    if (parts.size() != fields) {
      return fail(ErrorCode::kInvalidArgument,
                  "line " + std::to_string(number) + " has " + std::to_string(parts.size()) +
                      " fields, the first has " + std::to_string(fields));
    }
    table.rows.emplace_back(line);
  }
  if (table.rows.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there is no row of values");
  }
  return table;
}

BodyTemplate BodyTemplate::fixed(std::string bytes) {
  BodyTemplate body;
  body.tail_ = std::move(bytes);
  return body;
}

Result<BodyTemplate::Value> BodyTemplate::parse_value(std::string_view text, const Table* rows) {
  const auto parts = words(text);
  const std::string_view name = parts.empty() ? std::string_view() : parts[0];
  if (name == "counter" && parts.size() == 1) {
    return Value(Counter{});
  }
  if (name == "random_int" && parts.size() == 3) {
    const auto low = parse_whole(parts[1]);
    const auto high = parse_whole(parts[2]);
    if (!low || !high || *low > *high) {
      return bad_placeholder(text, "two whole numbers, the smaller first");
    }
    return Value(RandomInt{.low = *low, .high = *high});
  }
  if (name == "random" && parts.size() == 3) {
    const auto low = parse_number(parts[1]);
    const auto high = parse_number(parts[2]);
    if (!low || !high || *low > *high) {
      return bad_placeholder(text, "two numbers, the smaller first");
    }
    return Value(Random{.low = *low, .high = *high});
  }
  if (name == "row" && parts.size() <= 2) {
    if (rows == nullptr) {
      return bad_placeholder(text, "there are no rows: give a CSV file with --rows");
    }
    if (parts.size() == 1) {
      return Value(Row{});
    }
    const auto column = std::ranges::find(rows->columns, parts[1]);
    if (column == rows->columns.end()) {
      const std::vector<std::string_view> names(rows->columns.begin(), rows->columns.end());
      const std::string_view near = nearest_name(parts[1], names);
      return bad_placeholder(text,
                             "no column has this name" +
                                 (near.empty() ? "" : " (there is " + std::string(near) + ")"));
    }
    return Value(Row{.column = static_cast<int>(column - rows->columns.begin())});
  }
  return bad_placeholder(text, "unknown placeholder");
}

Result<BodyTemplate> BodyTemplate::parse(std::string_view text, std::shared_ptr<const Table> rows,
                                         std::uint64_t seed) {
  BodyTemplate body;
  body.rows_ = std::move(rows);
  body.seed_ = seed;
  std::string before;
  while (!text.empty()) {
    const std::size_t open = text.find("{{");
    before += text.substr(0, open);
    if (open == std::string_view::npos) {
      break;
    }
    text.remove_prefix(open + 2);
    if (text.starts_with("{{")) {
      before += "{{";
      text.remove_prefix(2);
      continue;
    }
    const std::size_t close = text.find("}}");
    // JSON has "{{" nowhere outside of strings, so an unclosed one is a slip.
    if (close == std::string_view::npos) {
      return bad_placeholder(text.substr(0, 20), "'{{' without '}}'");
    }
    auto value = parse_value(text.substr(0, close), body.rows_.get());
    if (!value) {
      return fail(std::move(value.error()));
    }
    body.pieces_.push_back({.before = std::move(before), .value = *value});
    before.clear();
    text.remove_prefix(close + 2);
  }
  body.tail_ = std::move(before);
  return body;
}

void BodyTemplate::append_value(const Value& value, std::uint64_t index, std::size_t place,
                                std::string& out) const {
  const std::uint64_t random = mix(mix(seed_ ^ index) + place);
  if (std::holds_alternative<Counter>(value)) {
    out += std::to_string(index);
  } else if (const auto* whole = std::get_if<RandomInt>(&value)) {
    const std::uint64_t span =
        static_cast<std::uint64_t>(whole->high) - static_cast<std::uint64_t>(whole->low) + 1;
    const std::uint64_t offset = span == 0 ? random : random % span;
    out +=
        std::to_string(static_cast<std::int64_t>(static_cast<std::uint64_t>(whole->low) + offset));
  } else if (const auto* real = std::get_if<Random>(&value)) {
    const double share = static_cast<double>(random >> 11U) * 0x1p-53;
    std::array<char, 400> buffer;
    const int length = std::snprintf(buffer.data(), buffer.size(), "%.6f",
                                     std::lerp(real->low, real->high, share));
    out.append(buffer.data(), static_cast<std::size_t>(length));
  } else {
    const std::string& row = rows_->rows[index % rows_->rows.size()];
    const int column = std::get<Row>(value).column;
    out += column < 0 ? std::string_view(row) : split(row, ',')[static_cast<std::size_t>(column)];
  }
}

void BodyTemplate::append_encoded(std::uint64_t index, std::string& out) const {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-._~,:/@";
  std::string value;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    out += pieces_[i].before;
    value.clear();
    append_value(pieces_[i].value, index, i, value);
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if (std::isalnum(byte) != 0 || kPlain.find(c) != std::string_view::npos) {
        out += c;
      } else {
        out += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
      }
    }
  }
  out += tail_;
}

void BodyTemplate::append(std::uint64_t index, std::string& out) const {
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    out += pieces_[i].before;
    append_value(pieces_[i].value, index, i, out);
  }
  out += tail_;
}

}  // namespace podsense::load
