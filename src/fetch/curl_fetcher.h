#pragma once

#include <memory>

#include "fetch/transfer.h"

namespace podsense::fetch {

/// Fetcher::create with name servers stood in for; for tests.
Result<std::unique_ptr<Fetcher>> create_fetcher(Options options, Answers answers);

}  // namespace podsense::fetch
