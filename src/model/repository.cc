#include "model/repository.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "model/fast_hash.h"
#include "model/yaml_fields.h"

namespace podsense::model {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEntries = 10'000;
constexpr std::size_t kMaxNameBytes = 64;
constexpr std::string_view kModelFile = "model.onnx";
constexpr std::string_view kManifestFile = "model.yaml";

bool valid_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::optional<std::uint64_t> version_number(std::string_view text) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 53U;  // exact in JSON readers
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && value > 0 && value <= kMost && text.front() != '0' ? std::optional(value)
                                                                     : std::nullopt;
}

/// What a reload compares: path, size, mtime, inode.
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

struct Entry {
  std::string name;
  fs::path path;
};

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
    if (exists(folder / kModelFile)) {
      single_model(folder);
    } else {
      named_models(folder);
    }
    std::ranges::sort(listing_.candidates, {}, [](const Candidate& c) {
      return std::pair<const std::string&, std::uint64_t>(c.name, c.version);
    });
    return std::move(listing_);
  }

 private:
  /// Where a version's folder is: the model's own, or one below it with a manifest of its own.
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

  /// Links resolved and still under the root, whatever the link says.
  bool stays_inside(const fs::path& path) const {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    return !error &&
           std::mismatch(root_.begin(), root_.end(), real.begin(), real.end()).first == root_.end();
  }

  /// Folders in order of name, without hidden ones and `lost+found`.
  Result<std::vector<Entry>> folders(const fs::path& folder) const {
    std::vector<Entry> found;
    std::error_code error;
    std::size_t seen = 0;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      std::string name = it->path().filename().string();
      if (++seen > kMaxEntries) {
        return fail(ErrorCode::kInvalidArgument,
                    "more than " + std::to_string(kMaxEntries) + " entries in one folder");
      }
      std::error_code not_a_folder;
      if (name.starts_with('.') || name == "lost+found" ||
          !fs::is_directory(it->path(), not_a_folder)) {
        continue;
      }
      found.push_back({std::move(name), it->path()});
    }
    if (error) {
      return fail(ErrorCode::kInvalidArgument, "the folder cannot be read: " + error.message());
    }
    std::ranges::sort(found, {}, &Entry::name);
    return found;
  }

  Result<ManifestFile> read_manifest(const fs::path& folder, const Manifest& base) const {
    const fs::path path = folder / kManifestFile;
    ManifestFile out{.manifest = base, .text = {}, .exists = false};
    if (!exists(path)) {
      return out;
    }
    if (!stays_inside(path)) {
      return fail(ErrorCode::kInvalidArgument, "model.yaml is a link that leaves the repository");
    }
    if (std::error_code error; !fs::is_regular_file(path, error)) {  // a pipe would be waited for
      return fail(ErrorCode::kInvalidArgument, "model.yaml is not a regular file");
    }
    std::ifstream file(path, std::ios::binary);
    std::string text(kMaxYamlBytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (!file.eof() && text.size() <= kMaxYamlBytes) {
      return fail(ErrorCode::kInvalidArgument, "model.yaml cannot be read");
    }
    auto manifest = parse_manifest(text, folder, base);
    if (!manifest) {
      return fail(ErrorCode::kInvalidArgument, "model.yaml: " + manifest.error().message);
    }
    out = {.manifest = std::move(*manifest), .text = std::move(text), .exists = true};
    return out;
  }

  /// The folder's own files change external data and label files; the manifest texts come along.
  static std::string fingerprint(const Candidate& candidate, std::string_view manifests) {
    std::string state(manifests);
    state += candidate.file.empty() ? candidate.folder.string() : file_state(candidate.file);
    std::vector<std::string> others;
    std::error_code error;
    for (fs::directory_iterator it(candidate.folder, error), end;
         !error && it != end && others.size() < kMaxEntries; it.increment(error)) {
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

  /// Turns one version's folder into a candidate, or lists why not.
  std::optional<Candidate> version_at(const std::string& name, std::uint64_t version,
                                      const fs::path& folder, const ManifestFile& base,
                                      Place place) {
    const auto no = [&](std::string reason) {
      refuse(name, std::to_string(version), std::move(reason), folder / kModelFile);
      return std::nullopt;
    };
    Candidate out{.name = name,
                  .version = version,
                  .folder = folder,
                  .file = folder / kModelFile,
                  .manifest = {},
                  .fingerprint = {}};
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
    const bool simulated = out.manifest.task == Task::kSimulated;
    if (!exists(out.file)) {
      if (!simulated) {
        return no("no model.onnx in the version's folder");
      }
      out.file.clear();
    } else if (simulated) {
      return no("'task: simulated' and a model.onnx; remove one of them");
    } else if (!stays_inside(out.file)) {
      return no("model.onnx is a link that leaves the repository");
    } else if (std::error_code error; !fs::is_regular_file(out.file, error)) {
      return no("model.onnx is not a regular file");
    }
    out.fingerprint = fingerprint(out, base.text + '\n' + own->text);
    return out;
  }

  void single_model(const fs::path& folder) {
    auto manifest = read_manifest(folder, {});
    if (!manifest) {
      refuse(options_.single_model_name, "", manifest.error().message, folder / kManifestFile);
      return;
    }
    if (auto candidate =
            version_at(options_.single_model_name, 1, folder, *manifest, Place::kInModel)) {
      listing_.candidates.push_back(std::move(*candidate));
    }
  }

  void named_models(const fs::path& folder) {
    if (exists(folder / kManifestFile)) {
      single_model(folder);  // a simulated model alone, or a manifest that lost its model
    }
    const auto models = folders(folder);
    if (!models) {
      refuse(folder.filename().string(), "", models.error().message, folder);
      return;
    }
    for (const Entry& model : *models) {
      if (!valid_name(model.name)) {
        refuse(model.name.substr(0, kMaxNameBytes), "",
               "a model's name is 1 to 64 of A-Z a-z 0-9 . _ -, not starting with '.'", model.path);
      } else if (!stays_inside(model.path)) {
        refuse(model.name, "", "a link that leaves the repository", model.path);
      } else {
        named_model(model);
      }
    }
  }

  void named_model(const Entry& model) {
    const auto manifest = read_manifest(model.path, {});
    if (!manifest) {
      refuse(model.name, "", manifest.error().message, model.path / kManifestFile);
      return;
    }
    const auto found = folders(model.path);
    if (!found) {
      refuse(model.name, "", found.error().message, model.path);
      return;
    }
    if (exists(model.path / kModelFile)) {
      refuse(model.name, "",
             "model.onnx lies beside the versions; move it to " + model.name + "/1/model.onnx",
             model.path / kModelFile);
      return;
    }
    if (found->empty()) {
      model_without_versions(model, *manifest);
      return;
    }
    std::vector<Candidate> versions;
    for (const Entry& entry : *found) {
      const auto number = version_number(entry.name);
      if (!number) {
        refuse(model.name, entry.name,
               "the version's folder is not a positive whole number, e.g. " + model.name + "/1",
               entry.path);
      } else if (!stays_inside(entry.path)) {
        refuse(model.name, entry.name, "a link that leaves the repository", entry.path);
      } else if (auto candidate =
                     version_at(model.name, *number, entry.path, *manifest, Place::kBelowModel)) {
        versions.push_back(std::move(*candidate));
      }
    }
    choose(std::move(versions), model, manifest->manifest);
  }

  void model_without_versions(const Entry& model, const ManifestFile& manifest) {
    if (manifest.manifest.task != Task::kSimulated) {
      refuse(model.name, "", "no version in it; put the model at " + model.name + "/1/model.onnx",
             model.path);
      return;
    }
    if (auto candidate = version_at(model.name, 1, model.path, manifest, Place::kInModel)) {
      listing_.candidates.push_back(std::move(*candidate));
    }
  }

  void choose(std::vector<Candidate> versions, const Entry& model, const Manifest& manifest) {
    std::ranges::sort(versions, std::greater(), &Candidate::version);
    if (manifest.version_policy == VersionPolicy::kLatest &&
        versions.size() > manifest.keep_versions) {
      versions.resize(manifest.keep_versions);
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
  fs::path root_;  // links resolved
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
