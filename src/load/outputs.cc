#include "load/outputs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <system_error>
#include <utility>

#include "load/quantity.h"

namespace podsense::load {
namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

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

namespace {

/// That of /dev/stdout, /dev/fd/3 and the like: opening those anew would lose the place in the
/// file, and whether it is appended to.
std::optional<int> given_descriptor(std::string_view path) {
  if (path == "-" || path == "/dev/stdout") {
    return STDOUT_FILENO;
  }
  if (path == "/dev/stderr") {
    return STDERR_FILENO;
  }
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (path.starts_with(folder)) {
      const std::string_view number = path.substr(folder.size());
      int descriptor = 0;
      const auto [end, error] =
          std::from_chars(number.data(), number.data() + number.size(), descriptor);
      return error == std::errc() && end == number.data() + number.size() && descriptor >= 0
                 ? std::optional(descriptor)
                 : std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

bool is_stdout(const std::filesystem::path& path) {
  return given_descriptor(path.native()) == STDOUT_FILENO;
}

Result<std::unique_ptr<OutputFile>> OutputFile::open(const std::filesystem::path& path) {
  std::error_code ignored;
  const bool there = std::filesystem::exists(path, ignored);
  const auto given = given_descriptor(path.native());
  // Not cut off yet: a run that does not come about leaves the file as it was.
  const int descriptor =
      given ? dup(*given) : ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    return fail(ErrorCode::kInvalidArgument,
                "cannot write " + path.string() + ": " + reason(errno));
  }
  const Kind kind = given ? Kind::kGiven : there ? Kind::kOld : Kind::kMade;
  return std::unique_ptr<OutputFile>(
      new OutputFile(is_stdout(path) ? "standard output" : path.string(), descriptor, kind));
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (kind_ == Kind::kMade && !written_) {
    ::unlink(path_.c_str());
  }
}

bool OutputFile::same_file(const OutputFile& other) const {
  struct stat mine{};
  struct stat others{};
  return fstat(descriptor_, &mine) == 0 && fstat(other.descriptor_, &others) == 0 &&
         S_ISREG(mine.st_mode) && mine.st_dev == others.st_dev && mine.st_ino == others.st_ino;
}

Result<void> OutputFile::write(std::string_view text) {
  if (!std::exchange(written_, true) && kind_ != Kind::kGiven) {
    struct stat about{};
    if (fstat(descriptor_, &about) == 0 && S_ISREG(about.st_mode) &&
        ftruncate(descriptor_, 0) != 0) {
      return fail(ErrorCode::kUnavailable, "cannot write " + path_ + ": " + reason(errno));
    }
  }
  while (!text.empty()) {
    const auto done = ::write(descriptor_, text.data(), text.size());
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done <= 0) {
      return fail(ErrorCode::kUnavailable, "cannot write " + path_ + ": " + reason(errno));
    }
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

Result<void> OutputFile::close() {
  if (const int descriptor = std::exchange(descriptor_, -1);
      descriptor >= 0 && ::close(descriptor) != 0) {
    return fail(ErrorCode::kUnavailable, "cannot write " + path_ + ": " + reason(errno));
  }
  return {};
}

Result<Outputs> Outputs::open(const Options& options) {
  Outputs outputs;
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

Result<void> Outputs::check_distinct() const {
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

void Outputs::add(const std::vector<RequestRow>& rows, const Circumstances& how) {
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

Result<void> Outputs::write(const Report& report) {
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
