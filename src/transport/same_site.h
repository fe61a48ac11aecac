#pragma once

/// Protects state-changing requests from foreign web pages (CSRF). A page in somebody's browser
/// could otherwise reach the admin port through a port-forward, or through a domain that resolves
/// to this server (DNS rebinding). Pure. Private to this module.

#include <string>
#include <vector>

#include "transport/message.h"

namespace podsense::transport {

/// `names`: further accepted hosts. Always accepted are IP addresses, `localhost`, names without a
/// dot (`podsense`) and names that no stranger can own: `.svc`, `.local` (so also
/// `.cluster.local`), `.internal`, `.localhost`.
/// @errors kPermissionDenied: another host, or the request comes from a page of another site;
/// kUnsupportedMedia: a body type that a page may send without a CORS preflight
Result<void> check_same_site(const Request& request, const std::vector<std::string>& names);

}  // namespace podsense::transport
