#pragma once

/// Parses parameters of headers such as Content-Type and Content-Disposition: `value; name=token;
/// name="quoted \" string"`.
/// @source RFC 9110 section 5.6.6

#include <optional>
#include <string_view>

namespace podsense::protocol {

struct Parameter {
  std::string_view name;
  std::string_view value;  ///< without quotes; escapes are not decoded
  bool was_quoted = false;
};

/// Reads one parameter after another; stops at the end or at the first malformed one.
class Parameters {
 public:
  explicit Parameters(std::string_view header);
  std::optional<Parameter> next();
  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

/// The part before the first `;`, trimmed.
std::string_view first_segment(std::string_view header);

/// Whether two names are equal if the case of ASCII letters is ignored.
bool same_name(std::string_view a, std::string_view b);

}  // namespace podsense::protocol
