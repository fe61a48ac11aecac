#include "foresight/yaml_json.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace podsense::foresight {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxText = 16U << 20U;
constexpr std::size_t kMaxDepth = 32;

struct Refusal {
  YAML::Mark mark;
  std::string what;
};

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = error == std::errc{} && end == text.data() + text.size();
  return is_whole ? std::optional(value) : std::nullopt;
}

Json plain_value(const std::string& text) {
  if (text.empty() || text == "null" || text == "~") {
    return nullptr;
  }
  if (text == "true" || text == "false") {
    return text == "true";
  }
  if (const auto whole = number<std::int64_t>(text)) {
    return *whole;
  }
  const bool is_number = text.find_first_not_of("0123456789+-.eE") == std::string::npos;
  const auto real = is_number ? number<double>(text) : std::nullopt;
  return real && std::isfinite(*real) ? Json(*real) : Json(text);
}

/// What cannot be written as JSON again.
void check_utf8(const YAML::Mark& mark, const std::string& text) {
  try {
    [[maybe_unused]] const std::string written = Json(text).dump();
  } catch (const Json::type_error&) {
    throw Refusal{mark, "not UTF-8"};
  }
}

/// Builds the document while it is read, so that nothing refused is ever built.
class Builder final : public YAML::EventHandler {
 public:
  [[nodiscard]] const YAML::Mark& begin() const { return begin_; }
  [[nodiscard]] Json take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override { begin_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, "", anchor);
    add(mark, nullptr);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    throw Refusal{mark, "anchors and aliases are not accepted"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    check_utf8(mark, value);
    if (expects_key()) {
      set_key(mark, value);
    } else {
      add(mark, tag == "!" ? Json(value) : plain_value(value));
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Json::array());
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor, Json::object());
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Open {
    Json* value = nullptr;
    std::optional<std::string> key;  ///< of an object: whose value comes next
  };

  static void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) {
      throw Refusal{mark, "anchors and aliases are not accepted"};
    }
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw Refusal{mark, "tags are not accepted"};
    }
  }
  [[nodiscard]] bool expects_key() const {
    return !open_.empty() && open_.back().value->is_object() && !open_.back().key;
  }
  void set_key(const YAML::Mark& mark, const std::string& key) {
    if (open_.back().value->contains(key)) {
      throw Refusal{mark, "'" + key.substr(0, 40) + "' is given twice"};
    }
    open_.back().key = key;
  }
  Json* add(const YAML::Mark& mark, Json value) {
    if (expects_key()) {
      throw Refusal{mark, "a key must be a text"};
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Open& parent = open_.back();
    if (parent.value->is_array()) {
      parent.value->push_back(std::move(value));
      return &parent.value->back();
    }
    Json& member = (*parent.value)[*parent.key];
    parent.key.reset();
    member = std::move(value);
    return &member;
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Json value) {
    check(mark, tag, anchor);
    if (open_.size() >= kMaxDepth) {
      throw Refusal{mark, "nested too deeply; accepted: " + std::to_string(kMaxDepth) + " levels"};
    }
    open_.push_back({.value = add(mark, std::move(value)), .key = std::nullopt});
  }

  Json root_;
  YAML::Mark begin_;
  std::vector<Open> open_;
};

tl::unexpected<Error> refuse(const YAML::Mark& mark, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, "line " + std::to_string(mark.line + 1) + ": " + what);
}

}  // namespace

Result<std::vector<Json>> parse_yaml_documents(std::string_view text) {
  if (text.size() > kMaxText) {
    return fail(ErrorCode::kInvalidArgument, "line 1: longer than 16 MiB");
  }
  std::istringstream in{std::string(text)};
  std::vector<Json> documents;
  try {
    YAML::Parser parser(in);
    int before = -1;
    for (Builder builder; parser.HandleNextDocument(builder); builder = {}) {
      // yaml-cpp stays where a document cannot begin, and gives empty ones without an end.
      if (builder.begin().pos <= before) {
        return refuse(builder.begin(), "not YAML: another document begins with ---");
      }
      before = builder.begin().pos;
      documents.push_back(builder.take());
    }
  } catch (const Refusal& refusal) {
    return refuse(refusal.mark, refusal.what);
  } catch (const YAML::Exception& error) {
    return refuse(error.mark, "not YAML: " + error.msg);
  }
  return documents;
}

Result<Json> parse_yaml(std::string_view text) {
  auto documents = parse_yaml_documents(text);
  if (!documents) {
    return fail(documents.error());
  }
  if (documents->size() != 1) {
    return fail(
        ErrorCode::kInvalidArgument,
        documents->empty() ? "line 1: empty" : "line 1: must be one YAML document, not several");
  }
  return std::move(documents->front());
}

}  // namespace podsense::foresight
