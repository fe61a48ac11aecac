#pragma once

/// The server of `podsense bench`: `podsense serve` in a child process, with one model, on free
/// loopback ports.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "cli/top_view.h"

namespace podsense::cli {

/// The only model of a server.
struct BenchModel {
  std::string repository;
  std::string name;
};

/// Facts about a model from the server's metadata.
struct BenchFacts {
  std::string task;
  std::string backend;
  std::string plan;      ///< inline, executor
  std::string threads;   ///< of a run
  std::string sharing;   ///< whether requests share runs: shared, alone, …
  std::string reason;    ///< reason for `sharing`
  std::string max_rows;  ///< of a shared run
};

/// A temporary folder for models; links files, or copies them if linking fails.
/// @threads one
class BenchFolder {
 public:
  /// Creates a new folder in the system's temporary folder; the destructor deletes it.
  static Result<std::unique_ptr<BenchFolder>> make();
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Creates a repository with only this model: its file, and files next to it whose names start
  /// with its name (its weights). The model is named after the file, or after its folder if the
  /// file's name is generic.
  /// @errors kInvalidArgument: not *.onnx or *.ort, or it cannot be read
  [[nodiscard]] Result<BenchModel> repository_of(const std::filesystem::path& file) const;

 private:
  explicit BenchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path path_;
};

/// The model `wanted` of a repository; without a name the only model with a file, or else the only
/// model.
/// @errors kInvalidArgument: no model, several models (with their names), or it is refused (with
/// the reason)
Result<BenchModel> choose_model(const std::string& repository, const std::string& wanted);

/// @threads one; create it before other threads exist
class BenchServer {
 public:
  /// Starts the server and blocks until it is ready.
  /// @param config its configuration file; empty: none
  /// @errors kUnavailable: it cannot be started, or why it ended
  static Result<std::unique_ptr<BenchServer>> start(const BenchModel& model,
                                                    const std::filesystem::path& folder,
                                                    const std::string& config);
  /// Stops the server.
  ~BenchServer();
  BenchServer(const BenchServer&) = delete;
  BenchServer& operator=(const BenchServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(http_); }
  [[nodiscard]] std::string admin_url() const {
    return "http://127.0.0.1:" + std::to_string(admin_);
  }
  [[nodiscard]] pid_t process() const { return process_; }
  /// Time from the start of the process until it was ready.
  [[nodiscard]] Duration ready_after() const { return ready_after_; }
  /// @errors kUnavailable: it does not answer
  [[nodiscard]] Result<std::vector<Sample>> metrics() const;
  /// @errors kUnavailable: no answer, or an invalid one
  [[nodiscard]] Result<BenchFacts> facts() const;
  /// Its peak memory in bytes; 0: unknown.
  [[nodiscard]] std::uint64_t peak_memory() const;

 private:
  BenchServer(std::string model, std::filesystem::path folder)
      : model_(std::move(model)), folder_(std::move(folder)) {}
  Result<void> wait_until_ready();
  void read_ports();
  [[nodiscard]] std::string last_words() const;

  const std::string model_;
  const std::filesystem::path folder_;
  pid_t process_ = -1;
  unsigned http_ = 0;
  unsigned admin_ = 0;
  Duration ready_after_{};
};

}  // namespace podsense::cli
