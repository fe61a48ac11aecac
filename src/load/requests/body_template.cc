#include "load/requests/body_template.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "text/numbers.h"
#include "text/split.h"

namespace podsense::load {
namespace {

constexpr std::string_view kAccepted =
    "accepted: {{counter}}, {{random_int LOW HIGH}}, {{random LOW HIGH}}, {{row}}, {{row NAME}}, "
    "{{json row NAME}}, {{raw row NAME}}";

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
  for (const std::string_view word : text::split(text, ' ')) {
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

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

/// A field where JSON wants a value.
std::string json_value(std::string_view text) {
  const std::string_view plain = text::trim(text);
  if (plain.empty() || lower(plain) == "nan") {
    return "null";
  }
  // Other numbers that are none in JSON, such as +49 and 007, are rather names.
  if (plain.starts_with('.') || plain.starts_with("-.")) {
    if (auto number = text::json_number(plain)) {
      return std::move(*number);
    }
  }
  if (!text.starts_with('"') && nlohmann::json::accept(text)) {
    return std::string(text);
  }
  std::string out;
  append_json_string(out, text);
  return out;
}

/// The same within a JSON string: without the quotes.
void append_escaped(std::string& out, std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  out.append(quoted, 1, quoted.size() - 2);
}

/// The number of a column, from 1.
std::optional<std::size_t> column_number(std::string_view name) {
  const auto number = parse_whole(name);
  return number && *number > 0 ? std::optional(static_cast<std::size_t>(*number)) : std::nullopt;
}

bool names_column(const text::CsvRecord& first, std::span<const std::string> used) {
  return std::ranges::any_of(first.fields, [&](const text::CsvField& field) {
    return std::ranges::any_of(used, [&](const std::string& name) {
      return !column_number(name) && lower(text::trim(field.text)) == lower(name);
    });
  });
}

/// "row NAME" of a placeholder's text after `json` or `raw`; nothing where it is no row.
struct RowText {
  std::string_view form;  ///< json, raw or empty
  std::string_view name;  ///< may have blanks
};
std::optional<RowText> row_text(std::string_view text) {
  RowText row;
  text = text::trim(text);
  for (const std::string_view form : {"json", "raw"}) {
    if (text.starts_with(std::string(form) + " ")) {
      row.form = form;
      text = text::trim(text.substr(form.size()));
    }
  }
  if (text != "row" && !text.starts_with("row ")) {
    return std::nullopt;
  }
  row.name = text::trim(text.substr(3));
  return row;
}

/// Whether a JSON string is open at the end of `text`, when it was, or was not, before.
bool ends_in_string(std::string_view text, bool open) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (open && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      open = !open;
    }
  }
  return open;
}

}  // namespace

std::vector<std::string> row_names(std::string_view text) {
  std::vector<std::string> names;
  for (std::size_t open = text.find("{{"); open != text.npos; open = text.find("{{", open)) {
    open += 2;
    const auto row = row_text(text.substr(open, text.find("}}", open) - open));
    if (row && !row->name.empty()) {
      names.emplace_back(row->name);
    }
  }
  return names;
}

