#include "cli/bench_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>

#include "base/clock.h"
#include "http/probe.h"
#include "model/repository.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program

namespace podsense::cli {
namespace {

namespace fs = std::filesystem;

constexpr Duration kStartLimit = std::chrono::minutes(2);
constexpr Duration kLook = std::chrono::milliseconds(10);

std::string contents(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool is_model_file(const fs::path& path) {
  return path.extension() == ".onnx" || path.extension() == ".ort";
}

/// A valid model name for the repository.
std::string model_name(const fs::path& file) {
  std::string name = file.stem().string();
  fs::path folder = fs::absolute(file).lexically_normal().parent_path();
  const auto is_version = [](const std::string& text) {
    return !text.empty() && text.find_first_not_of("v0123456789") == text.npos;
  };
  for (int up = 0; up < 2 && (name == "model" || is_version(name)); ++up) {
    name = folder.filename().string();
    folder = folder.parent_path();
  }
  std::ranges::replace_if(
      name, [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '_'; }, '-');
  name =
      name.substr(name.find_first_not_of('.') == name.npos ? 0 : name.find_first_not_of('.'), 64);
  return name.empty() ? "model" : name;
}

Result<void> link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_hard_link(fs::canonical(from, error), to, error);
  if (error) {
    fs::copy_file(from, to, error);
  }
  if (error) {
    return fail(ErrorCode::kInvalidArgument, from.string() + ": " + error.message());
  }
  return {};
}

/// Runs in the child. The child ends with its parent, even if a signal ends that, such as SIGPIPE
/// in `podsense bench | head`.
[[noreturn]] void become_server(char* const* arguments, pid_t parent, const fs::path& log) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (getppid() == parent && dup2(file, STDOUT_FILENO) >= 0 && dup2(file, STDERR_FILENO) >= 0) {
    execve("/proc/self/exe", arguments, environ);
  }
  _exit(1);
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<BenchFolder>> BenchFolder::make() {
  std::string folder = (fs::temp_directory_path() / "podsense-bench-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) {
    return fail(ErrorCode::kUnavailable, "cannot make a folder in " + folder);
  }
  return std::unique_ptr<BenchFolder>(new BenchFolder(folder));
}

BenchFolder::~BenchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Result<BenchModel> BenchFolder::repository_of(const fs::path& file) const {
  if (!is_model_file(file)) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + file.string() +
                    "' is no model; accepted: a file *.onnx or *.ort, or a "
                    "folder that is a repository");
  }
  BenchModel model{.repository = (path_ / "models").string(), .name = model_name(file)};
  const fs::path version = fs::path(model.repository) / model.name / "1";
  std::error_code error;
  fs::create_directories(version, error);
  if (auto done = link_or_copy(file, version / ("model" + file.extension().string())); !done) {
    return fail(std::move(done.error()));
  }
  const std::string stem = file.stem().string();
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  for (const auto& beside : fs::directory_iterator(folder, error)) {
    const std::string name = beside.path().filename().string();
    if (name.starts_with(stem) && !is_model_file(name) && beside.is_regular_file(error)) {
      if (auto done = link_or_copy(beside.path(), version / name); !done) {
        return fail(std::move(done.error()));
      }
    }
  }
  return model;
}

Result<BenchModel> choose_model(const std::string& repository, const std::string& wanted) {
  const auto listing = model::scan({.root = repository});
  if (!listing) {
    return fail(ErrorCode::kInvalidArgument, listing.error().message);
  }
  std::map<std::string, bool> found;  // whether the model has a file; others are simulated
  for (const model::Candidate& candidate : listing->candidates) {
    found[candidate.name] = found[candidate.name] || !candidate.file.empty();
  }
  std::vector<std::string> names;
  std::vector<std::string> with_file;
  for (const auto& [name, has_file] : found) {
    names.push_back(name);
    if (has_file) {
      with_file.push_back(name);
    }
  }
  for (const model::Refused& refused : listing->refused) {
    if (refused.name == wanted || (wanted.empty() && names.empty())) {
      return fail(ErrorCode::kInvalidArgument, refused.name + ": " + refused.reason);
    }
  }
  if (!wanted.empty() && found.contains(wanted)) {
    return BenchModel{.repository = repository, .name = wanted};
  }
  if (wanted.empty() && (with_file.size() == 1 || names.size() == 1)) {
    return BenchModel{.repository = repository,
                      .name = with_file.size() == 1 ? with_file.front() : names.front()};
  }
  const std::string where = "the repository '" + repository + "' has ";
  return fail(ErrorCode::kInvalidArgument,
              names.empty() ? where +
                                  "no model; accepted: a file *.onnx or *.ort, or a folder "
                                  "NAME/VERSION/model.onnx"
              : wanted.empty() ? "say which model with --model; " + where + joined(names)
                               : "there is no model '" + wanted + "'; " + where + joined(names));
}

