#pragma once

/// The certificates and keys that a command line names. Private to the module.

#include "base/error.h"
#include "load/clients/client_tls.h"
#include "load/load.h"

namespace podsense::load {

/// Reads the files that the options name, and sees that they can be used together.
/// @errors kInvalidArgument: names flag and file
Result<ClientTls> read_client_tls(const LoadOptions& options);

}  // namespace podsense::load
