#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "server/config_sources.h"

namespace podsense::server {

namespace {

constexpr std::uintmax_t kMaxFileBytes = 1U << 20U;

/// Whether `file` is inside `folder`, with symbolic links resolved.
bool lies_in(const std::filesystem::path& file, const std::filesystem::path& folder) {
  std::error_code error;
  const auto inner = std::filesystem::weakly_canonical(file, error);
  const auto outer = std::filesystem::weakly_canonical(folder, error);
  return !folder.empty() &&
         std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

Result<std::string> read_small_file(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return fail(ErrorCode::kNotFound, "is a folder");
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    return fail(ErrorCode::kNotFound, std::generic_category().message(errno));
  }
  // The file size cannot be used: pipes and files in /proc have none.
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) {
    return fail(ErrorCode::kInternal, "cannot be read");
  }
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes) {
    return fail(ErrorCode::kPayloadTooLarge, "is larger than 1MiB");
  }
  return text;
}

bool is_existing_folder(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

/// Merges the sources, lowest priority first.
class Loader {
 public:
  explicit Loader(const ConfigSources& sources) : sources_(sources) {
    for (const Setting& setting : settings()) {
      origins_.emplace(&setting, "default");
    }
  }

  Result<LoadedConfig> load() {
    FlagReading flags = read_flags(sources_.arguments);
    loaded_.action = flags.action;
    if (flags.action != Action::kHelp) {
      EnvironmentReading environment = read_environment(sources_.environment);
      if (flags.config_file) {
        apply_file(*flags.config_file, "--config");
      } else if (environment.config_file) {
        apply_file(*environment.config_file, "PODSENSE_CONFIG");
      }
      apply(std::move(environment));
      apply(std::move(flags));
    }
    finish();
    if (!faults_.empty()) {
      return fail(ErrorCode::kInvalidArgument, faults_);
    }
    return std::move(loaded_);
  }

 private:
  void add_fault(std::string_view fault) {
    faults_.append(faults_.empty() ? "" : "\n").append(fault);
  }

  void apply(SourceReading reading) {
    std::ranges::for_each(reading.faults, [this](const auto& fault) { add_fault(fault); });
    std::ranges::move(reading.warnings, std::back_inserter(loaded_.warnings));
    for (Given& given : reading.given) {
      const auto wrong = given.setting->value.set(loaded_.config, given.words);
      if (wrong && given.where.starts_with("OTEL_")) {
        // OpenTelemetry's specification requires to ignore invalid values, as these are often set
        // for a whole cluster.
        loaded_.warnings.push_back(given.where + ": is ignored: " + *wrong);
      } else if (wrong) {
        add_fault(given.where + ": " + *wrong);
      } else {
        origins_[given.setting] = std::move(given.origin);
      }
    }
  }

  void apply_file(const std::string& file, const std::string& named_by) {
    const auto checked = parse_string(file);
    if (!checked || file.empty()) {
      add_fault(named_by + ": " + (checked ? "must not be empty" : checked.error()));
      return;
    }
    const auto text = sources_.read_file ? sources_.read_file(file) : read_small_file(file);
    if (!text) {
      add_fault(named_by + " " + file + ": " + text.error().message);
      return;
    }
    loaded_.file = file;
    apply(read_yaml(*text, file));
  }

  void finish() {
    Config& config = loaded_.config;
    if (config.models.dir.empty()) {
      config.models.dir = models_folder();
    }
    if (const auto valid = config.validate(); !valid) {
      add_fault(valid.error().message);
    }
    for (const Setting& setting : settings()) {
      loaded_.settings.push_back(
          {setting.key, yaml_text(setting, config), std::move(origins_[&setting])});
    }
  }

  bool is_folder(const std::filesystem::path& path) const {
    return sources_.is_folder ? sources_.is_folder(path) : is_existing_folder(path);
  }

  /// The mounted folder, else the one in the current folder, else the models installed with the
  /// program.
  std::string models_folder() const {
    if (is_folder("/mnt/models")) {
      return "/mnt/models";
    }
    std::error_code error;
    const auto binary = std::filesystem::read_symlink("/proc/self/exe", error);
    const auto along = binary.parent_path().parent_path() / "share/podsense/models";
    return !error && !is_folder("models") && is_folder(along) ? along.string() : "models";
  }

  const ConfigSources& sources_;
  LoadedConfig loaded_;
  std::map<const Setting*, std::string> origins_;
  std::string faults_;  ///< one per line
};

}  // namespace

std::vector<std::string> words_of(const Setting& setting, std::string_view text) {
  if (setting.value.is_list()) {
    return split_list(text);
  }
  return {std::string(text)};
}

Result<void> Config::validate() const {
  std::string faults;
  const auto any = [](const std::string& host) { return host == "0.0.0.0" || host == "::"; };
  const bool same_host = std::ranges::any_of(listen.host, [&](const std::string& host) {
    return any(host) || std::ranges::any_of(listen.admin_host, [&](const std::string& other) {
             return any(other) || other == host;
           });
  });
  if (listen.http_port != 0 && listen.http_port == listen.admin_port && same_host) {
    faults = "listen.admin_port: " + std::to_string(listen.admin_port) +
             " is also listen.http_port; they must differ";
  }
  if (listen.proxy_protocol && listen.trusted_proxies.empty()) {
    faults.append(faults.empty() ? "" : "\n")
        .append(
            "listen.proxy_protocol: needs listen.trusted_proxies, the networks of the proxies "
            "that send its header");
  }
  if (shutdown.drain_delay > shutdown.drain_timeout) {
    faults.append(faults.empty() ? "" : "\n")
        .append("shutdown.drain_timeout: must be at least shutdown.drain_delay (")
        .append(format_duration(shutdown.drain_delay))
        .append("), which it includes, not ")
        .append(format_duration(shutdown.drain_timeout));
  }
  if (auth.rate && auth.api_keys.empty() && auth.jwks.empty()) {
    faults.append(faults.empty() ? "" : "\n")
        .append("auth.rate: limits each key, and needs auth.api_keys or auth.jwks");
  }
  for (const auto& [file, hash] : onnxruntime.custom_ops) {
    if (lies_in(file, models.dir)) {
      faults.append(faults.empty() ? "" : "\n")
          .append("onnxruntime.custom_ops: ")
          .append(file)
          .append(" is inside models.dir; who may add models must not be able to add code");
    }
  }
  if (tracing.certificate.empty() != tracing.key.empty()) {
    faults.append(faults.empty() ? "" : "\n")
        .append(tracing.key.empty() ? "tracing.key" : "tracing.certificate")
        .append(": is missing; a client's certificate needs both");
  }
  if (tls.certificate.empty() != tls.key.empty()) {
    faults.append(faults.empty() ? "" : "\n")
        .append(tls.key.empty() ? "tls.key" : "tls.certificate")
        .append(": is missing; TLS needs both tls.certificate and tls.key");
  } else if (tls.certificate.empty() && !tls.client_ca.empty()) {
    faults.append(faults.empty() ? "" : "\n")
        .append("tls.client_ca: needs tls.certificate and tls.key");
  }
  if (!faults.empty()) {
    return fail(ErrorCode::kInvalidArgument, std::move(faults));
  }
  return {};
}

Result<LoadedConfig> load_config(const ConfigSources& sources) {
  return Loader(sources).load();
}

}  // namespace podsense::server
