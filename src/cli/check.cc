#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/small_file.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "http/probe.h"
#include "inference/profile_check.h"
#include "inference/row_check.h"
#include "inference/tasks/registry.h"
#include "model/backend.h"
#include "model/fast_hash.h"
#include "model/repository.h"
#include "server/backends.h"
#include "server/file_check.h"
#include "server/opening_wall.h"
#include "server/options.h"

namespace podsense::cli {
namespace {

constexpr const char* kName = "podsense check";
constexpr const char* kText = R"(probes a running server, or opens every model of a repository

  podsense check                                   http://127.0.0.1:8000/readyz
  podsense check https://HOST:8080/readyz --cacert ca.crt --timeout 500ms
  podsense check --models models
  podsense check --models models --model-cache DIR --auth-api-keys FILE

The result goes to standard output, logs and errors to standard error.
)";

/// The result for one model or file.
struct Row {
  std::string name;
  bool good = false;
  std::string text;       ///< its task, or the reason of the refusal
  std::string sharing{};  ///< whether its requests share runs; empty: has no rows
  std::vector<std::string> warnings{};
  std::string hash{};  ///< of the file; empty: no file
};

void append_json(std::string& out, const Row& row) {
  out += R"({"model":)";
  append_json_string(out, row.name);
  out += row.good ? R"(,"ok":true,"task":)" : R"(,"ok":false,"reason":)";
  append_json_string(out, row.text);
  if (!row.sharing.empty()) {
    out += R"(,"requests":)";
    append_json_string(out, row.sharing);
  }
  out += R"(,"warnings":[)";
  for (const std::string& warning : row.warnings) {
    out += &warning == row.warnings.data() ? "" : ",";
    append_json_string(out, warning);
  }
  out += "]}";
}

void append_lines(std::string& out, const Row& row) {
  out += row.good ? "ok       " + row.name + "  " + row.text
                  : "refused  " + row.name + ": " + row.text;
  out += (row.sharing.empty() ? "" : "  " + row.sharing) + "\n";
  for (const std::string& warning : row.warnings) {
    out += "         " + warning + "\n";
  }
}

/// The result for a repository: served and refused models, and ignored folders.
struct Report {
  std::vector<Row> rows;
  std::vector<std::string> remarks;
  std::vector<Row> files{};  ///< credential files and the cache
};

void append_remarks(std::string& out, const std::vector<std::string>& remarks, bool json) {
  out += json ? R"(],"warnings":[)" : "";
  for (const std::string& remark : remarks) {
    if (json) {
      out += &remark == remarks.data() ? "" : ",";
      append_json_string(out, remark);
    } else {
      out += "warning  " + remark + "\n";
    }
  }
}

/// True: all files are usable.
bool append_files(std::string& out, const std::vector<Row>& files, bool json) {
  if (json && !files.empty()) {
    out += R"(],"files":[)";
  }
  for (const Row& file : files) {
    if (!json) {
      append_lines(out, file);
      continue;
    }
    out += &file == files.data() ? R"({"file":)" : R"(,{"file":)";
    append_json_string(out, file.name);
    out += file.good ? R"(,"ok":true)" : R"(,"ok":false,"reason":)";
    if (!file.good) {
      append_json_string(out, file.text);
    }
    out += '}';
  }
  return std::ranges::all_of(files, &Row::good);
}

int print_models(const Report& report, bool json) {
  std::string out;
  bool good = true;
  for (const Row& row : report.rows) {
    good = good && row.good;
    if (json) {
      out += out.empty() ? "" : ",";
      append_json(out, row);
    } else {
      append_lines(out, row);
    }
  }
  append_remarks(out, report.remarks, json);
  good = append_files(out, report.files, json) && good;
  if (json) {
    out = std::string(R"({"ok":)") + (good ? "true" : "false") + R"(,"models":[)" + out + "]}\n";
  }
  std::cout << out;
  return output_written(kName) && good ? 0 : 1;
}

/// Whether requests would share runs of the model; nothing for models without rows.
std::string sharing(const model::Model& model) {
  const SteadyClock clock;
  if (!model.signature().batchable) {
    return {};
  }
  const auto verdict =
      inference::rows_verdict(model, clock, Deadline::after(clock.now(), std::chrono::seconds(30)));
  return verdict ? "requests share runs" : "each request runs alone: " + verdict.error().message;
}

/// Reports an error on stderr, and as JSON on stdout if requested.
/// @param what first member of the JSON object: "url":"…"
int report_failure(const Error& error, const std::string& what, bool json) {
  if (json) {
    std::string out = R"({"ok":false,)" + what + R"(,"error":)";
    append_json_string(out, error.message);
    std::cout << out << "}\n";
  }
  const int code = report_error(kName, error);
  return json && !output_written(kName) ? 1 : code;
}

int check_url(const std::string& url, const http::ProbeOptions& options, bool json) {
  const auto answer = http::probe(url, options);
  if (!answer) {
    Error error = answer.error();
    error.message = url + ": " + error.message;
    std::string what = R"("url":)";
    append_json_string(what, url);
    return report_failure(error, what, json);
  }
  const bool good = answer->status >= 200 && answer->status < 300;
  if (json) {
    std::string out = std::string(R"({"ok":)") + (good ? "true" : "false") + R"(,"url":)";
    append_json_string(out, url);
    out += R"(,"status":)" + std::to_string(answer->status) + R"(,"body":)";
    append_json_string(out, answer->body);
    std::cout << out << "}\n";
  } else {
    std::cout << answer->status << ' ' << answer->body << '\n';
  }
  return output_written(kName) && good ? 0 : 1;
}

/// Redirects stdout to stderr while it exists, so that logs do not mix with the result.
class LogsToStderr {
 public:
  LogsToStderr() : kept_(dup(STDOUT_FILENO)) {
    std::cout.flush();
    dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  ~LogsToStderr() {
    std::fflush(stdout);
    dup2(kept_, STDOUT_FILENO);
    close(kept_);
  }
  LogsToStderr(const LogsToStderr&) = delete;
  LogsToStderr& operator=(const LogsToStderr&) = delete;

 private:
  const int kept_;
};

/// Opens one version like the server: first in a child process.
Row open_model(const model::Backends& backends, const model::Candidate& candidate,
               const inference::Trial& trial, const server::Config& config) {
  Row row{.name = candidate.name + "/" + std::to_string(candidate.version)};
  if (!candidate.file.empty()) {
    const auto tried = trial(candidate, {});
    if (tried.end == inference::TrialReport::End::kRefused ||
        tried.end == inference::TrialReport::End::kFellOver) {
      row.text = tried.reason;
      return row;
    }
  }
  const auto loaded = backends.load(candidate);
  if (!loaded) {
    row.text = loaded.error().message;
    return row;
  }
  const auto task = inference::assign_task(**loaded);
  if (!task) {
    row.text = task.error().message;
    return row;
  }
  row.good = true;
  row.text = (*task)->kind().name();
  row.sharing = sharing(**loaded);
  row.warnings = (*task)->warnings;
  (*task)->probe(**loaded);
  if (std::string seen = (*task)->observed(); !seen.empty()) {
    row.warnings.push_back(std::move(seen));
  }
  if (std::string unused = inference::unused_profile(backends, candidate, config.models.cache_dir,
                                                     server::plan_threads(config).executors);
      !unused.empty()) {
    row.warnings.push_back(std::move(unused));
  }
  if (const auto hash = model::fast_hash_file(candidate.file)) {
    row.hash = hash->hex();
  }
  return row;
}

/// Opens every version that would be served.
Result<Report> open_models(const std::string& root, const std::vector<std::string>& custom_ops,
                           const server::Config& files) {
  log::configure(log::Level::kError, log::Format::kAuto);
  const LogsToStderr redirected;
  server::Config config;
  config.models.dir = root;
  for (const std::string& named : custom_ops) {  // FILE=SHA256, as for serve
    const auto equals = std::min(named.rfind('='), named.size());
    config.onnxruntime.custom_ops.emplace(named.substr(0, equals),
                                          named.substr(std::min(equals + 1, named.size())));
  }
  const auto backends = server::make_backends({.custom_ops = config.onnxruntime.custom_ops});
  const auto listing = model::scan({.root = root});
  if (!backends || !listing) {
    return fail(backends ? listing.error() : backends.error());
  }
  Report report;
  for (const model::Refused& refused : listing->refused) {
    report.rows.push_back({.name = refused.name + "/" + refused.version, .text = refused.reason});
  }
  for (const model::Remark& remark : listing->remarks) {
    report.remarks.push_back(remark.name + ": " + remark.text);
  }
  const inference::Trial trial = server::make_trial(config);
  for (const model::Candidate& candidate : listing->candidates) {
    report.rows.push_back(open_model(**backends, candidate, trial, files));
  }
  if (report.rows.empty()) {
    return fail(ErrorCode::kNotFound, "no model in " + root);
  }
  return report;
}

/// "HASH NAME/VERSION" of each model that can be served.
Result<void> write_hashes(const std::vector<Row>& rows, const std::string& path) {
  std::string text;
  for (const Row& row : rows) {
    text += row.hash.empty() ? "" : row.hash + " " + row.name + "\n";
  }
  return replace_file(path, text);
}

int check_models(const std::string& root, const std::vector<std::string>& custom_ops,
                 const std::string& hashes, const server::Config& files, bool json) {
  auto report = root.empty() ? Report() : open_models(root, custom_ops, files);
  if (!report) {
    return report_failure(report.error(), R"("models":[])", json);
  }
  if (!hashes.empty()) {
    if (const auto written = write_hashes(report->rows, hashes); !written) {
      return report_error(kName, written.error());
    }
  }
  for (server::CheckedFile& file : server::check_files(files)) {
    const bool good = file.fault.empty();
    report->files.push_back({.name = std::move(file.path),
                             .good = good,
                             .text = good ? "can be used" : std::move(file.fault)});
  }
  return print_models(*report, json);
}

struct CheckFlags {
  std::string url;
  std::string models;
  std::string hashes;
  std::vector<std::string> custom_ops;
  server::Config files{};  ///< only the files to check
  Duration timeout = std::chrono::seconds(2);
  http::ProbeOptions options;
  bool insecure = false;
  bool json = false;
};

void add_flags(CLI::App& app, CheckFlags& flags) {
  app.option_defaults()->group("Flags");
  app.add_option("url", flags.url, "http[s]://host[:port]/path; exit code 0 when it answers 2xx")
      ->type_name("URL");
  app.add_option("--models", flags.models,
                 "a model repository: exit code 0 when every version can be served")
      ->type_name("DIR");
  app.add_option("--custom-ops", flags.custom_ops,
                 "custom operator libraries for these models, as for podsense serve")
      ->delimiter(',')
      ->type_name("FILE=SHA256");
  app.add_option("--hashes", flags.hashes,
                 "write the hashes of the models that can be served to this file, for "
                 "podsense serve --known-models")
      ->type_name("FILE");
  app.add_option("--model-cache", flags.files.models.cache_dir,
                 "check the folder of podsense serve --model-cache: whether it is writable and its "
                 "profiles fit the models")
      ->type_name("DIR");
  app.add_option("--auth-api-keys", flags.files.auth.api_keys,
                 "check the keys of podsense serve --auth-api-keys: whether a request can match "
                 "each of them")
      ->type_name("PATH");
  app.add_option("--auth-control-tokens", flags.files.auth.control_tokens, "likewise")
      ->type_name("PATH");
  add_duration(app, "--timeout", flags.timeout,
               {.low = std::chrono::milliseconds(10), .high = std::chrono::minutes(10)},
               "how long to wait for the answer (2s)");
  app.add_option("--cacert", flags.options.ca_file,
                 "PEM file with the authorities to trust, for https")
      ->type_name("FILE");
  CLI::Option* certificate =
      app.add_option("--cert", flags.options.certificate, "PEM client certificate, for mTLS")
          ->type_name("FILE");
  app.add_option("--key", flags.options.key, "its private key")
      ->type_name("FILE")
      ->needs(certificate);
  app.add_flag("--insecure", flags.insecure, "accept any certificate");
  app.add_flag("--json", flags.json, "the result as JSON");
}

}  // namespace

std::vector<Description> describe_check() {
  CheckFlags flags;
  CLI::App app(kText, kName);
  add_flags(app, flags);
  add_common_flags(app);
  return {describe(app)};
}

int check(std::span<const char* const> arguments) {
  CheckFlags flags;
  CLI::App app(kText, kName);
  add_flags(app, flags);
  if (const auto done = parse(app, to_words(arguments))) {
    return *done;
  }
  if (!flags.models.empty() && !flags.url.empty()) {
    return report_error(
        kName, fail(ErrorCode::kInvalidArgument, "give a URL or --models, not both").value());
  }
  const bool files = !flags.files.models.cache_dir.empty() || !flags.files.auth.api_keys.empty() ||
                     !flags.files.auth.control_tokens.empty();
  if (files && !flags.url.empty()) {
    return report_error(kName,
                        fail(ErrorCode::kInvalidArgument, "give a URL or files, not both").value());
  }
  if (!flags.models.empty() || files) {
    return check_models(flags.models, flags.custom_ops, flags.hashes, flags.files, flags.json);
  }
  flags.options.timeout = flags.timeout;
  flags.options.verify = !flags.insecure;
  return check_url(flags.url.empty() ? "http://127.0.0.1:8000/readyz" : flags.url, flags.options,
                   flags.json);
}

}  // namespace podsense::cli