Result<Table> parse_table(std::string_view csv, text::HeaderLine header,
                          std::span<const std::string> used) {
  auto records = text::parse_csv(csv);
  if (!records) {
    return fail(std::move(records.error()));
  }
  Table table;
  const std::size_t fields = records->empty() ? 0 : records->front().fields.size();
  for (std::size_t i = 0; i < records->size(); ++i) {
    text::CsvRecord& record = (*records)[i];
    if (record.fields.size() != fields) {
      const bool more = record.fields.size() > fields;
      return text::bad_csv(record.line, more ? record.fields[fields].column : record.raw.size() + 1,
                           "the record has " + std::to_string(record.fields.size()) +
                               " fields, the first has " + std::to_string(fields));
    }
    if (i == 0 && (header == text::HeaderLine::kYes ||
                   (header == text::HeaderLine::kGuess && names_column(record, used)))) {
      for (text::CsvField& field : record.fields) {
        table.columns.emplace_back(text::trim(field.text));
      }
      continue;
    }
    Table::Row row{.raw = std::move(record.raw), .line = record.line};
    for (text::CsvField& field : record.fields) {
      row.columns.push_back(field.column);
      row.json_fields.push_back(json_value(field.text));
      row.fields.push_back(std::move(field.text));
    }
    table.rows.push_back(std::move(row));
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
    const auto low = text::parse_number(parts[1]);
    const auto high = text::parse_number(parts[2]);
    if (!low || !high || *low > *high) {
      return bad_placeholder(text, "two numbers, the smaller first");
    }
    return Value(Random{.low = *low, .high = *high});
  }
  if (const auto row = row_text(text)) {
    return parse_row(
        text, row->name,
        {.form = row->form == "json" ? Form::kString : Form::kRaw, .asked = !row->form.empty()},
        rows);
  }
  return bad_placeholder(text, "unknown placeholder");
}

Result<BodyTemplate::Value> BodyTemplate::parse_row(std::string_view text, std::string_view name,
                                                    Row row, const Table* rows) {
  if (rows == nullptr) {
    return bad_placeholder(text, "there are no rows: give a CSV file with --rows");
  }
  if (name.empty()) {
    return Value(row);
  }
  auto column = std::ranges::find(rows->columns, name);
  if (column == rows->columns.end()) {
    column = std::ranges::find(rows->columns, lower(name), lower);
  }
  const auto number = column_number(name);
  const auto same = [&](const std::string& one) { return lower(one) == lower(name); };
  if (column != rows->columns.end() && *column != name &&
      std::ranges::count_if(rows->columns, same) > 1) {
    return bad_placeholder(text, "several columns have this name: name one by its number");
  }
  if (column != rows->columns.end() && std::ranges::count(rows->columns, *column) > 1) {
    return bad_placeholder(text, "several columns have this name: name one by its number");
  }
  if (column != rows->columns.end()) {
    row.column = static_cast<int>(column - rows->columns.begin());
  } else if (number && *number <= rows->rows.front().fields.size()) {
    row.column = static_cast<int>(*number - 1);
  } else {
    const std::vector<std::string_view> names(rows->columns.begin(), rows->columns.end());
    const std::string_view near = nearest_name(name, names);
    return bad_placeholder(
        text, names.empty() ? "the first line of the file does not name this column"
                            : "no column has this name" +
                                  (near.empty() ? "" : " (there is " + std::string(near) + ")"));
  }
  return Value(row);
}

Result<BodyTemplate> BodyTemplate::parse(std::string_view text, std::shared_ptr<const Table> rows,
                                         std::uint64_t seed, Syntax syntax) {
  BodyTemplate body;
  bool in_string = false;
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
    in_string = ends_in_string(before, in_string);
    if (auto* const row = std::get_if<Row>(&*value);
        row != nullptr && syntax == Syntax::kJson && !row->asked) {
      row->form = in_string ? Form::kWithinString : Form::kValue;
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
    append_row(std::get<Row>(value), index, out);
  }
}

void BodyTemplate::append_row(const Row& row, std::uint64_t index, std::string& out) const {
  const Table::Row& record = rows_->rows[index % rows_->rows.size()];
  const auto column = static_cast<std::size_t>(std::max(row.column, 0));
  const std::string& text = row.column < 0 ? record.raw : record.fields[column];
  switch (row.form) {
    case Form::kRaw:
      out += text;
      break;
    case Form::kWithinString:
      append_escaped(out, text);
      break;
    case Form::kString:
      append_json_string(out, text);
      break;
    case Form::kValue:
      for (std::size_t i = column; i < record.json_fields.size(); ++i) {
        out.append(i > column ? "," : "").append(record.json_fields[i]);
        if (row.column >= 0) {
          break;
        }
      }
      break;
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
