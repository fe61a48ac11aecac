#pragma once

/// Credentials as configured: made at start, looked after while serving. Private to this room.

#include <memory>

#include "access/access.h"
#include "access/certificates.h"
#include "server/config.h"

namespace podsense::server {

/// @errors kInvalidArgument: a file of credentials with a fault
Result<std::unique_ptr<access::Guard>> make_guard(const Config& config);

/// Null: no TLS. @errors kInvalidArgument: a file with a fault
Result<std::unique_ptr<access::Certificates>> make_certificates(const Config& config);

/// Says loudly what anybody on the network may do.
void warn_of_open_doors(const Config& config, const access::Guard& guard);

/// Reads changed files again and logs what came of it.
void refresh(access::Guard& guard);
/// True: other certificates are in force; error: the new ones were refused.
Result<bool> refresh(access::Certificates& certificates);

}  // namespace podsense::server
