#include "model/cache_folder.h"

#include <set>
#include <string>
#include <system_error>

#include "base/log.h"
#include "base/mutex.h"
#include "base/small_file.h"

namespace podsense::model {

namespace fs = std::filesystem;

Result<void> try_cache_folder(const fs::path& folder) {
  const auto refused = [&](const std::string& why) {
    return fail(ErrorCode::kUnavailable,
                folder.string() + ": the model cache cannot be written: " + why);
  };
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return refused(error.message());
  }
  const fs::path probe = folder / ".podsense-probe";
  if (auto written = replace_file(probe, "x"); !written) {
    return refused(written.error().message);
  }
  fs::remove(probe, error);
  return {};
}

void tell_cache_unwritable(const fs::path& folder, std::string_view reason) {
  static Mutex& mutex = *new Mutex;
  static std::set<std::string>& told = *new std::set<std::string>;
  {
    const MutexLock lock(mutex);
    if (!told.insert(folder.string()).second) {
      return;
    }
  }
  log::warning("model_cache_unwritable",
               {{"path", folder.string()},
                {"reason", reason},
                {"message", "the model cache " + folder.string() + " cannot be written (" +
                                std::string(reason) +
                                "): models are optimised and measured anew at every start"}});
}

}  // namespace podsense::model
