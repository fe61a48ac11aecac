#pragma once

/// Verifies JSON Web Tokens with a set of public keys. Private to this module.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct evp_pkey_st;

namespace podsense::access {

/// The maximum length of a token in bytes; longer ones are refused unread.
inline constexpr std::size_t kMaxToken = 8U << 10U;
/// The tolerated clock difference between issuer and server, seconds.
inline constexpr std::int64_t kLeeway = 30;

/// A JSON Web Key Set. Supports RSA keys of at least 2048 bits (RS256), EC keys on P-256 (ES256)
/// and OKP keys on Ed25519 (EdDSA). Other keys are ignored, since a set may be shared with other
/// services.
class KeySet {
 public:
  enum class Kind { kRs256, kEs256, kEdDsa };
  struct Release {
    void operator()(evp_pkey_st* key) const;
  };
  struct Key {
    std::string id;
    Kind kind = Kind::kRs256;
    std::unique_ptr<evp_pkey_st, Release> key;
  };

  /// @errors kInvalidArgument: not a key set, an invalid key of a supported kind, or no usable key
  static Result<KeySet> parse(std::string_view json);
  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

struct ExpectedClaims {
  std::string issuer;    ///< empty: any
  std::string audience;  ///< empty: any
};

struct Claims {
  std::string subject;
  std::int64_t expires = 0;  ///< Unix time
};

/// Checks the signature first, then times, issuer and audience. `exp` and `sub` are required.
/// @errors kUnauthenticated: what is wrong with the token
Result<Claims> verify_token(std::string_view token, const KeySet& keys,
                            const ExpectedClaims& expected, std::int64_t now);

/// Decodes base64url without padding into `out`; false if `text` is not valid.
bool decode_base64url(std::string_view text, std::string& out);

}  // namespace podsense::access
