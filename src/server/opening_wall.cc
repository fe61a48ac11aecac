#include "server/opening_wall.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/cgroup.h"
#include "base/child_process.h"
#include "base/log.h"
#include "base/small_file.h"
#include "model/repository.h"
#include "server/backends.h"
#include "server/options.h"

namespace podsense::server {
namespace {

using inference::TrialReport;
using End = TrialReport::End;

constexpr std::uint64_t kGibi = std::uint64_t{1} << 30U;
/// The minimum limit: with less memory the child could not even start.
constexpr std::uint64_t kLeastMemory = std::uint64_t{64} << 20U;
/// The exit code of shells and of the dynamic loader for programs that cannot run.
constexpr int kNotRun = 126;

// Sanitizers reserve terabytes of address space.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kAddressSpaceLimited = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kAddressSpaceLimited = false;
#else
constexpr bool kAddressSpaceLimited = true;
#endif
#else
constexpr bool kAddressSpaceLimited = true;
#endif

/// The arguments of the child, as NAME=VALUE words.
class Words {
 public:
  Words() = default;
  explicit Words(std::span<const char* const> arguments) {
    for (const std::string_view word : arguments) {
      const auto equals = std::min(word.find('='), word.size());
      values_[std::string(word.substr(0, equals))] = word.substr(std::min(equals + 1, word.size()));
    }
  }
  void set(const std::string& name, std::string value) { values_[name] = std::move(value); }
  void set(const std::string& name, std::uint64_t value) { set(name, std::to_string(value)); }
  [[nodiscard]] std::string text(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : found->second;
  }
  [[nodiscard]] std::uint64_t number(const std::string& name) const {
    const std::string value = text(name);
    std::uint64_t out = 0;
    std::from_chars(value.data(), value.data() + value.size(), out);
    return out;
  }
  [[nodiscard]] std::vector<std::string> arguments() const {
    std::vector<std::string> out{std::string(kTrialCommand)};
    for (const auto& [name, value] : values_) {
      std::string& word = out.emplace_back(name);
      word += "=";
      word += value;
    }
    return out;
  }

 private:
  std::map<std::string, std::string> values_;
};

std::string seconds_text(Duration time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  constexpr int kSecond = 1000;
  return ms % kSecond == 0 ? std::to_string(ms / kSecond) + " s" : std::to_string(ms) + " ms";
}

std::string signal_text(int number) {
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? "signal " + std::to_string(number) : "SIG" + std::string(name);
}

TrialReport judge(const ChildEnd& end, Duration timeout) {
  const auto fell_over = [](std::string reason) {
    return TrialReport{.end = End::kFellOver, .reason = std::move(reason)};
  };
  const std::string endless =
      "opening and warm-up did not end within " + seconds_text(timeout) + " (models.load_timeout)";
  if (end.stopped) {
    return fell_over("the server is shutting down");
  }
  if (end.timed_out || end.signal == SIGXCPU) {
    return fell_over(endless);
  }
  if (end.signal == SIGKILL) {
    return fell_over("the process that opened it first was killed, as when memory runs out");
  }
  if (end.signal != 0) {
    return fell_over("opening it crashes the process (" + signal_text(end.signal) +
                     "); it was tried in one of its own");
  }
  if (end.exit_code >= kNotRun) {
    return {.end = End::kNotTried,
            .reason = "the child ended with exit code " + std::to_string(end.exit_code)};
  }
  if (end.exit_code != 0) {
    return fell_over("opening it ended the process (exit code " + std::to_string(end.exit_code) +
                     "); it was tried in one of its own");
  }
  return inference::read_report(end.output);
}

std::uint64_t available_memory() {
  std::uint64_t available = UINT64_MAX;
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    constexpr std::string_view kName = "MemAvailable:";
    if (line.starts_with(kName)) {
      available = std::strtoull(line.c_str() + kName.size(), nullptr, 10) << 10U;
    }
  }
  if (const auto group = cgroup::memory(); group && group->limit_bytes) {
    const std::uint64_t used = std::min(*group->limit_bytes, group->working_set_bytes);
    available = std::min(available, *group->limit_bytes - used);
  }
  return available;
}

/// The total size of all files in the version's folder, which includes external data.
std::uint64_t bytes_in(const std::filesystem::path& folder) {
  constexpr std::size_t kMostEntries = 10'000;
  std::uint64_t bytes = 0;
  std::size_t seen = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(folder, error), end;
       !error && it != end && ++seen <= kMostEntries; it.increment(error)) {
    std::error_code gone;
    const bool regular = it->is_regular_file(gone);
    const std::uint64_t size = regular && !gone ? it->file_size(gone) : 0;
    bytes += gone ? 0 : size;
  }
  return bytes;
}

