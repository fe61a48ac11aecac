#pragma once

/// Where a run's results go: standard output and files. All of them are opened before the run, so
/// that a wrong path costs no run, and nothing is cut off before there is something to write.
/// Private to the module.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "load/load.h"
#include "load/measuring/results.h"
#include "load/reports/output_file.h"
#include "load/reports/report.h"

namespace podsense::load {

class RunOutputs {
 public:
  /// @errors kInvalidArgument: a file that cannot be written
  static Result<RunOutputs> open(const LoadOptions& options);

  /// Lines of requests that ended, for --log and -o csv. Standard output's reader may be gone: the
  /// first failure is kept for `write`.
  void add(const std::vector<RequestRow>& rows, const Circumstances& how);
  /// Text, JSON, CSV and HTML, as the options ask; every one is tried.
  /// @errors kUnavailable: what could not be written
  Result<void> write(const LoadReport& report);

 private:
  [[nodiscard]] Result<void> check_distinct() const;

  std::unique_ptr<OutputFile> json_;
  std::unique_ptr<OutputFile> csv_;
  std::unique_ptr<OutputFile> html_;
  std::unique_ptr<OutputFile> log_;
  std::unique_ptr<OutputFile> hey_;
  std::unique_ptr<OutputFile> text_;
  bool text_on_stderr_ = false;
  // Of the rows, until they are written.
  std::string log_header_ =
      "request,target,due_s,send_lag_ms,first_byte_ms,service_ms,latency_ms,status,outcome,bytes\n";
  std::string hey_header_ =
      "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,"
      "offset\n";
  Result<void> failure_;
};

}  // namespace podsense::load
