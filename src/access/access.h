#pragma once

/// Who may ask: API keys and JSON Web Tokens for inference, tokens for control, and how often each
/// may come. Files are read again when they change; a new file that is broken leaves the old in
/// force.
///
///   auto guard = Guard::create({.api_keys = "/etc/podsense/keys"}, clock);
///   auto who = (*guard)->admit(Area::kInference, {.authorization = header}, now);
///
/// Without keys and JWKS everybody may infer, without control tokens everybody who reaches the
/// admin port may control; the caller warns of that.
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

/// Header values as they came; empty where there was none.
struct Credentials {
  std::string_view authorization;  ///< "Bearer KEY" or "Bearer JWT"
  std::string_view api_key;        ///< X-Api-Key
  std::string_view address;        ///< whence, without the port; empty: unknown
};

struct Options {
  /// A file with `NAME:KEY` a line, or a folder (a mounted Secret) whose files are named NAME and
  /// hold the key. Keys have 16 to 512 characters. Empty: none.
  std::filesystem::path api_keys;
  std::filesystem::path control_tokens;  ///< likewise
  std::filesystem::path jwks;            ///< JSON Web Key Set; empty: no tokens are taken
  std::string issuer;                    ///< required `iss`; empty: any
  std::string audience;                  ///< required in `aud`; empty: any
  double rate = 0;                       ///< requests a second for each name; 0: no limit
  double burst = 0;                      ///< at once; 0: one second's worth
};

/// A name for logs and limits: "key:NAME", "jwt:SUBJECT" or "" for anybody.
using Name = std::string;

/// @threads thread-safe
class Guard {
 public:
  /// Wrong credentials from one address that are told so at once; then one every kFailureInterval.
  static constexpr double kFailures = 50;
  static constexpr Duration kFailureInterval = std::chrono::seconds(1);

  /// Wall clock in seconds since 1970, for the times in tokens.
  using UnixTime = std::function<std::int64_t()>;

  /// @errors kInvalidArgument: a file that cannot be read or has a fault, naming it and the line
  static Result<std::unique_ptr<Guard>> create(Options options, UnixTime unix_time = system_time());
  virtual ~Guard() = default;

  /// Names who asks and counts the request against that name's rate. Wrong credentials count
  /// against their address: beyond kFailures it gets no answer but "later" for wrong ones, and
  /// signatures of tokens that are not known are not looked at. Known keys go on: behind a proxy
  /// all clients share its address.
  /// @errors kUnauthenticated: no credentials where some are needed, or wrong ones; kRateLimited
  ///         with retry_after
  virtual Result<Name> admit(Area area, const Credentials& credentials, TimePoint now) = 0;

  [[nodiscard]] virtual bool open(Area area) const = 0;  ///< asks for no credentials

  /// Reads again what has changed on disk; call it every few seconds. True: it was read, and is in
  /// force. A fault is told once.
  virtual Result<bool> refresh() = 0;
  /// Why what lies on disk is not in force; empty: it is.
  [[nodiscard]] virtual std::string fault() const = 0;

  static UnixTime system_time();
};

}  // namespace podsense::access
