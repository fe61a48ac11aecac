#include "access/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

namespace podsense::access {
namespace {

using Json = nlohmann::json;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BigNumber = std::unique_ptr<BIGNUM, Free<BN_free>>;
using PublicKey = std::unique_ptr<EVP_PKEY, KeySet::Release>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using Verifier = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

const unsigned char* bytes(const std::string& text) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes of characters
  return reinterpret_cast<const unsigned char*>(text.data());
}

tl::unexpected<Error> denied(std::string what) {
  return fail(ErrorCode::kUnauthenticated, std::move(what));
}

/// The member `name` if it is a string, else "".
std::string text_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::string> decoded_member(const Json& object, const char* name) {
  std::string out;
  const std::string text = text_of(object, name);
  return !text.empty() && decode_base64url(text, out) ? std::optional(out) : std::nullopt;
}

PublicKey from_params(const char* type, OSSL_PARAM_BLD* builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder));
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return PublicKey(key);
}

PublicKey rsa_key(const Json& jwk) {
  const auto n = decoded_member(jwk, "n");
  const auto e = decoded_member(jwk, "e");
  if (!n || !e) {
    return nullptr;
  }
  const BigNumber modulus(BN_bin2bn(bytes(*n), static_cast<int>(n->size()), nullptr));
  const BigNumber exponent(BN_bin2bn(bytes(*e), static_cast<int>(e->size()), nullptr));
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!modulus || !exponent || BN_num_bits(modulus.get()) < 2048 ||
      BN_num_bits(modulus.get()) > 8192 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return nullptr;
  }
  return from_params("RSA", builder.get());
}

PublicKey ec_key(const Json& jwk) {
  const auto x = decoded_member(jwk, "x");
  const auto y = decoded_member(jwk, "y");
  if (!x || !y || x->size() != 32 || y->size() != 32) {
    return nullptr;
  }
  const std::string point = "\x04" + *x + *y;
  const Builder builder(OSSL_PARAM_BLD_new());
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  return from_params("EC", builder.get());
}

PublicKey ed25519_key(const Json& jwk) {
  const auto x = decoded_member(jwk, "x");
  return PublicKey(x ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(*x), x->size())
                     : nullptr);
}

/// Converts an ES256 signature (r followed by s) to DER, which OpenSSL needs.
std::string to_der(const std::string& raw) {
  const EcSignature signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(bytes(raw), 32, nullptr);
  BIGNUM* s = BN_bin2bn(bytes(raw) + 32, 32, nullptr);
  if (ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature.get(), &der);
  std::string out;
  if (length > 0) {
    out.assign(der, der + length);
  }
  OPENSSL_free(der);
  return out;
}

bool signature_holds(const KeySet::Key& key, std::string_view signed_part, std::string signature) {
  if (key.kind == KeySet::Kind::kEs256) {
    if (signature.size() != 64) {
      return false;
    }
    signature = to_der(signature);
  }
  const Verifier verifier(EVP_MD_CTX_new());
  const EVP_MD* hash = key.kind == KeySet::Kind::kEdDsa ? nullptr : EVP_sha256();
  const std::string message(signed_part);
  return EVP_DigestVerifyInit(verifier.get(), nullptr, hash, nullptr, key.key.get()) == 1 &&
         EVP_DigestVerify(verifier.get(), bytes(signature), signature.size(), bytes(message),
                          message.size()) == 1;
}

std::optional<KeySet::Kind> kind_of(const std::string& algorithm) {
  if (algorithm == "RS256") {
    return KeySet::Kind::kRs256;
  }
  if (algorithm == "ES256") {
    return KeySet::Kind::kEs256;
  }
  return algorithm == "EdDSA" ? std::optional(KeySet::Kind::kEdDsa) : std::nullopt;
}

/// Decodes a part of a token as a JSON object; null if it is not one.
Json object_of(std::string_view part) {
  std::string text;
  if (!decode_base64url(part, text)) {
    return nullptr;
  }
  Json parsed = Json::parse(text, nullptr, false);
  return parsed.is_object() ? parsed : Json(nullptr);
}

std::optional<std::int64_t> time_of(const Json& claims, const char* name) {
  const auto found = claims.find(name);
  if (found == claims.end() || !found->is_number()) {
    return std::nullopt;
  }
  const auto seconds = found->get<double>();
  constexpr double kLast = 4e15;  // prevents overflow in later sums
  return static_cast<std::int64_t>(std::clamp(seconds, -kLast, kLast));
}

bool has_audience(const Json& claims, const std::string& wanted) {
  const auto found = claims.find("aud");
  if (found == claims.end()) {
    return false;
  }
  return *found == wanted ||
         (found->is_array() && std::ranges::find(*found, Json(wanted)) != found->end());
}

