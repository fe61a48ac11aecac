#pragma once

/// From what a person asked for (Options) to what the engine needs. Private to the module.

#include <memory>

#include "load/clients/endpoints.h"
#include "load/load.h"
#include "load/load_engine.h"
#include "load/requests/http_request.h"
#include "text/file.h"

namespace podsense::load {

struct Job {
  RunPlan plan;
  std::vector<MakeTransport> make;  ///< of each target
  Circumstances circumstances;
};

/// Reads files, resolves the host, refuses what is not one's own.
/// @errors as `run_load`
Result<Job> make_job(const LoadOptions& options);

/// The bodies to send and where to, by kind.
struct Content {
  std::vector<HttpRequestOptions::Body> bodies;
  std::string path;  ///< where such a body goes when the URL has no path
  std::shared_ptr<const Table> rows = nullptr;
};
Result<Content> make_content(const LoadOptions& options);

/// The CSV file of --rows; null where there is none. `text` is the template of the body, whose
/// columns, with those of the URLs, say whether the first line is a header.
/// @errors kInvalidArgument
Result<std::shared_ptr<const Table>> load_rows(const LoadOptions& options, std::string_view text);

/// The addresses of a host that is one's own, or may be loaded; with --connect-to those of another.
/// @errors kNotFound: the name does not resolve; kPermissionDenied: a public address
Result<std::vector<Endpoint>> own_endpoints(const LoadOptions& options, const Url& url);

/// Connections of each part. The workers of a closed loop fit on those of their part.
struct Connections {
  unsigned first = 1;  ///< opened ahead
  unsigned most = 1;
};
Connections part_of(const Connections& all, unsigned part, unsigned parts);

/// For options whose `url` is one target: adds to `make`, and sets what the report says of it. The
/// plan and the numbers of connections are set.
/// @errors as `run_load`
Result<void> make_http(const LoadOptions& options, Job& job);
Result<void> make_grpc(const LoadOptions& options, Job& job);

}  // namespace podsense::load
