#pragma once

/// A server of `podsense bench`: `podsense serve` as a process of its own, with one model, on free
/// ports of the loopback.

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

/// A model to serve alone.
struct BenchModel {
  std::string repository;
  std::string name;
};

/// What the server's catalogue says of a model.
struct BenchFacts {
  std::string task;
  std::string backend;
  std::string plan;      ///< inline, executor
  std::string threads;   ///< of a run
  std::string sharing;   ///< whether requests share runs: shared, alone, …
  std::string reason;    ///< of that
  std::string max_rows;  ///< of a shared run
};

/// Links files, or copies them where that does not work.
/// @threads one
class BenchFolder {
 public:
  /// A folder of its own under the system's temporary one; it goes with the object.
  static Result<std::unique_ptr<BenchFolder>> make();
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// A repository that holds nothing but this model's file, and files beside it whose names begin
  /// like its own: its weights. Named after the file, or where that says nothing, its folder.
  /// @errors kInvalidArgument: no *.onnx or *.ort, or it cannot be read
  [[nodiscard]] Result<BenchModel> repository_of(const std::filesystem::path& file) const;

 private:
  explicit BenchFolder(std::filesystem::path path) : path_(std::move(path)) {}
  const std::filesystem::path path_;
};

/// The model `wanted` of a repository; without a name the only one that has a file, or the only
/// one.
/// @errors kInvalidArgument: there is none, or several, with their names; or it is refused, with
///         the reason
Result<BenchModel> choose_model(const std::string& repository, const std::string& wanted);

/// @threads one, before any other exists
class BenchServer {
 public:
  /// Blocks until it is ready.
  /// @param config  a file of settings for it; empty: none
  /// @errors kUnavailable: it cannot be started, or why it ended
  static Result<std::unique_ptr<BenchServer>> start(const BenchModel& model,
                                                    const std::filesystem::path& folder,
                                                    const std::string& config);
  /// Ends it.
  ~BenchServer();
  BenchServer(const BenchServer&) = delete;
  BenchServer& operator=(const BenchServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(http_); }
  [[nodiscard]] std::string admin_url() const {
    return "http://127.0.0.1:" + std::to_string(admin_);
  }
  [[nodiscard]] pid_t process() const { return process_; }
  /// From the process's begin until it was ready.
  [[nodiscard]] Duration ready_after() const { return ready_after_; }
  /// @errors kUnavailable: it does not answer
  [[nodiscard]] Result<std::vector<Sample>> metrics() const;
  /// @errors kUnavailable: it does not answer, or not as it should
  [[nodiscard]] Result<BenchFacts> facts() const;
  /// The most memory it has had, in bytes; 0: not known.
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
