#pragma once

/// Authentication and rate limits: API keys and JSON Web Tokens for inference, tokens for control.
/// Files are read again when they change; if a new file is invalid, the old contents stay in force.
///
///   auto guard = Guard::create({.api_keys = "/etc/podsense/keys"}, clock);
///   auto who = (*guard)->admit(Area::kInference, {.authorization = header}, now);
///
/// Without keys and JWKS, everybody may infer. Without control tokens, everybody who can reach the
/// admin port may control. The caller logs a warning about that.
///
/// @source RFC 6750 (Bearer), 7515 (JWS), 7517 (JWK), 7519 (JWT), 8037 (EdDSA)

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace podsense::access {

enum class Area { kInference, kControl };

/// Header values as received; empty: no such header.
struct Credentials {
  std::string_view authorization;  ///< "Bearer KEY" or "Bearer JWT"
  std::string_view api_key;        ///< X-Api-Key
  std::string_view address;        ///< the client's address, without the port; empty: unknown
};

struct Options {
  /// A file with one `NAME:KEY` per line, or a folder (a mounted Secret) with one file per key: its
  /// name is NAME, its content the key. Keys have 16 to 512 characters. Empty: no keys.
  std::filesystem::path api_keys;
  std::filesystem::path control_tokens;  ///< likewise
  std::filesystem::path jwks;            ///< JSON Web Key Set; empty: no tokens are accepted
  std::string issuer;                    ///< required `iss`; empty: any
  std::string audience;                  ///< required in `aud`; empty: any
  double rate = 0;                       ///< requests per second for each name; 0: no limit
  double burst = 0;                      ///< requests at once; 0: those of one second
};

/// A name for logs and limits: "key:NAME", "jwt:SUBJECT" or "" for anybody.
using Name = std::string;

/// @threads thread-safe
class Guard {
 public:
  /// Failed attempts per address that are answered with the reason; after that, one every
  /// kFailureInterval.
  static constexpr double kFailures = 50;
  static constexpr Duration kFailureInterval = std::chrono::seconds(1);

  /// The Unix time in seconds, for the times in tokens.
  using UnixTime = std::function<std::int64_t()>;

  /// @errors kInvalidArgument: a file cannot be read or is invalid; names the file and the line
  static Result<std::unique_ptr<Guard>> create(Options options, UnixTime unix_time = system_time());
  virtual ~Guard() = default;

  /// Identifies the client and counts the request against its rate. Wrong credentials count against
  /// the client's address: after kFailures, wrong credentials are only answered with kRateLimited,
  /// and the signatures of unknown tokens are not verified. Valid keys still work, because all
  /// clients behind a proxy share its address.
  /// @errors kUnauthenticated: missing or wrong credentials; kRateLimited with retry_after
  virtual Result<Name> admit(Area area, const Credentials& credentials, TimePoint now) = 0;

  [[nodiscard]] virtual bool open(Area area) const = 0;  ///< whether it needs no credentials

  /// Reads changed files again; call it every few seconds. True: new contents are in force. The
  /// same fault is returned only once.
  virtual Result<bool> refresh() = 0;
  /// Why the files on disk are not in force; empty: they are.
  [[nodiscard]] virtual std::string fault() const = 0;

  static UnixTime system_time();
};

}  // namespace podsense::access
