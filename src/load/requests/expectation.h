#pragma once

/// What an answer must have, beyond its status, to count as a success.

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::load {

class AnswerExpectation {
 public:
  /// `json:PATH=VALUE` (PATH: names and indices with dots; VALUE: JSON, or a text), `json:PATH` (it
  /// is there) or `body:TEXT` (the body contains it).
  /// @errors kInvalidArgument
  static Result<AnswerExpectation> parse(std::string_view text);

  /// Empty when the body has it, else what it has instead.
  [[nodiscard]] std::string fault_of(std::string_view body) const;

 private:
  std::string text_;     ///< as it was given
  std::string pointer_;  ///< of RFC 6901; `json` only
  std::string value_;    ///< JSON, or what the body contains
  bool json_ = false;
  bool has_value_ = false;
};

/// What a body lacks of all these; empty: nothing.
std::string first_fault(std::span<const AnswerExpectation> expectations, std::string_view body);

}  // namespace podsense::load
