#include "text/csv.h"

#include "text/split.h"

namespace podsense::text {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<std::vector<CsvRecord>> read() {
    std::vector<CsvRecord> records;
    while (at_ < text_.size()) {
      const std::size_t begin = at_;
      CsvRecord record{.line = line_};
      if (auto done = read_record(record); !done) {
        return fail(std::move(done.error()));
      }
      record.raw = text_.substr(begin, at_ - begin);
      end_line();
      const bool empty = record.fields.size() == 1 && trim(record.fields.front().text).empty() &&
                         !record.fields.front().quoted;
      if (!empty) {
        records.push_back(std::move(record));
      }
    }
    return records;
  }

 private:
  [[nodiscard]] bool at_line_end() const {
    return at_ >= text_.size() || text_[at_] == '\n' || text_[at_] == '\r';
  }
  [[nodiscard]] std::size_t column() const { return at_ - line_begin_ + 1; }
  void end_line() {
    if (at_ < text_.size()) {
      at_ += text_.substr(at_).starts_with("\r\n") ? 2 : 1;
    }
    ++line_;
    line_begin_ = at_;
  }

  Result<void> read_record(CsvRecord& record) {
    while (true) {
      CsvField field;
      std::size_t begin = at_;
      while (begin < text_.size() && (text_[begin] == ' ' || text_[begin] == '\t')) {
        ++begin;
      }
      at_ = text_.substr(begin).starts_with('"') ? begin : at_;
      field.column = column();
      auto done = !at_line_end() && text_[at_] == '"' ? read_quoted(field) : read_plain(field);
      if (!done) {
        return done;
      }
      record.fields.push_back(std::move(field));
      if (at_line_end()) {
        return {};
      }
      ++at_;  // the comma
    }
  }

  Result<void> read_plain(CsvField& field) {
    const std::size_t begin = at_;
    while (!at_line_end() && text_[at_] != ',') {
      ++at_;
    }
    field.text = text_.substr(begin, at_ - begin);
    return {};
  }

  Result<void> read_quoted(CsvField& field) {
    const std::size_t line = line_;
    field.quoted = true;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"' && text_.substr(at_ + 1).starts_with('"')) {
        field.text += '"';
        ++at_;
      } else if (text_[at_] == '"') {
        ++at_;
        return after_quote();
      } else {
        field.text += text_[at_];
        if (text_[at_] == '\n') {
          ++line_;
          line_begin_ = at_ + 1;
        }
      }
    }
    return bad_csv(line, field.column, "this quote is not closed");
  }

  Result<void> after_quote() {
    while (!at_line_end() && text_[at_] != ',') {
      if (text_[at_] != ' ' && text_[at_] != '\t') {
        return bad_csv(line_, column(),
                       "text after a closing quote; a quote within a field is written twice");
      }
      ++at_;
    }
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t line_begin_ = 0;
};

}  // namespace

tl::unexpected<Error> bad_csv(std::size_t line, std::size_t column, std::string_view why) {
  return fail(ErrorCode::kInvalidArgument, "line " + std::to_string(line) + ", column " +
                                               std::to_string(column) + ": " + std::string(why));
}

namespace {

/// Length of the UTF-8 character that `text` begins with; 0: it begins with none.
/// @source RFC 3629, 4: UTF8-char
std::size_t character_size(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto tail = [](unsigned value) { return (value & 0xC0U) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return first == 0 ? 0 : 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return tail(byte(1)) ? 2 : 0;
  }
  const unsigned second = byte(1);
  if (first >= 0xE0 && first <= 0xEF) {
    const bool shortest = first != 0xE0 || second >= 0xA0;
    const bool no_surrogate = first != 0xED || second < 0xA0;
    return tail(second) && tail(byte(2)) && shortest && no_surrogate ? 3 : 0;
  }
  const bool in_range = (first != 0xF0 || second >= 0x90) && (first != 0xF4 || second < 0x90);
  return first >= 0xF0 && first <= 0xF4 && tail(second) && tail(byte(2)) && tail(byte(3)) &&
                 in_range
             ? 4
             : 0;
}

Result<void> check_text(std::string_view text) {
  std::size_t line = 1;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = character_size(text.substr(at));
    if (size == 0) {
      return bad_csv(line, at - begin + 1,
                     "a byte that is no text in UTF-8; accepted: UTF-8 (iconv converts)");
    }
    const bool crlf = text.substr(at).starts_with("\r\n");
    if (!crlf && (text[at] == '\n' || text[at] == '\r')) {
      ++line;
      begin = at + 1;
    }
    at += size;
  }
  return {};
}

}  // namespace

Result<std::vector<CsvRecord>> parse_csv(std::string_view text) {
  using namespace std::string_view_literals;
  if (text.starts_with("\xFF\xFE"sv) || text.starts_with("\xFE\xFF"sv)) {
    return fail(ErrorCode::kInvalidArgument, "the file is UTF-16; accepted: UTF-8");
  }
  if (text.starts_with("\xEF\xBB\xBF"sv)) {
    text.remove_prefix(3);
  }
  if (auto checked = check_text(text); !checked) {
    return fail(std::move(checked.error()));
  }
  return Reader(text).read();
}

}  // namespace podsense::text
