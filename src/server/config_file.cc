#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "server/config_sources.h"

namespace podsense::server {

namespace {

class YamlReader {
 public:
  explicit YamlReader(std::string file) : file_(std::move(file)) {}

  SourceReading read(const std::string& yaml) {
    try {
      const std::vector<YAML::Node> documents = YAML::LoadAll(yaml);
      if (documents.size() > 1) {
        reading_.faults.push_back(file_ + ": must be one YAML document, not " +
                                  std::to_string(documents.size()));
      } else if (!documents.empty()) {
        read_document(documents.front());
      }
    } catch (const YAML::Exception& error) {
      reading_.faults.push_back(at(error.mark) + "not YAML: " + error.msg);
    }
    return std::move(reading_);
  }

 private:
  using Seen = std::map<std::string, int>;

  [[nodiscard]] std::string at(const YAML::Mark& mark) const {
    return file_ + (mark.line >= 0 ? ":" + std::to_string(mark.line + 1) : "") + ": ";
  }

  void fault(const YAML::Node& node, const std::string& message) {
    reading_.faults.push_back(at(node.Mark()) + message);
  }

  void read_document(const YAML::Node& root) {
    if (root.IsNull()) {
      return;
    }
    if (!root.IsMap()) {
      fault(root, "must be a mapping of sections such as 'listen'");
      return;
    }
    Seen seen;
    for (const auto& entry : root) {
      const std::string name = key_name(entry.first, "", seen);
      if (!name.empty()) {
        read_section(name, entry.first, entry.second);
      }
    }
  }

  /// The name of a key; empty, with a fault, if it is not a plain name or is a duplicate.
  std::string key_name(const YAML::Node& key, const std::string& prefix, Seen& seen) {
    if (!key.IsScalar() || key.Scalar().empty()) {
      fault(key, "a key must be a name");
      return {};
    }
    const std::string& name = key.Scalar();
    const auto [first, added] = seen.emplace(name, key.Mark().line + 1);
    if (!added) {
      fault(key, prefix + name + ": given twice, first on line " + std::to_string(first->second));
      return {};
    }
    return name;
  }

  void read_section(const std::string& section, const YAML::Node& key, const YAML::Node& node) {
    if (std::ranges::find(sections(), section, &Section::name) == sections().end()) {
      fault(key, "unknown key " + in_quotes(section) + suggestion("", section));
      return;
    }
    if (node.IsNull()) {
      return;
    }
    if (!node.IsMap()) {
      fault(key, section + ": must be a mapping");
      return;
    }
    Seen seen;
    for (const auto& entry : node) {
      const std::string name = key_name(entry.first, section + ".", seen);
      if (!name.empty()) {
        read_setting(section, name, entry.first, entry.second);
      }
    }
  }

  void read_setting(const std::string& section, const std::string& name, const YAML::Node& key,
                    const YAML::Node& node) {
    const std::string full = section + "." + name;
    const auto setting = std::ranges::find(settings(), full, &Setting::key);
    if (setting == settings().end()) {
      const std::string replaced = replaced_by(name);
      fault(key, "unknown key " + in_quotes(full) +
                     (replaced.empty() ? suggestion(section, name) : replaced));
      return;
    }
    const bool map = setting->value.shape == Accessor::Shape::kMap;
    const bool list = setting->value.shape == Accessor::Shape::kList;
    if (node.IsNull()) {
      return;  // counts as missing: templates often leave empty keys
    }
    if ((node.IsMap() && !map) || (node.IsSequence() && !list) || (node.IsScalar() && map)) {
      fault(key, full + ": must be " +
                     (list  ? "a list"
                      : map ? "a mapping"
                            : "one value") +
                     ", not " +
                     (node.IsMap()        ? "a mapping"
                      : node.IsSequence() ? "a list"
                                          : in_quotes(node.Scalar())));
      return;
    }
    Given given{&*setting, {}, at(key.Mark()) + full, "file " + at(key.Mark())};
    given.origin.resize(given.origin.size() - 2);  // without ": "
    if (node.IsScalar()) {
      given.words = words_of(*setting, node.Scalar());
    }
    for (const auto& item : node) {
      const YAML::Node& value = map ? item.second : item;
      if (!value.IsScalar() || (map && !item.first.IsScalar())) {
        fault(value, full + ": items must be plain values");
        return;
      }
      given.words.push_back(map ? item.first.Scalar() + "=" + value.Scalar() : value.Scalar());
    }
    reading_.given.push_back(std::move(given));
  }

  /// A suggestion: the closest key of the same section, else the same name in another section, else
  /// a section.
  [[nodiscard]] static std::string suggestion(const std::string& section, const std::string& name) {
    std::vector<std::string_view> siblings;
    std::string_view best;
    for (const Setting& setting : settings()) {
      if (setting.section() == section) {
        siblings.push_back(setting.name());
      }
      if (setting.name() == name || setting.key == name || setting.flag == name) {
        best = setting.key;
      }
    }
    if (section.empty()) {
      std::ranges::transform(sections(), std::back_inserter(siblings), &Section::name);
    }
    const std::string_view nearest = nearest_name(name, siblings);
    if (best.empty() && nearest.empty()) {
      return section.empty() ? "; see docs/reference/configuration.md"
                             : "; section '" + section + "' has " + joined(siblings);
    }
    const std::string prefix = section.empty() ? "" : section + ".";
    return "; did you mean '" +
           (nearest.empty() ? std::string(best) : prefix + std::string(nearest)) + "'?";
  }

  [[nodiscard]] static std::string joined(const std::vector<std::string_view>& names) {
    std::string out;
    for (const std::string_view name : names) {
      out.append(out.empty() ? "" : ", ").append(name);
    }
    return out;
  }

  std::string file_;
  SourceReading reading_;
};

}  // namespace

SourceReading read_yaml(const std::string& yaml, const std::string& file) {
  return YamlReader(file).read(yaml);
}

}  // namespace podsense::server
