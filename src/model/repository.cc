#include "model/repository.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "model/fast_hash.h"
#include "model/model_files.h"
#include "model/triton_config.h"
#include "model/yaml_fields.h"

namespace podsense::model {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxNameBytes = 64;
constexpr std::string_view kManifestFile = "model.yaml";
constexpr std::string_view kOtherManifestFile = "model.yml";
/// Hugging Face's folder for exported models.
constexpr std::string_view kOnnxFolder = "onnx";

bool valid_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

/// The state that reloads compare: path, size, mtime, inode.
std::string file_state(const fs::path& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) {
    return path.string() + " absent;";
  }
  std::string out = path.string();
  for (const std::int64_t part :
       {static_cast<std::int64_t>(s.st_size), static_cast<std::int64_t>(s.st_mtim.tv_sec),
        static_cast<std::int64_t>(s.st_mtim.tv_nsec), static_cast<std::int64_t>(s.st_ino)}) {
    out += ' ';
    out += std::to_string(part);
  }
  return out + ';';
}

struct ManifestFile {
  Manifest manifest;
  std::string text;
  bool exists = false;
};

class Scanner {
 public:
  Scanner(const RepositoryOptions& options, fs::path root)
      : options_(options), root_(std::move(root)) {}

  Listing scan() {
    const fs::path& folder = options_.root;
    const auto entries = folders_in(folder);
    if (!entries) {
      refuse(folder.filename().string(), "", entries.error().message, folder);
    } else if (is_one_model(*entries)) {
      if (wanted(options_.single_model_name)) {
        named_model({options_.single_model_name, folder});
      }
    } else {
      named_models(*entries);
    }
    for (const std::string& name : options_.only) {
      if (!seen(name)) {
        refuse(name, "", "models.only names it, but the repository has no such model", folder);
      }
    }
    std::ranges::sort(listing_.candidates, {}, [](const Candidate& c) {
      return std::pair<const std::string&, std::uint64_t>(c.name, c.version);
    });
    return std::move(listing_);
  }

 private:
  /// Whether a version is in the model's folder itself, or in a subfolder that can have its own
  /// manifest.
  enum class Place { kInModel, kBelowModel };

  static bool exists(const fs::path& path) {
    std::error_code error;
    return fs::exists(path, error);
  }

  void refuse(std::string name, std::string version, std::string reason, const fs::path& about) {
    const std::string key = name + '\n' + version + '\n' + reason + '\n' + file_state(about);
    listing_.refused.push_back(
        {std::move(name), std::move(version), std::move(reason), fast_hash(key).hex()});
  }

  /// Whether `path`, with links resolved, is inside the root.
  bool stays_inside(const fs::path& path) const {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    return !error &&
           std::mismatch(root_.begin(), root_.end(), real.begin(), real.end()).first == root_.end();
  }

  bool wanted(const std::string& name) const {
    return options_.only.empty() || std::ranges::find(options_.only, name) != options_.only.end();
  }
  bool seen(const std::string& name) const {
    return std::ranges::find(listing_.candidates, name, &Candidate::name) !=
               listing_.candidates.end() ||
           std::ranges::find(listing_.refused, name, &Refused::name) != listing_.refused.end();
  }
  void pass_over(const std::string& name, std::string text) {
    listing_.remarks.push_back({name.substr(0, kMaxNameBytes), std::move(text)});
  }

