#pragma once

/// Reports crashes. On a fatal signal or `std::terminate`, writes one line of JSON (signal, thread
/// role, current model and request, build) and a backtrace to stderr. They also go to
/// /dev/termination-log if it exists; Kubernetes shows that file in the pod's last state. Then the
/// process dies as it would have without this handler.
///
///   crash::install({.build = "podsense 1.2.3 (abc)"});   // once, before there are threads
///   const crash::Thread me("executor");                   // first in a thread
///   const crash::Work work(model, request_id);            // while it lasts

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace podsense::crash {

struct Options {
  std::string build;  ///< name, version and commit of this binary
  std::string termination_log = "/dev/termination-log";
};

/// Kubernetes reads at most this many bytes of the termination log.
inline constexpr std::size_t kMaxTerminationLog = 4096;

/// Installs the handlers. Returns false, and does nothing, in sanitizer builds, which print their
/// own reports.
bool install(const Options& options);

/// Names the calling thread and gives it an alternate signal stack, so that a stack overflow is
/// reported, too.
/// @threads confined
class Thread {
 public:
  /// `role`: static text.
  explicit Thread(const char* role) noexcept;
  ~Thread();
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

 private:
  std::unique_ptr<char[]> stack_;  // NOLINT(modernize-avoid-c-arrays): bytes for the kernel
};

/// Records what the calling thread works on until this object is destroyed. May be nested. Costs
/// two short copies.
/// @threads confined
class Work {
 public:
  Work(std::string_view model, std::string_view request_id) noexcept;
  ~Work();
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  static constexpr std::size_t kMaxText = 64;
  struct Texts {
    char model[kMaxText + 1];       // NOLINT(modernize-avoid-c-arrays): read by a signal handler
    char request_id[kMaxText + 1];  // NOLINT(modernize-avoid-c-arrays): as above
  };

 private:
  Texts texts_{};
  const Texts* outer_;
};

}  // namespace podsense::crash
