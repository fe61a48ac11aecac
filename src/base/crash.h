#pragma once

/// A crash leaves a trace: on a fatal signal or `std::terminate` one line of JSON (signal, the
/// thread's role, model and request at work, build) and a backtrace go to stderr and to
/// /dev/termination-log where there is one, which Kubernetes shows as the pod's last state. Then
/// the process dies as it would have.
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
  std::string build;  ///< what this binary is
  std::string termination_log = "/dev/termination-log";
};

/// Kubernetes reads no more of the termination log.
inline constexpr std::size_t kMaxTerminationLog = 4096;

/// Does nothing in builds with sanitizers, which have reports of their own: false.
bool install(const Options& options);

/// Names the calling thread, and gives it a stack on which even its stack's overflow is told.
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

/// What the calling thread works on, until this ends; nests. Costs two short copies.
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
