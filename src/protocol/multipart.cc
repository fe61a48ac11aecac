#include <algorithm>

#include "base/ascii.h"
#include "protocol/form.h"
#include "protocol/json_syntax.h"
#include "protocol/options.h"
#include "protocol/parameters.h"

namespace podsense::protocol {
namespace {

constexpr std::size_t kMaxParts = 64;
constexpr std::size_t kMaxPartHeaders = 8192;
constexpr std::size_t kMaxBoundary = 70;
constexpr std::size_t kNotFound = std::string_view::npos;

bool is_boundary(std::string_view text) {
  constexpr std::string_view kMarks = "'()+_,-./:=? ";
  return !text.empty() && text.size() <= kMaxBoundary && text.back() != ' ' &&
         std::ranges::all_of(text, [&](char c) {
           return ascii::is_alphanumeric(c) || kMarks.find(c) != kNotFound;
         });
}

struct Delimiter {
  std::size_t start = kNotFound;  ///< of the CRLF that belongs to it
  std::size_t end = 0;            ///< after its line
  bool closes = false;
};

class Splitter {
 public:
  Splitter(std::string_view body, std::string_view boundary)
      : body_(body), needle_("\r\n--" + std::string(boundary)) {}

  /// The first delimiter at or after `from`; `start` is kNotFound if there is none. A line that
  /// only begins like a delimiter (`--boundaryX`) is data.
  [[nodiscard]] Delimiter next(std::size_t from) const {
    // Linear in all cases: CR occurs once in the needle, so partial matches
    // cannot overlap.
    while (true) {
      const std::size_t start = body_.find(needle_, from);
      if (start == kNotFound) {
        return {};
      }
      if (const Delimiter d = classify(start, start + needle_.size()); d.start != kNotFound) {
        return d;
      }
      from = start + 2;
    }
  }

  /// The delimiter before the first part; at the start of the body it has no CRLF before it.
  [[nodiscard]] Delimiter first() const {
    const std::string_view bare = std::string_view(needle_).substr(2);
    if (body_.starts_with(bare)) {
      if (const Delimiter d = classify(0, bare.size()); d.start != kNotFound) {
        return d;
      }
    }
    return next(0);
  }

  /// Whether line ends are bare LFs, which explains a missing delimiter in the message.
  [[nodiscard]] bool has_bare_line_feeds() const {
    const std::string_view bare = std::string_view(needle_).substr(2);
    const std::size_t at = body_.find(bare);
    return at != kNotFound && body_.substr(at + bare.size()).starts_with('\n');
  }

 private:
  [[nodiscard]] Delimiter classify(std::size_t start, std::size_t end) const {
    if (body_.substr(end).starts_with("--")) {
      return {.start = start, .end = end + 2, .closes = true};
    }
    const std::size_t line_end = body_.find_first_not_of(" \t", end);
    if (line_end != kNotFound && body_.substr(line_end).starts_with("\r\n")) {
      return {.start = start, .end = line_end + 2, .closes = false};
    }
    return {};
  }