  /// Reads a manifest; messages contain only its file name.
  Result<std::string> read_text(const fs::path& path, std::size_t most) const {
    const std::string name = path.filename().string();
    if (!stays_inside(path)) {
      return fail(ErrorCode::kInvalidArgument, name + " is a link that leaves the repository");
    }
    if (std::error_code error; !fs::is_regular_file(path, error)) {  // reading a pipe would block
      return fail(ErrorCode::kInvalidArgument, name + " is not a regular file");
    }
    std::ifstream file(path, std::ios::binary);
    std::string text(most + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (!file.eof() && text.size() <= most) {
      return fail(ErrorCode::kInvalidArgument, name + " cannot be read");
    }
    return text;
  }

  Result<ManifestFile> read_manifest(const fs::path& folder, const Manifest& base) {
    ManifestFile out{.manifest = base, .text = {}, .exists = false};
    std::string_view name = kManifestFile;
    const bool other = exists(folder / kOtherManifestFile);
    if (!exists(folder / kManifestFile)) {
      name = kOtherManifestFile;
    } else if (other) {
      pass_over(folder.filename().string(), "model.yml is ignored: there is a model.yaml");
    }
    if (name == kOtherManifestFile && !other) {
      return out;
    }
    auto text = read_text(folder / name, kMaxYamlBytes);
    if (!text) {
      return fail(std::move(text.error()));
    }
    auto manifest = parse_manifest(*text, folder, out.manifest);
    if (!manifest) {
      return fail(ErrorCode::kInvalidArgument, std::string(name) + ": " + manifest.error().message);
    }
    out.manifest = std::move(*manifest);
    out.text += *text;
    out.exists = true;
    return out;
  }

  /// Reads the manifest of a model's folder. Its keys have priority over Triton's configuration.
  Result<ManifestFile> read_model_manifest(const fs::path& folder) {
    if (!exists(folder / kTritonConfigFile)) {
      return read_manifest(folder, {});
    }
    const std::string name(kTritonConfigFile);
    auto text = read_text(folder / name, kMaxTritonConfigBytes);
    if (!text) {
      return fail(std::move(text.error()));
    }
    auto foreign = read_triton_config(*text, folder);
    if (!foreign) {
      return fail(ErrorCode::kInvalidArgument, name + ": " + foreign.error().message);
    }
    auto own = read_manifest(folder, *foreign);
    if (own) {
      own->text = *text + '\n' + own->text;
      own->exists = true;
    }
    return own;
  }

  /// Covers all files of the folder (also external data and labels) and the manifest texts.
  static std::string fingerprint(const Candidate& candidate, std::string_view manifests) {
    std::string state(manifests);
    state += candidate.file.empty() ? candidate.folder.string() : file_state(candidate.file);
    std::vector<std::string> others;
    std::error_code error;
    for (fs::directory_iterator it(candidate.folder, error), end;
         !error && it != end && others.size() < kMaxFolderEntries; it.increment(error)) {
      std::error_code gone;
      if (!it->path().filename().string().starts_with('.') && it->is_regular_file(gone)) {
        others.push_back(file_state(it->path()));
      }
    }
    std::ranges::sort(others);
    Hash128 hash = fast_hash(state);
    for (const std::string& other : others) {
      hash = fast_hash(other, hash);
    }
    for (const std::string& label : candidate.manifest.labels) {
      hash = fast_hash(label, hash);
    }
    return hash.hex();
  }

  /// Makes a candidate of a version's folder, or lists why it cannot.
  std::optional<Candidate> version_at(const std::string& name, std::uint64_t version,
                                      const fs::path& folder, const ManifestFile& base,
                                      Place place) {
    const auto no = [&](std::string reason) {
      refuse(name, std::to_string(version), std::move(reason), folder);
      return std::nullopt;
    };
    Candidate out{.name = name, .version = version, .folder = folder};
    const bool own_folder = place == Place::kBelowModel;
    auto own = own_folder ? read_manifest(folder, base.manifest) : Result<ManifestFile>(base);
    if (!own) {
      return no(own.error().message);
    }
    if (own_folder && (own->manifest.version_policy != base.manifest.version_policy ||
                       own->manifest.keep_versions != base.manifest.keep_versions ||
                       own->manifest.listed_versions != base.manifest.listed_versions)) {
      return no("model.yaml: 'versions' belongs in the model's folder, not in a version's");
    }
    out.manifest = std::move(own->manifest);
    if (auto chosen = choose_file(out); !chosen) {
      return no(std::move(chosen.error().message));
    }
    out.fingerprint = fingerprint(out, base.text + '\n' + own->text);
    return out;
  }

  Result<void> choose_file(Candidate& out) const {
    const auto no = [](std::string reason) {
      return fail(ErrorCode::kInvalidArgument, std::move(reason));
    };
    auto file = find_model_file(out.folder, out.manifest.file);
    if (!file) {
      return fail(std::move(file.error()));
    }
    const bool simulated = out.manifest.without_file;
    if (file->empty()) {
      return simulated ? Result<void>() : no("no model.onnx in the version's folder");
    }
    const std::string name = file->filename().string();
    if (simulated) {
      return no("'task: simulated' and a " + name + "; remove one of them");
    }
    // A dangling or circular link counts as a missing file.
    if (std::error_code error; fs::exists(*file, error) && !stays_inside(*file)) {
      return no(name + " is a link that leaves the repository");
    }
    if (std::error_code error; !fs::is_regular_file(*file, error)) {
      return no(name + " is not a regular file");
    }
    out.folder = file->parent_path();
    out.file = std::move(*file);
    return {};
  }

  /// The root itself is a model if it contains a model file or manifest, or versions with model
  /// files and no other models.
  static bool is_model_itself(const fs::path& root) {
    return exists(root / "model.onnx") || exists(root / "model.ort") ||
           exists(root / kManifestFile) || exists(root / kOtherManifestFile);
  }
  bool is_one_model(const std::vector<Entry>& entries) const {
    if (is_model_itself(options_.root)) {
      return true;
    }
    // Folders that belong to a single model: versions, or Hugging Face's `onnx`.
    const auto part = [](const Entry& entry) {
      const bool named = version_number(entry.name) || entry.name == kOnnxFolder;
      const auto file = named ? find_model_file(entry.path) : Result<fs::path>(fs::path());
      return named && (!file || !file->empty());
    };
    const auto other = [&](const Entry& entry) {
      return !part(entry) && looks_like_a_model(entry.path);
    };
    const auto file = find_model_file(options_.root);
    const bool found = (file && !file->empty()) || std::ranges::any_of(entries, part);
    return found && std::ranges::none_of(entries, other);
  }

  void named_models(const std::vector<Entry>& entries) {
    for (const Entry& model : entries) {
      if (!wanted(model.name)) {
        continue;
      }
      if (!stays_inside(model.path)) {
        refuse(model.name.substr(0, kMaxNameBytes), "", "a link that leaves the repository",
               model.path);
      } else if (!looks_like_a_model(model.path)) {
        pass_over(model.name, "ignored: the folder holds no model (" +
                                  model.name.substr(0, kMaxNameBytes) + "/1/model.onnx)");
      } else if (!valid_name(model.name)) {
        refuse(model.name.substr(0, kMaxNameBytes), "",
               "a model's name is 1 to 64 of A-Z a-z 0-9 . _ -, not starting with '.'", model.path);
      } else {
        named_model(model);
      }
    }
  }

  void named_model(const Entry& model) {
    const auto manifest = read_model_manifest(model.path);
    if (!manifest) {
      refuse(model.name, "", manifest.error().message, model.path / kManifestFile);
      return;
    }
    for (const std::string& remark : manifest->manifest.remarks) {
      pass_over(model.name, remark);
    }
    const auto found = folders_in(model.path);
    if (!found) {
      refuse(model.name, "", found.error().message, model.path);
      return;
    }
    std::map<std::uint64_t, Entry> versions;
    std::vector<Entry> others;
    for (const Entry& entry : *found) {
      const auto number = version_number(entry.name);
      if (!number) {
        others.push_back(entry);
      } else if (const auto [at, fresh] = versions.try_emplace(*number, entry); !fresh) {
        // The plain number sorts before "v1" and after "01".
        const bool plain = entry.name == std::to_string(*number);
        pass_over(model.name, "the folder '" + (plain ? at->second.name : entry.name) +
                                  "' is ignored: '" + (plain ? entry.name : at->second.name) +
                                  "' is the same version");
        at->second = plain ? entry : at->second;
      }
    }
    if (versions.empty()) {
      model_without_versions(model, *manifest, others);
    } else {
      model_with_versions(model, *manifest, versions, others);
    }
  }

  void model_with_versions(const Entry& model, const ManifestFile& manifest,
                           const std::map<std::uint64_t, Entry>& versions,
                           const std::vector<Entry>& others) {
    for (const Entry& other : others) {
      pass_over(model.name, "the folder '" + other.name.substr(0, kMaxNameBytes) +
                                "' is ignored: it is no version");
    }
    if (const auto beside = find_model_file(model.path); !beside || !beside->empty()) {
      pass_over(model.name, "the model's file beside its versions is ignored; move it to " +
                                model.name + "/VERSION/");
    }
    std::vector<Candidate> candidates;
    for (const auto& [number, entry] : versions) {
      if (!stays_inside(entry.path)) {
        refuse(model.name, std::to_string(number), "a link that leaves the repository", entry.path);
      } else if (auto candidate =
                     version_at(model.name, number, entry.path, manifest, Place::kBelowModel)) {
        candidates.push_back(std::move(*candidate));
      }
    }
    choose(std::move(candidates), model, manifest.manifest);
  }

  void model_without_versions(const Entry& model, const ManifestFile& manifest,
                              const std::vector<Entry>& others) {
    const auto file = find_model_file(model.path, manifest.manifest.file);
    const bool here = !file || !file->empty() || manifest.manifest.without_file;
    if (here) {
      if (auto candidate = version_at(model.name, 1, model.path, manifest, Place::kInModel)) {
        listing_.candidates.push_back(std::move(*candidate));
      }
      return;
    }
    bool told = false;
    for (const Entry& other : others) {
      if (looks_like_a_model(other.path)) {
        refuse(model.name, other.name.substr(0, kMaxNameBytes),
               "the version's folder is not a positive whole number, e.g. " + model.name + "/1",
               other.path);
        told = true;
      }
    }
    if (!told) {
      refuse(model.name, "", "no version in it; put the model at " + model.name + "/1/model.onnx",
             model.path);
    }
  }

  void choose(std::vector<Candidate> versions, const Entry& model, const Manifest& manifest) {
    std::ranges::sort(versions, std::greater(), &Candidate::version);
    if (manifest.version_policy == VersionPolicy::kLatest &&
        versions.size() > manifest.keep_versions) {
      const auto older = versions.begin() + manifest.keep_versions;
      std::move(older, versions.end(), std::back_inserter(listing_.spares));
      versions.erase(older, versions.end());
    } else if (manifest.version_policy == VersionPolicy::kList) {
      for (const std::uint64_t wanted : manifest.listed_versions) {
        if (std::ranges::find(versions, wanted, &Candidate::version) == versions.end() &&
            !refused(model.name, wanted)) {
          refuse(model.name, std::to_string(wanted),
                 "listed under 'versions' in model.yaml, but there is no such folder", model.path);
        }
      }
      std::erase_if(versions, [&](const Candidate& c) {
        return !std::ranges::binary_search(manifest.listed_versions, c.version);
      });
    }
    std::ranges::move(versions, std::back_inserter(listing_.candidates));
  }

  bool refused(const std::string& name, std::uint64_t version) const {
    return std::ranges::any_of(listing_.refused, [&](const Refused& r) {
      return r.name == name && r.version == std::to_string(version);
    });
  }

  const RepositoryOptions& options_;
  fs::path root_;  // with links resolved
  Listing listing_;
};

}  // namespace

Result<Listing> scan(const RepositoryOptions& options) {
  std::error_code error;
  fs::path root = fs::canonical(options.root, error);
  if (!error && !fs::is_directory(root, error)) {
    error = std::make_error_code(std::errc::not_a_directory);
  }
  if (!error) {
    fs::directory_iterator readable(root, error);
  }
  if (error) {
    return fail(ErrorCode::kNotFound,
                "the model repository '" + options.root.string() + "' is not a readable folder",
                error.message());
  }
  return Scanner(options, std::move(root)).scan();
}

}  // namespace podsense::model
