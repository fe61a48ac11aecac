#pragma once

/// Keeps web pages away from what changes something: a page that somebody has open could otherwise
/// reach the admin port through a port-forward, or by a name of its own that it lets point here
/// (DNS rebinding). Pure. Private to this module.

#include <string>
#include <vector>

#include "transport/message.h"

namespace podsense::transport {

/// `names`: hosts by which this server is known besides IP addresses, `localhost`, names of one
/// part
/// (`podsense`) and names that no stranger can own: `.svc`, `.local` (so also `.cluster.local`),
/// `.internal`, `.localhost`.
/// @errors kPermissionDenied: another host, or a page of another site asks; kUnsupportedMedia: a
/// body
///         that a page may send without being asked first
Result<void> check_same_site(const Request& request, const std::vector<std::string>& names);

}  // namespace podsense::transport
