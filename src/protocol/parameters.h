#pragma once

/// `value; name=token; name="quoted \" string"` as Content-Type and Content-Disposition write it.
/// @source RFC 9110 section 5.6.6

#include <optional>
#include <string_view>

namespace podsense::protocol {

struct Parameter {
  std::string_view name;
  std::string_view value;  ///< without its quotes, escapes left as sent
  bool was_quoted = false;
};

/// Reads one after another; stops at the end or at the first malformed one.
class Parameters {
 public:
  explicit Parameters(std::string_view header);
  std::optional<Parameter> next();
  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

/// What stands before the first `;`, trimmed.
std::string_view first_segment(std::string_view header);

/// Equal but for the case of ASCII letters.
bool same_name(std::string_view a, std::string_view b);

}  // namespace podsense::protocol