Result<std::unique_ptr<BenchServer>> BenchServer::start(const BenchModel& model,
                                                        const fs::path& folder,
                                                        const std::string& config) {
  std::unique_ptr<BenchServer> server(new BenchServer(model.name, folder));
  std::vector<std::string> words{
      "podsense",      "serve",     "--models",      model.repository,
      "--only-models", model.name,  "--model-name",  model.name,
      "--host",        "127.0.0.1", "--admin-host",  "127.0.0.1",
      "--http-port",   "0",         "--grpc-port",   "0",
      "--admin-port",  "0",         "--ports-file",  (folder / "ports.json").string(),
      "--log-level",   "error",     "--drain-delay", "0s"};
  if (!config.empty()) {
    words.insert(words.end(), {"--config", config});
  }
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  const fs::path log = folder / "log";
  const pid_t parent = getpid();
  server->process_ = fork();  // there is only one thread so far
  if (server->process_ == 0) {
    become_server(arguments.data(), parent, log);
  }
  if (server->process_ < 0) {
    return fail(ErrorCode::kUnavailable,
                "cannot start the server: " + std::generic_category().message(errno));
  }
  if (auto ready = server->wait_until_ready(); !ready) {
    return fail(std::move(ready.error()));
  }
  return server;
}

BenchServer::~BenchServer() {
  if (process_ > 0) {
    kill(process_, SIGTERM);
    waitpid(process_, nullptr, 0);
    std::cerr << contents(folder_ / "log");  // contains only errors
  }
}

Result<void> BenchServer::wait_until_ready() {
  const TimePoint begin = std::chrono::steady_clock::now();
  const TimePoint limit = begin + kStartLimit;
  while (std::chrono::steady_clock::now() < limit) {
    if (waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = -1;
      return fail(ErrorCode::kUnavailable, last_words());
    }
    read_ports();
    if (admin_ > 0) {
      const auto answer = http::probe("http://127.0.0.1:" + std::to_string(admin_) + "/readyz", {});
      if (answer && answer->status == 200) {
        ready_after_ = std::chrono::steady_clock::now() - begin;
        return {};
      }
    }
    std::this_thread::sleep_for(kLook);
  }
  return fail(ErrorCode::kUnavailable, "the server is not ready after two minutes");
}

/// The last line of its log that is an error message for users.
std::string BenchServer::last_words() const {
  constexpr std::string_view kBegin = "podsense serve: ";
  const std::string log = contents(folder_ / "log");
  const std::size_t at = log.rfind(kBegin);
  if (at == log.npos) {
    return "the server ended" + (log.empty() ? "" : ": " + log.substr(0, 300));
  }
  const std::size_t begin = at + kBegin.size();
  return "the server ended: " + log.substr(begin, log.find('\n', begin) - begin);
}

void BenchServer::read_ports() {
  const auto ports = nlohmann::json::parse(contents(folder_ / "ports.json"), nullptr, false);
  if (ports.is_object()) {  // otherwise it is not written yet
    http_ = ports.value("http", 0U);
    admin_ = ports.value("admin", 0U);
  }
}

Result<std::vector<Sample>> BenchServer::metrics() const {
  const auto answer = http::probe("http://127.0.0.1:" + std::to_string(admin_) + "/metrics", {});
  if (!answer) {
    return fail(answer.error());
  }
  return parse_metrics(answer->body);
}

Result<BenchFacts> BenchServer::facts() const {
  const auto answer = http::probe(url() + "/v2/models/" + model_ + "/config", {});
  if (!answer) {
    return fail(answer.error());
  }
  const auto config = nlohmann::json::parse(answer->body, nullptr, false);
  if (answer->status != 200 || !config.is_object() || !config.contains("parameters")) {
    return fail(ErrorCode::kUnavailable, "the server's catalogue says " + answer->body);
  }
  const auto parameter = [&config](const char* name) {
    const auto& all = config["parameters"];
    return all.contains(name) ? all[name].value("string_value", "") : std::string();
  };
  return BenchFacts{.task = parameter("task"),
                    .backend = config.value("backend", ""),
                    .plan = parameter("plan"),
                    .threads = parameter("threads"),
                    .sharing = parameter("requests"),
                    .reason = parameter("requests_reason"),
                    .max_rows = parameter("max_batch")};
}

std::uint64_t BenchServer::peak_memory() const {
  constexpr std::string_view kPeak = "VmHWM:";
  const std::string status = contents("/proc/" + std::to_string(process_) + "/status");
  const std::size_t at = status.find(kPeak);
  if (at == status.npos) {
    return 0;
  }
  const std::size_t from = status.find_first_not_of(" \t", at + kPeak.size());
  std::uint64_t kibibytes = 0;
  std::from_chars(status.data() + from, status.data() + status.size(), kibibytes);
  return kibibytes * 1024;
}

}  // namespace podsense::cli
