#include "server/file_check.h"

#include "access/access.h"
#include "model/cache_folder.h"

namespace podsense::server {

std::vector<CheckedFile> check_files(const Config& config) {
  std::vector<CheckedFile> all;
  const auto look = [&all](const std::string& path, const auto& attempt) {
    if (!path.empty()) {
      const auto done = attempt();
      all.push_back({.path = path, .fault = done ? std::string() : done.error().message});
    }
  };
  look(config.auth.api_keys,
       [&] { return access::Guard::create({.api_keys = config.auth.api_keys}); });
  look(config.auth.control_tokens,
       [&] { return access::Guard::create({.control_tokens = config.auth.control_tokens}); });
  look(config.models.cache_dir, [&] { return model::try_cache_folder(config.models.cache_dir); });
  return all;
}

}  // namespace podsense::server
