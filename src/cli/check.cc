#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/commands.h"
#include "http/probe.h"
#include "inference/row_check.h"
#include "model/model.h"
#include "model/repository.h"

namespace podsense::cli {
namespace {

int check_url(const std::string& url, const http::ProbeOptions& options) {
  const auto answer = http::probe(url, options);
  if (!answer) {
    std::cerr << url << ": " << answer.error().message << '\n';
    return answer.error().code == ErrorCode::kInvalidArgument ? 2 : 1;
  }
  std::cout << answer->status << ' ' << answer->body << '\n';
  return answer->status >= 200 && answer->status < 300 ? 0 : 1;
}

/// Whether requests would share runs of the model; nothing for models without rows.
std::string sharing(const model::Model& model) {
  const SteadyClock clock;
  const auto verdict =
      inference::rows_verdict(model, clock, Deadline::after(clock.now(), std::chrono::seconds(30)));
  if (!model.signature().batchable) {
    return {};
  }
  return verdict ? "  requests share runs"
                 : "  each request runs alone: " + verdict.error().message;
}

/// Opens every version that would be served, as the server would.
int check_models(const std::string& root) {
  log::configure(log::Level::kError, log::Format::kAuto);
  auto runtime = model::Runtime::create({});
  const auto listing = model::scan({.root = root});
  if (!runtime || !listing) {
    std::cerr << (runtime ? listing.error().message : runtime.error().message) << '\n';
    return 1;
  }
  int failed = 0;
  for (const model::Refused& refused : listing->refused) {
    std::cout << "refused  " << refused.name << '/' << refused.version << ": " << refused.reason
              << '\n';
    ++failed;
  }
  for (const model::Candidate& candidate : listing->candidates) {
    const std::string name = candidate.name + "/" + std::to_string(candidate.version);
    if (const auto loaded = (*runtime)->load(candidate); loaded) {
      std::cout << "ok       " << name << "  " << model::task_name((*loaded)->signature().task)
                << sharing(**loaded) << '\n';
      for (const std::string& warning : (*loaded)->signature().warnings) {
        std::cout << "         " << warning << '\n';
      }
    } else {
      std::cout << "refused  " << name << ": " << loaded.error().message << '\n';
      ++failed;
    }
  }
  if (listing->candidates.empty()) {
    std::cerr << "no model in " << root << '\n';
    return 1;
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace

int check(std::span<const char* const> arguments) {
  CLI::App app("Probes a running server, or opens every model of a repository", "podsense check");
  std::string url;
  std::string models;
  double timeout = 2;
  http::ProbeOptions options;
  bool insecure = false;
  app.add_option("url", url, "http[s]://host[:port]/path; exit 0 when it answers 2xx");
  app.add_option("--models", models, "a model repository: exit 0 when every version can be served");
  app.add_option("--timeout", timeout, "seconds to wait for the answer")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  app.add_option("--cacert", options.ca_file, "PEM file with the authorities to trust, for https");
  CLI::Option* certificate =
      app.add_option("--cert", options.certificate, "PEM certificate to show, for mTLS");
  app.add_option("--key", options.key, "its private key")->needs(certificate);
  app.add_flag("--insecure", insecure, "accept any certificate");
  std::vector<const char*> argv{"check"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  try {
    app.parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!models.empty()) {
    return check_models(models);
  }
  options.timeout = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(timeout));
  options.verify = !insecure;
  return check_url(url.empty() ? "http://127.0.0.1:8000/readyz" : url, options);
}

}  // namespace podsense::cli