void limit(__rlimit_resource_t what, std::uint64_t most) {
  rlimit now{};
  if (::getrlimit(what, &now) == 0) {
    now.rlim_max = std::min<rlim_t>(now.rlim_max, most);
    now.rlim_cur = std::min<rlim_t>(now.rlim_cur, now.rlim_max);
    ::setrlimit(what, &now);
  }
}

std::uint64_t address_space_used() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t pages = 0;
  file >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// Sets the limit to which the main thread's stack may grow, equal to the stacks of the server's
/// threads.
void allow_deep_stack() {
  constexpr rlim_t kDeep = rlim_t{8} << 20U;
  rlimit now{};
  if (::getrlimit(RLIMIT_STACK, &now) == 0 && now.rlim_cur < kDeep) {
    now.rlim_cur = std::min(now.rlim_max, kDeep);
    ::setrlimit(RLIMIT_STACK, &now);
  }
}

/// Lowers the priority after a few seconds. Most models open faster; slower ones may never end and
/// should not take CPU time from requests.
void step_back_after_a_while() {
  constexpr itimerval kWhile{.it_interval = {}, .it_value = {.tv_sec = 3, .tv_usec = 0}};
  struct sigaction action{};
  action.sa_flags = SA_RESTART;
  action.sa_handler = [](int) {
    constexpr int kLowPriority = 10;
    ::setpriority(PRIO_PROCESS, 0, kLowPriority);
  };
  ::sigaction(SIGPROF, &action, nullptr);
  ::setitimer(ITIMER_PROF, &kWhile, nullptr);
}

/// Lets the kernel kill this process rather than the server.
void make_expendable(std::uint64_t cpu_seconds) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::ofstream("/proc/self/oom_score_adj") << "1000";
  step_back_after_a_while();
  limit(RLIMIT_CORE, 0);
  allow_deep_stack();
  // One second more than the server's own limit, whose error message is better.
  limit(RLIMIT_CPU, cpu_seconds + 1);
  // Separate heaps per thread would use up the limited address space.
  ::mallopt(M_ARENA_MAX, 1);  // NOLINT(concurrency-mt-unsafe): before there are threads
}

/// "HASH FILE" lines; the hash is first because file names may contain blanks.
std::string write_pairs(const std::map<std::string, std::string>& hash_by_file) {
  std::string text;
  for (const auto& [file, hash] : hash_by_file) {
    text.append(hash).append(" ").append(file).append("\n");
  }
  return text;
}

std::map<std::string, std::string> read_pairs(const std::string& text) {
  std::map<std::string, std::string> pairs;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.find(' ');
    pairs.emplace(line.substr(space + 1), line.substr(0, space));
  }
  return pairs;
}

Result<model::Candidate> find_candidate(const Words& words) {
  model::RepositoryOptions options{.root = words.text("models"), .only = {words.text("model")}};
  if (const std::string name = words.text("single-name"); !name.empty()) {
    options.single_model_name = name;
  }
  auto listing = model::scan(options);
  if (!listing) {
    return fail(std::move(listing.error()));
  }
  for (auto* candidates : {&listing->candidates, &listing->spares}) {
    for (model::Candidate& candidate : *candidates) {
      if (candidate.fingerprint == words.text("fingerprint")) {
        return std::move(candidate);
      }
    }
  }
  return fail(ErrorCode::kUnavailable, "the model has changed since");
}

