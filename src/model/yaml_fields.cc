#include "model/yaml_fields.h"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

namespace podsense::model {
namespace {

/// A value for messages, shortened.
std::string quoted(const YAML::Node& node) {
  constexpr std::size_t kShown = 40;
  if (node.IsMap()) {
    return "a map";
  }
  if (node.IsSequence()) {
    return "a list";
  }
  if (!node.IsScalar()) {
    return "nothing";
  }
  const std::string& text = node.Scalar();
  return "'" + (text.size() > kShown ? text.substr(0, kShown) + "…" : text) + "'";
}

Error error_at(const YAML::Mark& mark, std::string what) {
  std::string message = mark.is_null() ? "" : "line " + std::to_string(mark.line + 1) + ": ";
  return Error{ErrorCode::kInvalidArgument, message + std::move(what), {}};
}

/// Checks the event stream before a tree is built, so that refused documents allocate nothing.
class Guard final : public YAML::EventHandler {
 public:
  struct Refusal {
    YAML::Mark mark;
    const char* what;
  };

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { plain(mark, "", anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    throw Refusal{mark, "anchors and aliases are not accepted"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& /*value*/) override {
    plain(mark, tag, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(mark, tag, anchor);
  }
  void OnMapEnd() override { --depth_; }

 private:
  static void plain(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      throw Refusal{mark, "anchors and aliases are not accepted"};
    }
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw Refusal{mark, "tags are not accepted"};
    }
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    plain(mark, tag, anchor);
    if (++depth_ > kMaxYamlDepth) {
      throw Refusal{mark, "nested too deeply"};
    }
  }

  int depth_ = 0;
};

Result<void> check_bytes(std::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return fail(ErrorCode::kInvalidArgument,
                "larger than " + std::to_string(kMaxYamlBytes >> 10U) + " KiB");
  }
  std::size_t line = 1;
  for (const char c : text) {
    line += c == '\n' ? 1 : 0;
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7F) {
      return fail(ErrorCode::kInvalidArgument,
                  "line " + std::to_string(line) + ": not text (a control character)");
    }
  }
  return {};
}

template <class T>
bool parse_whole_text(const std::string& text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string shortest(double value) {
  constexpr double kPlain = 1e9;
  std::string out;
  if (value == std::floor(value) && std::abs(value) < kPlain) {
    append_json_number(out, static_cast<std::int64_t>(value));
  } else {
    append_json_number(out, value);
  }
  return out;
}

}  // namespace

Result<YAML::Node> load_yaml(std::string_view text) {
  if (auto fine = check_bytes(text); !fine) {
    return fail(fine.error());
  }
  try {
    const std::string copy(text);
    std::istringstream events(copy);
    YAML::Parser parser(events);
    Guard guard;
    if (parser.HandleNextDocument(guard) && parser.HandleNextDocument(guard)) {
      return fail(ErrorCode::kInvalidArgument, "more than one YAML document");
    }
    return YAML::Load(copy);
  } catch (const Guard::Refusal& refusal) {
    return fail(error_at(refusal.mark, refusal.what));
  } catch (const YAML::Exception& e) {
    return fail(error_at(e.mark, "not valid YAML: " + e.msg));
  } catch (const std::exception& e) {
    return fail(ErrorCode::kInvalidArgument, "not valid YAML", e.what());
  }
}

tl::unexpected<Error> fail_at(const YAML::Node& node, std::string what) {
  return fail(error_at(node.Mark(), std::move(what)));
}

Error unknown_key(const YAML::Node& node, std::string_view section, std::string_view name,
                  std::span<const std::string_view> known) {
  std::string what = "unknown key " + quoted(node);
  if (!section.empty()) {
    what += " in '" + std::string(section) + "'";
  }
  if (const std::string_view near = nearest_name(name, known); !near.empty()) {
    what += "; did you mean '" + std::string(near) + "'?";
  } else {
    what += "; known are";
    const char* separator = " ";
    for (const std::string_view key : known) {
      what += separator;
      what += key;
      separator = ", ";
    }
  }
  return error_at(node.Mark(), std::move(what));
}

Result<std::string> yaml_text(std::string_view key, const YAML::Node& node) {
  if (!node.IsScalar()) {
    return fail_at(node, "'" + std::string(key) + "' must be text, not " + quoted(node));
  }
  return node.Scalar();
}

Result<std::uint64_t> yaml_whole(std::string_view key, const YAML::Node& node, WholeRange range) {
  std::uint64_t value = 0;
  if (!node.IsScalar() || !parse_whole_text(node.Scalar(), value) || value < range.least ||
      value > range.most) {
    return fail_at(node, "'" + std::string(key) + "' must be a whole number from " +
                             std::to_string(range.least) + " to " + std::to_string(range.most) +
                             ", not " + quoted(node));
  }
  return value;
}

Result<double> yaml_real(std::string_view key, const YAML::Node& node, RealRange range) {
  double value = 0;
  if (!node.IsScalar() || !parse_whole_text(node.Scalar(), value) || !std::isfinite(value) ||
      value < range.least || value > range.most) {
    return fail_at(node, "'" + std::string(key) + "' must be a number from " +
                             shortest(range.least) + " to " + shortest(range.most) + ", not " +
                             quoted(node));
  }
  return value;
}

Result<Duration> yaml_ms(std::string_view key, const YAML::Node& node, RealRange range) {
  return yaml_real(key, node, range).map([](double ms) {
    return std::chrono::round<Duration>(std::chrono::duration<double, std::milli>(ms));
  });
}

Result<std::string> yaml_choice(std::string_view key, const YAML::Node& node,
                                std::span<const std::string_view> choices) {
  if (node.IsScalar() && std::ranges::find(choices, node.Scalar()) != choices.end()) {
    return node.Scalar();
  }
  std::string what = "'" + std::string(key) + "' must be one of ";
  for (std::size_t i = 0; i < choices.size(); ++i) {
    what += i == 0 ? "" : ", ";
    what += choices[i];
  }
  what += ", not " + quoted(node);
  if (node.IsScalar()) {
    if (const auto near = nearest_name(node.Scalar(), choices); !near.empty()) {
      what += "; did you mean '" + std::string(near) + "'?";
    }
  }
  return fail_at(node, std::move(what));
}

}  // namespace podsense::model