Result<Claims> check_claims(const Json& claims, const ExpectedClaims& expected, std::int64_t now) {
  const auto expires = time_of(claims, "exp");
  if (!expires) {
    return denied("the token has no expiry (exp)");
  }
  if (now >= *expires + kLeeway) {
    return denied("the token has expired");
  }
  if (const auto begins = time_of(claims, "nbf"); begins && now + kLeeway < *begins) {
    return denied("the token is not valid yet");
  }
  if (!expected.issuer.empty() && text_of(claims, "iss") != expected.issuer) {
    return denied("the token is not from the expected issuer");
  }
  if (!expected.audience.empty() && !has_audience(claims, expected.audience)) {
    return denied("the token is not for this service (aud)");
  }
  const std::string subject = text_of(claims, "sub");
  if (subject.empty() || subject.size() > 256) {
    return denied("the token has no subject (sub) of at most 256 bytes");
  }
  return Claims{.subject = subject, .expires = *expires};
}

}  // namespace

void KeySet::Release::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}

bool decode_base64url(std::string_view text, std::string& out) {
  const auto value = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') {
      return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
      return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
      return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
  };
  out.clear();
  unsigned bits = 0;
  unsigned have = 0;
  for (const char c : text) {
    const int six = value(c);
    if (six < 0) {
      return false;
    }
    bits = bits << 6U | static_cast<unsigned>(six);
    have += 6;
    if (have >= 8) {
      have -= 8;
      out.push_back(static_cast<char>(bits >> have & 0xFFU));
    }
  }
  // Only the canonical encoding is valid: no single leftover character, no nonzero unused bits.
  return text.size() % 4 != 1 && (bits & ((1U << have) - 1)) == 0;
}

Result<KeySet> KeySet::parse(std::string_view json) {
  const Json set = Json::parse(json, nullptr, false);
  if (!set.is_object() || !set.contains("keys") || !set["keys"].is_array()) {
    return fail(ErrorCode::kInvalidArgument, "not a JSON Web Key Set: {\"keys\": […]}");
  }
  KeySet out;
  for (const Json& jwk : set["keys"]) {
    const std::string type = text_of(jwk, "kty");
    const std::string curve = text_of(jwk, "crv");
    Key key{.id = text_of(jwk, "kid")};
    if (text_of(jwk, "use") == "enc") {
      continue;
    }
    if (type == "RSA") {
      key.key = rsa_key(jwk);
    } else if (type == "EC" && curve == "P-256") {
      key.kind = Kind::kEs256;
      key.key = ec_key(jwk);
    } else if (type == "OKP" && curve == "Ed25519") {
      key.kind = Kind::kEdDsa;
      key.key = ed25519_key(jwk);
    } else {
      continue;
    }
    if (!key.key) {
      return fail(ErrorCode::kInvalidArgument, "key '" + key.id + "' (" + type +
                                                   ") is not a whole public key" +
                                                   (type == "RSA" ? " of 2048 to 8192 bits" : ""));
    }
    out.keys_.push_back(std::move(key));
  }
  if (out.keys_.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                "no usable key; accepted: RSA (RS256), EC P-256 (ES256), OKP Ed25519 (EdDSA)");
  }
  return out;
}

Result<Claims> verify_token(std::string_view token, const KeySet& keys,
                            const ExpectedClaims& expected, std::int64_t now) {
  const auto first = token.find('.');
  const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (token.size() > kMaxToken || second == std::string_view::npos ||
      token.find('.', second + 1) != std::string_view::npos) {
    return denied("the token is no JSON Web Token of three parts and at most 8 KiB");
  }
  const Json header = object_of(token.substr(0, first));
  std::string signature;
  if (header.is_null() || !decode_base64url(token.substr(second + 1), signature)) {
    return denied("the token cannot be decoded");
  }
  const auto kind = kind_of(text_of(header, "alg"));
  if (!kind || header.contains("crit")) {
    return denied("the token's algorithm is not accepted; accepted: RS256, ES256, EdDSA");
  }
  const std::string id = text_of(header, "kid");
  const bool holds = std::ranges::any_of(keys.keys(), [&](const KeySet::Key& key) {
    return key.kind == *kind && (id.empty() || key.id == id) &&
           signature_holds(key, token.substr(0, second), signature);
  });
  if (!holds) {
    return denied("the token is not signed by a key that is trusted here");
  }
  const Json claims = object_of(token.substr(first + 1, second - first - 1));
  if (claims.is_null()) {
    return denied("the token cannot be decoded");
  }
  return check_claims(claims, expected, now);
}

}  // namespace podsense::access
