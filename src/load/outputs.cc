#include "load/outputs.h"

#include <array>
#include <cstdio>
#include <utility>

namespace podsense::load {
namespace {

std::string printed(const char* format, auto... values) {
  std::array<char, 256> buffer;
  const int length = std::snprintf(buffer.data(), buffer.size(), format, values...);
  return {buffer.data(), static_cast<std::size_t>(length)};
}

/// What has no answer has no latency: the field is empty.
std::string log_line(const RequestRow& row, const std::string& target) {
  const bool sent = row.ok || row.status != 0 || row.error != ErrorKind::kNone;
  const std::string outcome = row.ok                            ? "ok"
                              : !sent || is_shortage(row.error) ? "dropped"
                              : row.error == ErrorKind::kNone
                                  ? "failed"
                                  : std::string(error_kind_name(row.error));
  std::string out = std::to_string(row.index) + "," + target + "," +
                    printed("%.6f", to_seconds(row.due)) + "," +
                    printed("%.3f", to_ms(row.send_lag)) + ",";
  if (sent) {
    out += (row.status != 0 ? printed("%.3f", to_ms(row.first_byte)) : "") + "," +
           printed("%.3f", to_ms(row.service)) + "," +
           printed("%.3f", to_ms(row.service + row.send_lag)) + "," +
           (row.status != 0 ? status_name(row.status) : "");
  } else {
    out += ",,,";
  }
  return out + "," + outcome + "," + std::to_string(row.bytes_in) + "\n";
}

/// @source hey's report/print.go: seconds, answers only
std::string hey_line(const RequestRow& row) {
  return printed("%.4f,0.0000,0.0000,0.0000,%.4f,%.4f,", to_seconds(row.service),
                 to_seconds(row.first_byte), to_seconds(row.service - row.first_byte)) +
         status_name(row.status) + printed(",%.4f\n", to_seconds(row.due + row.send_lag));
}

}  // namespace

Result<RunOutputs> RunOutputs::open(const LoadOptions& options) {
  RunOutputs outputs;
  struct File {
    const std::filesystem::path& path;
    std::unique_ptr<OutputFile>& file;
  };
  const std::filesystem::path standard = "-";
  const std::filesystem::path none;
  bool taken = false;
  for (const File& one : {File{options.json, outputs.json_}, File{options.csv, outputs.csv_},
                          File{options.html, outputs.html_}, File{options.log, outputs.log_},
                          File{options.hey_rows ? standard : none, outputs.hey_}}) {
    if (one.path.empty()) {
      continue;
    }
    auto opened = OutputFile::open(one.path);
    if (!opened) {
      return fail(std::move(opened.error()));
    }
    one.file = std::move(*opened);
    taken = taken || is_stdout(one.path);
  }
  if (!taken) {
    auto opened = OutputFile::open(standard);
    if (!opened) {
      return fail(std::move(opened.error()));
    }
    outputs.text_ = std::move(*opened);
  }
  if (auto distinct = outputs.check_distinct(); !distinct) {
    return fail(std::move(distinct.error()));
  }
  outputs.text_on_stderr_ = taken && !is_stdout(options.json) && !options.quiet;
  return outputs;
}

Result<void> RunOutputs::check_distinct() const {
  const std::array all{&json_, &csv_, &html_, &log_, &hey_, &text_};
  for (const auto* one : all) {
    for (const auto* other : all) {
      if (one < other && *one && *other && (*one)->same_file(**other)) {
        return fail(ErrorCode::kInvalidArgument,
                    (*one)->path() + " and " + (*other)->path() +
                        " are one file: each result needs a file of its own");
      }
    }
  }
  return {};
}

void RunOutputs::add(const std::vector<RequestRow>& rows, const Circumstances& how) {
  if (!failure_ || rows.empty() || (!log_ && !hey_)) {
    return;
  }
  // With the first rows: a run that does not come about leaves the file as it was.
  std::string log = log_ ? std::exchange(log_header_, {}) : std::string();
  std::string hey = hey_ ? std::exchange(hey_header_, {}) : std::string();
  for (const RequestRow& row : rows) {
    if (log_) {
      log += log_line(row, row.target < how.targets.size() ? how.targets[row.target].name : "");
    }
    if (hey_ && row.status != 0) {
      hey += hey_line(row);
    }
  }
  if (log_) {
    failure_ = log_->write(log);
  }
  if (hey_ && failure_) {
    failure_ = hey_->write(hey);
  }
}

Result<void> RunOutputs::write(const LoadReport& report) {
  std::string faults;
  const auto note = [&faults](const Result<void>& done) {
    if (!done) {
      faults += (faults.empty() ? "" : "; ") + done.error().message;
    }
  };
  const auto give = [&note](std::unique_ptr<OutputFile>& file, auto make) {
    if (!file) {
      return;
    }
    const Result<void> written = file->write(make());
    note(written);
    if (written) {
      note(file->close());
    }
  };
  note(failure_);
  give(text_, [&report] { return text_report(report); });
  if (text_on_stderr_) {
    std::fputs(text_report(report).c_str(), stderr);
  }
  give(json_, [&report] { return json_report(report); });
  give(csv_, [&report] { return csv_report(report); });
  give(html_, [&report] { return html_report(report); });
  give(log_, [this] { return std::exchange(log_header_, {}); });
  give(hey_, [this] { return std::exchange(hey_header_, {}); });
  if (!faults.empty()) {
    return fail(ErrorCode::kUnavailable, std::move(faults));
  }
  return {};
}

}  // namespace podsense::load
