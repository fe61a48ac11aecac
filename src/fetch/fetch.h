#pragma once

/// Fetches URLs, protected by default against server-side request forgery (requests to targets that
/// only this machine can reach). Three independent checks: 1. `UrlPolicy::check_url`: scheme, port,
/// credentials, host lists, before anything is resolved; 2. `UrlPolicy::check_address`: every
/// address the connection is about to be opened to, after
///     resolution, so that a DNS answer that changes cannot slip between check and use;
/// 3. limits on bytes, time and redirects while the answer streams. Each redirect passes 1 and 2.
/// The checked URL and the fetched URL have the same parser, libcurl's, so there are no
/// differences. Proxies from the environment are ignored. Cookies and referrers are never sent, and
/// credentials only from Options::headers_file, to exactly the origin they are for.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory_budget.h"

namespace podsense::fetch {

struct Options {
  bool enabled = true;
  std::uint64_t max_bytes = 20ULL << 20U;
  Duration timeout = std::chrono::seconds(10);  ///< whole transfer, redirects included
  Duration connect_timeout = std::chrono::seconds(3);
  unsigned max_redirects = 3;    ///< at most 3
  unsigned max_concurrent = 64;  ///< concurrent transfers; further ones wait
  unsigned max_waiting = 256;    ///< beyond: kOverloaded
  std::vector<std::uint16_t> ports{80, 443};
  /// Exact names or addresses, or ".example.com" for a domain and all its subdomains. With an empty
  /// allow list, all hosts are allowed except local names (localhost, one label, .local, .internal,
  /// ...), which must be listed. `deny_hosts` has priority. The address rules apply to all hosts,
  /// listed or not.
  std::vector<std::string> allow_hosts;
  std::vector<std::string> deny_hosts;
  /// CIDRs. `allow_cidrs` are exempt from the built-in refusals; `deny_cidrs` have priority over
  /// all rules. See UrlPolicy::check_address for exceptions that a wide CIDR does not allow.
  std::vector<std::string> allow_cidrs;
  std::vector<std::string> deny_cidrs;
  std::string ca_file;  ///< PEM bundle; empty: the system's
  std::string user_agent = "podsense";
  std::string headers_file;  ///< headers for single origins, see origin_headers.h; empty: none
  MemoryBudget* budget = nullptr;  ///< must outlive the fetcher and its responses; null: none

  /// Reports all faults at once.
  [[nodiscard]] Result<void> validate() const;
};

/// A URL that passed check 1, normalised by libcurl.
struct CheckedUrl {
  std::string url;
  std::string host;  ///< lower case, no trailing dot, IPv6 without brackets
  std::uint16_t port = 0;
  /// scheme://host:port, safe for logs: no path, no query.
  [[nodiscard]] std::string origin() const;
};

/// @threads immutable
class UrlPolicy {
 public:
  /// @errors kInvalidArgument: a CIDR or host pattern that cannot be parsed
  static Result<UrlPolicy> create(const Options& options);

  /// Ignores blanks around the URL and encodes blanks in path and query. An internationalised host
  /// name is encoded for DNS.
  /// @errors kInvalidArgument: not an absolute http(s) URL, over 8,192 bytes, or with credentials;
  /// kPermissionDenied: refused port or host, or a literal address that check 2 would refuse
  [[nodiscard]] Result<CheckedUrl> check_url(std::string_view url) const;

  /// `address`: 4 or 16 bytes in network order. Private, loopback, link-local, multicast, CGNAT,
  /// reserved, documentation, benchmarking, unique-local, and the forms with an IPv4 address inside
  /// (IPv4-mapped, 6to4, Teredo, NAT64): refused unless allowed by CIDR. Two rules are stricter:
  ///  - where such a form is allowed (say 64:ff9b::/96 in a cluster that lives behind NAT64), the
  ///    IPv4 address inside must pass by itself;
  ///  - a cloud metadata address is allowed only by a CIDR that names it alone (/32 or /128).
  /// @errors kPermissionDenied, naming the kind of address, never the address a name resolved to
  [[nodiscard]] Result<void> check_address(std::span<const std::uint8_t> address) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

struct Request {
  std::string url;
  Deadline deadline;
  std::string traceparent;  ///< sent if well-formed (W3C Trace Context)
};

struct Response {
  std::string body;
  std::string content_type;
  Duration elapsed{};  ///< since get(), including the wait for a free transfer
  unsigned redirects = 0;
  MemoryBudget::Share memory;  ///< counts the body
};

/// Runs concurrent transfers on its own thread (libcurl multi).
/// @threads thread-safe
class Fetcher {
 public:
  using Callback = std::move_only_function<void(Result<Response>)>;

  /// @errors kInvalidArgument: invalid options
  static Result<std::unique_ptr<Fetcher>> create(Options options);
  /// Ends all transfers with kUnavailable and returns after all callbacks. Do not call it from a
  /// callback.
  virtual ~Fetcher() = default;

  /// `done` is called exactly once: on the fetch thread, or on the caller's thread if refused at
  /// once. It must not block or throw; it may call get().
  /// @errors those of UrlPolicy; kPayloadTooLarge: over max_bytes (declared or streamed);
  /// kDeadlineExceeded; kBadGateway: cannot resolve or connect, or another status than 200, except
  /// kUnprocessable: 404, 410; kPermissionDenied: 401, 403; kRateLimited: 429, with the host's
  /// Retry-After; kOverloaded: too many transfers, or too little memory; kUnimplemented: disabled
  virtual void get(Request request, Callback done) = 0;

  /// The number of running transfers, without waiting ones.
  [[nodiscard]] virtual unsigned active() const = 0;
};

}  // namespace podsense::fetch