std::string report_of(const Words& words) {
  const SteadyClock clock;
  const auto candidate = find_candidate(words);
  if (!candidate) {
    return "refused " + candidate.error().message + "\n";
  }
  const auto backends = make_backends({.spinning = words.number("spinning") != 0,
                                       .memory_arena = words.number("arena") != 0,
                                       .map_weights = words.number("map-weights") != 0,
                                       .custom_ops = read_pairs(words.text("custom-ops")),
                                       .cache_dir = words.text("cache")},
                                      static_cast<unsigned>(words.number("cores")));
  if (!backends) {
    ::_exit(kNotRun);
  }
  const std::uint64_t memory = opening_memory(*candidate);
  if (kAddressSpaceLimited) {
    limit(RLIMIT_AS, address_space_used() + memory);
  }
  return inference::try_opening(**backends, *candidate,
                                static_cast<unsigned>(words.number("cores")), memory, clock);
}

}  // namespace

std::uint64_t opening_memory(const model::Candidate& candidate) {
  const std::uint64_t usual = kGibi + 4 * std::min(bytes_in(candidate.folder), kGibi * 1024);
  const std::uint64_t wanted = candidate.manifest.open_bytes.value_or(usual);
  return std::max(kLeastMemory, std::min(wanted, available_memory()));
}

Result<std::set<std::string>> read_known_models(const std::string& path) {
  std::set<std::string> known;
  if (path.empty()) {
    return known;
  }
  constexpr std::size_t kMostBytes = 1U << 20U;
  constexpr std::size_t kDigits = 32;
  const auto text = read_regular_file(path, kMostBytes);
  if (!text) {
    return fail(ErrorCode::kInvalidArgument, "models.known_models: " + text.error().message);
  }
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    const std::string hash = line.substr(0, line.find(' '));
    if (hash.size() != kDigits || hash.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return fail(ErrorCode::kInvalidArgument, "models.known_models: a line of " + path +
                                                   " does not begin with a hash of " +
                                                   std::to_string(kDigits) + " hexadecimal digits");
    }
    known.insert(hash);
  }
  return known;
}

inference::Trial make_trial(const Config& config) {
  const Duration timeout = config.models.load_timeout;
  if (timeout == Duration::zero()) {
    return nullptr;
  }
  Words words;
  words.set("models", config.models.dir);
  words.set("single-name", config.models.model_name);
  words.set("cache", config.models.cache_dir);
  words.set("arena", config.onnxruntime.arena ? 1 : 0);
  words.set("map-weights", config.onnxruntime.map_weights ? 1 : 0);
  words.set("spinning", config.onnxruntime.spinning ? 1 : 0);
  words.set("custom-ops", write_pairs(config.onnxruntime.custom_ops));
  const unsigned cores = plan_threads(config).executors;
  words.set("cores", cores);
  words.set("log-format", static_cast<std::uint64_t>(config.logging.format));
  const auto whole = std::chrono::ceil<std::chrono::seconds>(timeout).count();
  words.set("cpu-seconds", static_cast<std::uint64_t>(whole) * cores);
  return [words, timeout](const model::Candidate& candidate, const std::stop_token& stop) {
    Words mine = words;
    mine.set("model", candidate.name);
    mine.set("fingerprint", candidate.fingerprint);
    auto end = run_child({.arguments = mine.arguments(), .timeout = timeout}, stop);
    if (!end) {
      return TrialReport{.end = End::kNotTried, .reason = std::move(end.error().message)};
    }
    return judge(*end, timeout);
  };
}

int run_trial(std::span<const char* const> arguments) {
  // Stdout is reserved for the report: redirect other output of libraries and logs to stderr.
  const int out = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  const Words words(arguments);
  log::configure(log::Level::kError, static_cast<log::Format>(words.number("log-format")));
  make_expendable(words.number("cpu-seconds"));
  const std::string report = report_of(words);
  std::string_view rest = report;
  while (!rest.empty()) {
    const ssize_t written = ::write(out, rest.data(), rest.size());
    if (written <= 0) {
      ::_exit(1);
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  ::_exit(0);  // closing the model could crash
}

}  // namespace podsense::server