  std::string_view body_;
  std::string needle_;
};

/// `part 3`, counted from 1.
std::string nth(std::size_t index) {
  return "form part " + std::to_string(index + 1);
}

Result<void> read_disposition(std::string_view value, std::size_t index, FormPart& part) {
  if (!same_name(first_segment(value), "form-data")) {
    return invalid(nth(index) + " has Content-Disposition " + in_quotes(first_segment(value)) +
                   "; it must be form-data");
  }
  bool named = false;
  std::string_view extended;
  Parameters parameters(value);
  while (const auto parameter = parameters.next()) {
    if (same_name(parameter->name, "name")) {
      if (named) {
        return invalid(nth(index) + " has two names");
      }
      named = true;
      part.name = parameter->value;
    } else if (same_name(parameter->name, "filename")) {
      part.filename = parameter->value;
    } else if (same_name(parameter->name, "filename*")) {
      extended = parameter->value;
    }
  }
  if (parameters.malformed()) {
    return invalid(nth(index) + " has a malformed Content-Disposition header");
  }
  if (!named || part.name.empty()) {
    return invalid(nth(index) +
                   " has no name; send Content-Disposition: form-data; name=\"image\"");
  }
  if (part.filename.empty()) {
    part.filename = extended;
  }
  return {};
}

Result<void> read_header(std::string_view line, std::size_t index, FormPart& part) {
  const std::size_t colon = line.find(':');
  const auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
  };
  if (colon == kNotFound || colon == 0 || line.find_first_of(" \t") < colon ||
      std::ranges::any_of(line, is_control)) {
    return invalid(nth(index) + " has a malformed header line");
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = first_segment(line.substr(colon + 1));
  if (same_name(name, "Content-Disposition")) {
    if (!part.name.empty()) {
      return invalid(nth(index) + " has two Content-Disposition headers");
    }
    return read_disposition(line.substr(colon + 1), index, part);
  }
  if (same_name(name, "Content-Type")) {
    std::string_view whole = line.substr(colon + 1);
    whole.remove_prefix(std::min(whole.find_first_not_of(" \t"), whole.size()));
    part.content_type = whole;
  } else if (same_name(name, "Content-Transfer-Encoding") && !same_name(value, "binary") &&
             !same_name(value, "8bit") && !same_name(value, "7bit")) {
    return invalid(nth(index) + " has Content-Transfer-Encoding " + in_quotes(value) +
                   "; send the bytes as they are");
  }
  return {};
}

/// Reads the headers that start at `at` and moves `at` to the CRLF that closes
/// them.
Result<void> read_headers(std::string_view body, std::size_t& at, std::size_t index,
                          FormPart& part) {
  const std::size_t start = at;
  const std::string_view head = body.substr(start, kMaxPartHeaders + 2);
  while (true) {
    const std::size_t end = head.find("\r\n", at - start);
    if (end == kNotFound) {
      return invalid(head.size() > kMaxPartHeaders ? nth(index) + " has headers over " +
                                                         std::to_string(kMaxPartHeaders) + " bytes"
                                                   : nth(index) + " ends inside its headers");
    }
    const std::string_view line = head.substr(at - start, end - (at - start));
    if (line.empty()) {
      return {};
    }
    if (auto read = read_header(line, index, part); !read) {
      return read;
    }
    at = start + end + 2;
  }
}

}  // namespace

Result<std::vector<FormPart>> parse_multipart(std::string_view body, std::string_view boundary) {
  if (!is_boundary(boundary)) {
    return invalid("the multipart boundary is " + in_quotes(boundary) +
                   "; it must be 1 to 70 characters of RFC 2046");
  }
  const Splitter splitter(body, boundary);
  Delimiter delimiter = splitter.first();
  if (delimiter.start == kNotFound) {
    return invalid(splitter.has_bare_line_feeds()
                       ? "lines of a multipart form must end in CR LF, not in LF alone"
                       : "the form does not hold its boundary " + in_quotes(boundary));
  }
  std::vector<FormPart> parts;
  while (!delimiter.closes) {
    if (parts.size() == kMaxParts) {
      return invalid("the form has more than " + std::to_string(kMaxParts) + " parts");
    }
    FormPart part;
    std::size_t at = delimiter.end;
    if (auto read = read_headers(body, at, parts.size(), part); !read) {
      return tl::unexpected(std::move(read.error()));
    }
    if (part.name.empty()) {
      return invalid(nth(parts.size()) +
                     " has no name; send Content-Disposition: form-data; name=\"image\"");
    }
    // An empty part may have no CRLF of its own; the delimiter's CRLF then ends the headers.
    delimiter = splitter.next(at);
    if (delimiter.start == kNotFound) {
      return invalid("the form ends without its closing delimiter; it was cut short");
    }
    const std::size_t data = at + 2;
    part.data =
        delimiter.start > at ? body.substr(data, delimiter.start - data) : std::string_view();
    parts.push_back(part);
  }
  return parts;
}

}  // namespace podsense::protocol
