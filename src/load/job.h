#pragma once

/// From what a person asked for (Options) to what the engine needs. Private to the room.

#include <memory>

#include "load/engine.h"
#include "load/http_request.h"
#include "load/load.h"

namespace podsense::load {

struct Job {
  Plan plan;
  MakeTransport make;
  Circumstances circumstances;
};

/// Reads files, resolves the host, refuses what is not one's own.
/// @errors as `run`
Result<Job> make_job(const Options& options);

/// The bodies to send and where to, by kind.
struct Content {
  std::vector<HttpRequestOptions::Body> bodies;
  std::string path;  ///< where such a body goes when the URL has no path
};
Result<Content> make_content(const Options& options);

/// A file as bytes. @errors kNotFound
Result<std::string> read_file(const std::filesystem::path& path);

}  // namespace podsense::load
