#include "load/requests/expectation.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/split.h"

namespace podsense::load {
namespace {

using Json = nlohmann::json;

tl::unexpected<Error> bad(std::string_view text) {
  return fail(ErrorCode::kInvalidArgument,
              "--expect '" + std::string(text) +
                  "': accepted: json:PATH=VALUE, json:PATH, body:TEXT, for example "
                  "json:prediction=1 or json:predictions.0.label=cat");
}

/// What a person would compare: 1 and 1.0 are equal, and text needs no quotes.
Json value_of(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  return value.is_discarded() ? Json(text) : value;
}

std::string shown(const Json& value) {
  constexpr std::size_t kMost = 60;
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > kMost ? text.substr(0, kMost) + "…" : text;
}

}  // namespace

Result<AnswerExpectation> AnswerExpectation::parse(std::string_view text) {
  AnswerExpectation expectation;
  expectation.text_ = text;
  if (text.starts_with("body:") && text.size() > 5) {
    expectation.value_ = text.substr(5);
    return expectation;
  }
  if (!text.starts_with("json:") || text.size() <= 5) {
    return bad(text);
  }
  const std::string_view rest = text.substr(5);
  const std::size_t sign = rest.find('=');
  expectation.json_ = true;
  expectation.has_value_ = sign != rest.npos;
  expectation.value_ = expectation.has_value_ ? rest.substr(sign + 1) : std::string_view();
  for (const std::string_view part : text::split(rest.substr(0, sign), '.')) {
    if (part.empty()) {
      return bad(text);
    }
    expectation.pointer_ += '/';
    for (const char c : part) {  // as a pointer writes them
      expectation.pointer_ += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    }
  }
  return expectation;
}

std::string AnswerExpectation::fault_of(std::string_view body) const {
  if (!json_) {
    return body.find(value_) != body.npos ? "" : "the body does not contain '" + value_ + "'";
  }
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) {
    return text_ + ": the body is no JSON";
  }
  try {
    const Json& found = json.at(Json::json_pointer(pointer_));
    if (!has_value_ || found == value_of(value_) ||
        (found.is_string() && found.get<std::string>() == value_)) {
      return "";
    }
    return text_ + ": it is " + shown(found);
  } catch (const Json::exception&) {
    return text_ + ": there is no such value";
  }
}

std::string first_fault(std::span<const AnswerExpectation> expectations, std::string_view body) {
  for (const AnswerExpectation& one : expectations) {
    if (std::string fault = one.fault_of(body); !fault.empty()) {
      return fault;
    }
  }
  return {};
}

}  // namespace podsense::load
