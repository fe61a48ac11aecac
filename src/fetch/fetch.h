#pragma once

/// URL → bytes, safe by default against being used to reach what only this machine can reach
/// (server-side request forgery). Three gates, each of its own:
///  1. `UrlPolicy::check_url`: scheme, port, credentials, host lists, before anything is resolved;
///  2. `UrlPolicy::check_address`: every address the connection is about to be opened to, after
///     resolution, so that a DNS answer that changes cannot slip between check and use;
///  3. limits on bytes, time and redirects while the answer streams. Each redirect passes 1 and 2.
/// libcurl parses the URL that is checked and the URL that is fetched: one parser, no differences.
/// No proxy is taken from the environment; no cookie or referrer is ever sent, and no credential
/// but those that Options::headers_file has for the very origin that a leg asks.

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
  unsigned max_concurrent = 64;  ///< further ones wait, up to max_waiting
  unsigned max_waiting = 256;    ///< beyond: kOverloaded
  std::vector<std::uint16_t> ports{80, 443};
  /// Exact names or addresses, or ".example.com" for a domain and all below it. Empty allow list:
  /// any host except local names (localhost, one label, .local, .internal, ...), which are fetched
  /// from only when listed. `deny_hosts` wins. Neither list exempts from the address rules.
  std::vector<std::string> allow_hosts;
  std::vector<std::string> deny_hosts;
  /// CIDRs. `allow_cidrs` are exempt from the built-in refusals; `deny_cidrs` win over all.
  /// See UrlPolicy::check_address for what a wide CIDR does not open.
  std::vector<std::string> allow_cidrs;
  std::vector<std::string> deny_cidrs;
  std::string ca_file;  ///< PEM bundle; empty: the system's
  std::string user_agent = "podsense";
  std::string headers_file;  ///< headers that go to one origin alone: origin_headers.h; empty: none
  MemoryBudget* budget = nullptr;  ///< outlives the fetcher and its responses; null: none

  /// Reports every fault at once.
  [[nodiscard]] Result<void> validate() const;
};

/// A URL that passed gate 1, normalised by libcurl.
struct CheckedUrl {
  std::string url;
  std::string host;  ///< lower case, no trailing dot, IPv6 without brackets
  std::uint16_t port = 0;
  /// scheme://host:port, fit for a log line: no path, no query.
  [[nodiscard]] std::string origin() const;
};

/// @threads immutable
class UrlPolicy {
 public:
  /// @errors kInvalidArgument: a CIDR or host pattern that cannot be parsed
  static Result<UrlPolicy> create(const Options& options);

  /// Blanks around it are passed over, blanks inside its path and query are encoded; a host in
  /// letters of any script is encoded as DNS wants it.
  /// @errors kInvalidArgument: not an absolute http(s) URL, or over 8,192 bytes, or with
  /// credentials;
  ///         kPermissionDenied: port, host list, or a literal address that gate 2 would refuse
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
  std::string traceparent;  ///< passed on when well-formed (W3C Trace Context)
};

struct Response {
  std::string body;
  std::string content_type;
  Duration elapsed{};  ///< since get(), waiting for a place included
  unsigned redirects = 0;
  MemoryBudget::Share memory;  ///< in which the body is counted
};

/// Runs any number of transfers on one thread of its own (libcurl multi).
/// @threads thread-safe
class Fetcher {
 public:
  using Callback = std::move_only_function<void(Result<Response>)>;

  /// @errors kInvalidArgument: options
  static Result<std::unique_ptr<Fetcher>> create(Options options);
  /// Ends every transfer with kUnavailable; returns when all callbacks ran. Never from a callback.
  virtual ~Fetcher() = default;

  /// `done` runs exactly once: on the fetch thread, or on the caller's when refused at once.
  /// It must not block or throw; it may call get().
  /// @errors those of UrlPolicy; kPayloadTooLarge: over max_bytes (declared or streamed);
  ///         kDeadlineExceeded; kBadGateway: could not resolve, connect, or status other than 200,
  ///         but for kUnprocessable: 404, 410; kPermissionDenied: 401, 403; kRateLimited: 429, with
  ///         the host's Retry-After;
  ///         kOverloaded: too many under way, or too little memory left; kUnimplemented: disabled
  virtual void get(Request request, Callback done) = 0;

  /// Transfers under way; those that wait for a place are not counted.
  [[nodiscard]] virtual unsigned active() const = 0;
};

}  // namespace podsense::fetch
