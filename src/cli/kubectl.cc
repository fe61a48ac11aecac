#include "cli/kubectl.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "base/child_process.h"
#include "text/split.h"

namespace podsense::cli {
namespace {

constexpr std::size_t kMostOutput = 256U << 20U;

}  // namespace

std::string find_program(std::string_view name) {
  const char* const path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  for (const std::string_view folder : text::split(path == nullptr ? "" : path, ':')) {
    const auto program = std::filesystem::path(folder.empty() ? "." : folder) / name;
    std::error_code error;
    if (std::filesystem::is_regular_file(program, error) && access(program.c_str(), X_OK) == 0) {
      return program.string();
    }
  }
  return "";
}

Result<std::string> ask_kubectl(const std::vector<std::string>& arguments) {
  const std::string program = find_program("kubectl");
  if (program.empty()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "there is no kubectl on the PATH; accepted: files of `kubectl get … -o json` and of "
        "`helm template`");
  }
  std::string asked = "kubectl";
  for (const std::string& word : arguments) {
    asked += " " + word;
  }
  const auto end = run_child({.program = program,
                              .arguments = arguments,
                              .timeout = std::chrono::minutes(1),
                              .max_output = kMostOutput});
  if (!end) {
    return fail(end.error());
  }
  if (end->timed_out || end->signal != 0 || end->exit_code != 0) {
    return fail(ErrorCode::kUnavailable,
                "`" + asked + "` " +
                    (end->timed_out ? "did not end within a minute" : "failed; run it to see why"));
  }
  return end->output;
}

}  // namespace podsense::cli
