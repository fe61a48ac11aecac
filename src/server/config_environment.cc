#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/ascii.h"
#include "base/text.h"
#include "server/config_sources.h"

namespace podsense::server {

namespace {

constexpr std::string_view kPrefix = "PODSENSE_";
constexpr std::string_view kConfigFile = "PODSENSE_CONFIG";
constexpr std::string_view kOpenTelemetry = "OTEL_";

/// Whether `text` is `word` or ends with '_' and `word`.
bool ends_with_word(std::string_view text, std::string_view word) {
  return text.ends_with(word) &&
         (text.size() == word.size() || text[text.size() - word.size() - 1] == '_');
}

/// Whether `text`, split at underscores, contains `word`.
bool has_word(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    if ((at == 0 || text[at - 1] == '_') && (end == text.size() || text[end] == '_')) {
      return true;
    }
  }
  return false;
}

bool is_address_link(std::string_view value) {
  return value.starts_with("tcp://") || value.starts_with("udp://") || value.starts_with("sctp://");
}

/// "…PORT_8080_TCP" or "…PORT_8080_TCP_ADDR" and the like.
bool is_port_link(std::string_view name) {
  for (const std::string_view suffix : {"_PROTO", "_PORT", "_ADDR"}) {
    if (name.ends_with(suffix)) {
      name.remove_suffix(suffix.size());
      break;
    }
  }
  const auto protocol = name.rfind('_');
  if (protocol == std::string_view::npos) {
    return false;
  }
  constexpr std::array<std::string_view, 3> kProtocols{"TCP", "UDP", "SCTP"};
  if (std::ranges::find(kProtocols, name.substr(protocol + 1)) == kProtocols.end()) {
    return false;
  }
  name = name.substr(0, protocol);
  const auto digits = name.find_last_not_of("0123456789");
  return digits != std::string_view::npos && digits + 1 < name.size() && name[digits] == '_' &&
         ends_with_word(name.substr(0, digits), "PORT");
}

std::string unknown_variable(std::string_view name) {
  std::vector<std::string_view> candidates{kConfigFile.substr(kPrefix.size())};
  std::string_view nearest;
  const std::string_view probe = name.substr(kPrefix.size());
  if (const std::string replaced = replaced_by(probe); !replaced.empty()) {
    return "unknown environment variable " + in_quotes(name) + replaced;
  }
  for (const Setting& setting : settings()) {
    candidates.push_back(std::string_view(setting.environment).substr(kPrefix.size()));
    const auto aliases = setting.aliases();
    if (std::ranges::find(aliases, probe) != aliases.end()) {
      nearest = candidates.back();
    }
  }
  if (nearest.empty()) {
    nearest = nearest_name(probe, candidates);
  }
  return "unknown environment variable " + in_quotes(name) +
         (nearest.empty() ? std::string("; see podsense serve --help")
                          : "; did you mean " + std::string(kPrefix) + std::string(nearest) + "?");
}

std::string link_warning(std::string_view name) {
  return std::string(name) +
         " is ignored: its value is a Kubernetes service link, not a setting "
         "(enableServiceLinks: false in the pod's spec removes it)";
}

/// Warns about OpenTelemetry variables for exports that do not exist here.
void warn_of_other_exports(const std::map<std::string_view, std::string_view>& variables,
                           EnvironmentReading& reading) {
  for (const auto& [name, value] : variables) {
    const bool exports = name.starts_with("OTEL_EXPORTER_OTLP_");
    if (exports && name.ends_with("PROTOCOL") && value != "http/protobuf") {
      reading.warnings.push_back(
          std::string(name) + ": " + in_quotes(value) +
          " is not spoken, http/protobuf is; collectors take it on port 4318");
    } else if (exports && name.ends_with("COMPRESSION") && value != "none") {
      reading.warnings.push_back(std::string(name) + ": " + in_quotes(value) +
                                 " is not done; traces are sent as they are");
    }
  }
}

}  // namespace

bool is_service_link(std::string_view name, std::string_view value) {
  if (!name.starts_with(kPrefix)) {
    return false;
  }
  const auto rest = name.substr(kPrefix.size());
  return ends_with_word(rest, "SERVICE_HOST") || has_word(rest, "SERVICE_PORT") ||
         is_port_link(rest) || (ends_with_word(rest, "PORT") && is_address_link(value));
}

EnvironmentReading read_environment(std::span<const std::string> environment) {
  // Trimmed, because values from files often end with a newline.
  std::map<std::string_view, std::string_view> variables;
  for (const std::string_view entry : environment) {
    const auto equals = entry.find('=');
    if (equals != std::string_view::npos) {
      const auto value = ascii::trim(entry.substr(equals + 1));
      if (!value.empty()) {
        variables.emplace(entry.substr(0, equals), value);
      }
    }
  }
  EnvironmentReading reading;
  // Ignored and used variables are removed from `variables`; the remaining ones with our prefix are
  // unknown.
  std::erase_if(variables, [&](const auto& variable) {
    const auto& [name, value] = variable;
    const bool link = is_service_link(name, value) || (name == "PORT" && is_address_link(value));
    if (link && ends_with_word(name, "PORT") && is_address_link(value)) {
      reading.warnings.push_back(link_warning(name));
    }
    return link;
  });
  if (const auto file = variables.extract(kConfigFile)) {
    reading.config_file = std::string(file.mapped());
  }
  for (const Setting& setting : settings()) {
    auto found = variables.extract(setting.environment);
    for (const std::string_view alias : setting.aliases()) {
      if (!found) {
        found = variables.extract(alias);
      }
    }
    if (found) {
      const std::string name(found.key());
      std::string value(found.mapped());
      // OpenTelemetry's time-outs are in milliseconds.
      if (name.starts_with(kOpenTelemetry) && name.ends_with("_TIMEOUT")) {
        value += "ms";
      }
      reading.given.push_back({&setting, words_of(setting, value), name, "env " + name});
    }
  }
  warn_of_other_exports(variables, reading);
  for (const auto& [name, value] : variables) {
    if (name.starts_with(kPrefix)) {
      reading.faults.push_back(unknown_variable(name));
    }
  }
  return reading;
}

std::vector<std::string> process_environment() {
  std::vector<std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    out.emplace_back(*entry);
  }
  return out;
}

}  // namespace podsense::server
