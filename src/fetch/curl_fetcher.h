#pragma once

#include <memory>

#include "fetch/transfer.h"

namespace podsense::fetch {

/// Like Fetcher::create, with simulated name servers, for tests.
Result<std::unique_ptr<Fetcher>> create_fetcher(Options options, Answers answers);

}  // namespace podsense::fetch
