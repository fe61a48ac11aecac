#include "access/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "access/jwt.h"
#include "access/keys.h"
#include "access/rate.h"
#include "base/temp_folder_testing.h"

namespace podsense::access {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr std::int64_t kNow = 1'800'000'000;
const std::string kKey = "0123456789abcdef";
const std::string kOther = "fedcba9876543210";

std::string base64url(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0;
  unsigned have = 0;
  for (const char c : bytes) {
    bits = bits << 8U | static_cast<unsigned char>(c);
    for (have += 8; have >= 6; have -= 6) {
      out += kDigits[bits >> (have - 6) & 63U];
    }
  }
  return have > 0 ? out + kDigits[bits << (6 - have) & 63U] : out;
}

/// A private key of one kind with its public half as a JWK.
class Signer {
 public:
  explicit Signer(std::string algorithm, unsigned rsa_bits = 2048)
      : algorithm_(std::move(algorithm)) {
    key_.reset(algorithm_ == "RS256"
                   ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(rsa_bits))
               : algorithm_ == "ES256" ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                                       : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  }

  [[nodiscard]] Json jwk(const std::string& id) const {
    if (algorithm_ == "RS256") {
      return {{"kty", "RSA"},
              {"kid", id},
              {"n", number(OSSL_PKEY_PARAM_RSA_N)},
              {"e", number(OSSL_PKEY_PARAM_RSA_E)}};
    }
    if (algorithm_ == "ES256") {
      return {{"kty", "EC"},
              {"crv", "P-256"},
              {"kid", id},
              {"x", number(OSSL_PKEY_PARAM_EC_PUB_X, 32)},
              {"y", number(OSSL_PKEY_PARAM_EC_PUB_Y, 32)}};
    }
    std::string raw(32, '\0');
    std::size_t size = raw.size();
    EVP_PKEY_get_raw_public_key(key_.get(), bytes(raw), &size);
    return {{"kty", "OKP"}, {"crv", "Ed25519"}, {"kid", id}, {"x", base64url(raw)}};
  }

  [[nodiscard]] std::string token(const Json& claims, const Json& header_more = {}) const {
    Json header{{"alg", algorithm_}, {"typ", "JWT"}};
    header.update(header_more.is_null() ? Json::object() : header_more);
    const std::string head = base64url(header.dump()) + "." + base64url(claims.dump());
    return head + "." + base64url(sign(head));
  }

 private:
  static unsigned char* bytes(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
  }
  [[nodiscard]] std::string number(const char* name, int width = 0) const {
    BIGNUM* value = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &value);
    std::string raw(static_cast<std::size_t>(width > 0 ? width : BN_num_bytes(value)), '\0');
    BN_bn2binpad(value, bytes(raw), static_cast<int>(raw.size()));
    BN_free(value);
    return base64url(raw);
  }
  [[nodiscard]] std::string sign(const std::string& text) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, nullptr, algorithm_ == "EdDSA" ? nullptr : EVP_sha256(), nullptr,
                       key_.get());
    std::string out(1024, '\0');
    std::size_t size = out.size();
    EVP_DigestSign(context, bytes(out), &size, reinterpret_cast<const unsigned char*>(text.data()),
                   text.size());
    EVP_MD_CTX_free(context);
    out.resize(size);
    if (algorithm_ == "ES256") {
      const auto* der = reinterpret_cast<const unsigned char*>(out.data());
      ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(out.size()));
      std::string raw(64, '\0');
      BN_bn2binpad(ECDSA_SIG_get0_r(signature), bytes(raw), 32);
      BN_bn2binpad(ECDSA_SIG_get0_s(signature), bytes(raw) + 32, 32);
      ECDSA_SIG_free(signature);
      return raw;
    }
    return out;
  }

  std::string algorithm_;
  std::unique_ptr<EVP_PKEY, KeySet::Release> key_;
};

const Signer& signer(const std::string& algorithm) {
  static const std::map<std::string, Signer> all = [] {
    std::map<std::string, Signer> made;
    for (const char* each : {"RS256", "ES256", "EdDSA"}) {
      made.emplace(each, Signer(each));
    }
    return made;
  }();
  return all.at(algorithm);
}

Json claims() {
  return {{"sub", "ana"}, {"iss", "https://id.example"}, {"aud", "podsense"}, {"exp", kNow + 60}};
}

KeySet key_set() {
  const Json set{{"keys",
                  {signer("RS256").jwk("r"),
                   signer("ES256").jwk("e"),
                   signer("EdDSA").jwk("d"),
                   {{"kty", "oct"}, {"k", "c2VjcmV0"}}}}};
  return KeySet::parse(set.dump()).value();
}

class AccessTest : public testing::Test {
 protected:
  fs::path write(const fs::path& name, const std::string& text) const {
    // Replaced by a rename, as editors and Kubernetes do it: another inode every time.
    std::ofstream(root_ / "new") << text;
    fs::create_directories((root_ / name).parent_path());
    fs::rename(root_ / "new", root_ / name);
    return root_ / name;
  }
  std::unique_ptr<Guard> guard(Options options) {
    return std::move(Guard::create(std::move(options), [this] { return unix_; }).value());
  }
  Result<Name> ask(Guard& guard, const std::string& authorization, Area area = Area::kInference,
                   const std::string& api_key = "") {
    return guard.admit(area, {.authorization = authorization, .api_key = api_key}, clock_.now());
  }
  static std::string fault(const fs::path& keys) {
    const auto made = Guard::create({.api_keys = keys});
    return made ? "" : made.error().message;
  }

  const TempFolder folder_;
  const fs::path& root_ = folder_.path();
  ManualClock clock_;
  std::int64_t unix_ = kNow;
};

TEST_F(AccessTest, IsOpenWithoutSecrets) {
  const auto open = guard({});
  EXPECT_TRUE(open->open(Area::kInference));
  EXPECT_TRUE(open->open(Area::kControl));
  EXPECT_EQ(ask(*open, "").value(), "");
}

TEST_F(AccessTest, TakesKeysByBothHeaders) {
  const auto keyed =
      guard({.api_keys = write("keys", "# comment\n\nana: " + kKey + "\r\nbob:" + kOther + "\n")});
  EXPECT_EQ(ask(*keyed, "Bearer " + kKey).value(), "key:ana");
  EXPECT_EQ(ask(*keyed, "bearer   " + kOther).value(), "key:bob");
  EXPECT_EQ(ask(*keyed, "", Area::kInference, kOther).value(), "key:bob");
}

TEST_F(AccessTest, SaysWhatIsWrongWithCredentials) {
  const auto keyed = guard({.api_keys = write("keys", "ana:" + kKey)});
  EXPECT_EQ(ask(*keyed, "").error().message,
            "credentials are needed: send 'Authorization: Bearer …' or 'X-Api-Key: …'");
  EXPECT_EQ(ask(*keyed, "Basic " + kKey).error().message, "Authorization takes the scheme Bearer");
  for (const std::string& wrong : {kOther, kKey + "x", kKey.substr(1), std::string(600, 'a')}) {
    const auto refused = ask(*keyed, "Bearer " + wrong);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnauthenticated);
    EXPECT_EQ(refused.error().message, "the key is not known here");
  }
}

TEST_F(AccessTest, ControlHasTokensOfItsOwn) {
  const auto both = guard({.api_keys = write("keys", "ana:" + kKey),
                           .control_tokens = write("control", "ops:" + kOther)});
  EXPECT_EQ(ask(*both, "Bearer " + kOther, Area::kControl).value(), "key:ops");
  EXPECT_FALSE(ask(*both, "Bearer " + kKey, Area::kControl));
  EXPECT_FALSE(ask(*both, "Bearer " + kOther, Area::kInference));
}

TEST_F(AccessTest, ReadsAMountedSecretsFolder) {
  write("secret/ana", kKey + "\n");
  write("secret/bob", kOther);
  write("secret/..data/ana", "ignored");
  const auto keyed = guard({.api_keys = root_ / "secret"});
  EXPECT_EQ(ask(*keyed, "Bearer " + kKey).value(), "key:ana");
  EXPECT_EQ(ask(*keyed, "Bearer " + kOther).value(), "key:bob");
}

TEST_F(AccessTest, NamesTheFaultOfAKeyFile) {
  const std::string at = (root_ / "keys").string();
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", at + ": holds no keys; a line is NAME:KEY, a folder has a file for each"},
      {"ana " + kKey, at + ":1: a line is NAME:KEY"},
      {"\nana:short", at + ":2: key 'ana' has 5 characters; accepted: 16 to 512"},
      {"ana:" + kKey + "\nana:" + kOther, at + ":2: the name 'ana' is given twice"},
      {"ana:" + kKey + "\nbob:" + kKey, at + ":2: 'bob' has the same key as 'ana'"},
      {":" + kKey, at + ":1: a name has 1 to 128 printable characters without spaces"},
      {std::string((1U << 20U) + 1, 'x'), at + ": is larger than 1048576 bytes"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_EQ(fault(write("keys", text)), message);
  }
  EXPECT_EQ(fault(root_ / "none"),
            (root_ / "none").string() + ": cannot be read: No such file or directory");
}

TEST_F(AccessTest, AByteOrderMarkIsNoPartOfAKey) {
  write("keys",
        "\xEF\xBB\xBF"
        "ci: " +
            kKey + "\n");
  write("folder/ci", "\xEF\xBB\xBF" + kKey + "\r\n");
  for (const char* path : {"keys", "folder"}) {
    const auto keys = Keys::read(root_ / path);
    ASSERT_TRUE(keys) << keys.error().message;
    EXPECT_EQ(keys->find(kKey), "ci") << path;
  }
}

TEST_F(AccessTest, AKeyThatCanNeverMatchIsRefusedWithItsFileAndTheReason) {
  const std::string path = (root_ / "folder/ci").string();
  const auto refused = [&](const std::string& text) {
    write("folder/ci", text);
    const auto keys = Keys::read(root_ / "folder");
    return keys ? "taken" : keys.error().message;
  };
  EXPECT_THAT(refused(kKey + "\n" + kOther + "\n"),
              testing::AllOf(HasSubstr(path), HasSubstr("more than one line")));
  EXPECT_THAT(refused(kKey + "\xE9"), testing::AllOf(HasSubstr(path), HasSubstr("not UTF-8")));
  EXPECT_THAT(refused(kKey + "\x01" + kKey),
              testing::AllOf(HasSubstr(path), HasSubstr("control characters")));
  std::string wide("\xFF\xFE");
  for (const char c : kKey) {
    wide += c;
    wide += '\0';
  }
  EXPECT_THAT(refused(wide), testing::AllOf(HasSubstr(path), HasSubstr("UTF-16")));
  EXPECT_EQ(refused(kKey + "\n"), "taken");
}

TEST_F(AccessTest, ReadsAgainWhatChangedAndKeepsTheOldWhereTheNewIsBroken) {
  const auto keyed = guard({.api_keys = write("keys", "ana:" + kKey)});
  EXPECT_FALSE(keyed->refresh().value()) << "nothing has changed";
  write("keys", "bob:" + kOther);
  EXPECT_TRUE(keyed->refresh().value());
  EXPECT_EQ(keyed->fault(), "");
  EXPECT_FALSE(ask(*keyed, "Bearer " + kKey));
  EXPECT_EQ(ask(*keyed, "Bearer " + kOther).value(), "key:bob");
  write("keys", "bob:x");
  EXPECT_THAT(keyed->refresh().error().message, HasSubstr("has 1 characters"));
  EXPECT_FALSE(keyed->refresh().value()) << "the same fault is told once";
  EXPECT_THAT(keyed->fault(), HasSubstr("has 1 characters")) << "and stands";
  EXPECT_EQ(ask(*keyed, "Bearer " + kOther).value(), "key:bob");
  write("keys", "bob:" + kOther);
  EXPECT_TRUE(keyed->refresh().value());
  EXPECT_EQ(keyed->fault(), "");
}

TEST_F(AccessTest, LimitsEachKeyByItself) {
  const auto keyed =
      guard({.api_keys = write("keys", "ana:" + kKey + "\nbob:" + kOther), .rate = 2, .burst = 3});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(ask(*keyed, "Bearer " + kKey));
  }
  const auto limited = ask(*keyed, "Bearer " + kKey);
  EXPECT_EQ(limited.error().code, ErrorCode::kRateLimited);
  EXPECT_EQ(limited.error().retry_after, milliseconds(500));
  EXPECT_TRUE(ask(*keyed, "Bearer " + kOther)) << "another's limit is another's";
  clock_.advance(milliseconds(500));
  EXPECT_TRUE(ask(*keyed, "Bearer " + kKey));
  EXPECT_FALSE(ask(*keyed, "Bearer " + kKey));
}

TEST_F(AccessTest, WrongCredentialsAreLimitedForEachAddress) {
  const auto keyed = guard({.api_keys = write("keys", "ana:" + kKey)});
  const auto from = [&](const char* address, const std::string& key) {
    return keyed->admit(Area::kInference, {.api_key = key, .address = address}, clock_.now());
  };
  for (int i = 0; i < static_cast<int>(Guard::kFailures); ++i) {
    EXPECT_EQ(from("10.0.0.1", kOther).error().code, ErrorCode::kUnauthenticated);
  }
  const auto limited = from("10.0.0.1", kOther);
  EXPECT_EQ(limited.error().code, ErrorCode::kRateLimited);
  EXPECT_EQ(limited.error().retry_after, Guard::kFailureInterval);
  EXPECT_EQ(from("10.0.0.1", kKey).value(), "key:ana") << "others behind the same proxy go on";
  EXPECT_EQ(from("10.0.0.2", kOther).error().code, ErrorCode::kUnauthenticated);
  EXPECT_EQ(from("10.0.0.1", "").error().code, ErrorCode::kUnauthenticated) << "nothing was tried";
  clock_.advance(Guard::kFailureInterval);
  EXPECT_EQ(from("10.0.0.1", kOther).error().code, ErrorCode::kUnauthenticated);
  EXPECT_EQ(from("10.0.0.1", kOther).error().code, ErrorCode::kRateLimited);
}

TEST_F(AccessTest, APipeOrDeviceIsNoFileOfKeysAndIsNotWaitedFor) {
  ASSERT_EQ(::mkfifo((root_ / "pipe").c_str(), 0600), 0);
  for (const fs::path& path : {root_ / "pipe", fs::path("/dev/zero")}) {
    for (const Options& options :
         {Options{.api_keys = path}, Options{.control_tokens = path}, Options{.jwks = path}}) {
      const auto refused = Guard::create(options);
      ASSERT_FALSE(refused);
      EXPECT_THAT(refused.error().message, HasSubstr("is no regular file"));
    }
  }
}

TEST_F(AccessTest, TakesTokensOfAllThreeAlgorithms) {
  const Json set{
      {"keys", {signer("RS256").jwk("r"), signer("ES256").jwk("e"), signer("EdDSA").jwk("d")}}};
  const auto tokens = guard(
      {.jwks = write("jwks", set.dump()), .issuer = "https://id.example", .audience = "podsense"});
  for (const char* algorithm : {"RS256", "ES256", "EdDSA"}) {
    const std::string token = "Bearer " + signer(algorithm).token(claims());
    EXPECT_EQ(ask(*tokens, token).value(), "jwt:ana") << algorithm;
    EXPECT_EQ(ask(*tokens, token).value(), "jwt:ana") << "remembered";
  }
  const std::string token = "Bearer " + signer("ES256").token(claims());
  EXPECT_TRUE(ask(*tokens, token));
  unix_ += 60 + kLeeway;
  EXPECT_EQ(ask(*tokens, token).error().message, "the token has expired") << "though remembered";
  EXPECT_FALSE(ask(*tokens, token, Area::kControl) && !tokens->open(Area::kControl));
}

TEST_F(AccessTest, ATokenOfARemovedKeyIsForgotten) {
  const Json one{{"keys", {signer("ES256").jwk("e")}}};
  const Json other{{"keys", {signer("EdDSA").jwk("d")}}};
  const auto tokens = guard({.jwks = write("jwks", one.dump())});
  const std::string token = "Bearer " + signer("ES256").token(claims());
  EXPECT_TRUE(ask(*tokens, token));
  write("jwks", other.dump());
  EXPECT_TRUE(tokens->refresh());
  EXPECT_EQ(ask(*tokens, token).error().message,
            "the token is not signed by a key that is trusted here");
}

TEST(Jwt, SaysWhatIsWrongWithAToken) {
  const KeySet keys = key_set();
  const Signer& ec = signer("ES256");
  const Signer stranger("ES256");
  const auto with = [](const char* name, const Json& value) {
    Json changed = claims();
    changed[name] = value;
    return changed;
  };
  const auto without = [](const char* name) {
    Json changed = claims();
    changed.erase(name);
    return changed;
  };
  const std::string good = ec.token(claims());
  const std::string untrusted = "the token is not signed by a key that is trusted here";
  const std::string algorithms =
      "the token's algorithm is not accepted; accepted: RS256, ES256, EdDSA";
  const std::string parts = "the token is no JSON Web Token of three parts and at most 8 KiB";
  const std::string subject = "the token has no subject (sub) of at most 256 bytes";
  const std::vector<std::pair<std::string, std::string>> cases{
      {good, ""},
      {ec.token(claims(), {{"kid", "e"}}), ""},
      {ec.token(with("aud", {"a", "podsense"})), ""},
      {ec.token(with("exp", kNow - kLeeway + 1)), ""},
      {ec.token(with("nbf", kNow + kLeeway)), ""},
      {ec.token(with("exp", kNow - kLeeway)), "the token has expired"},
      {ec.token(with("exp", 1e300)), ""},
      {ec.token(with("exp", "soon")), "the token has no expiry (exp)"},
      {ec.token(without("exp")), "the token has no expiry (exp)"},
      {ec.token(with("nbf", kNow + kLeeway + 1)), "the token is not valid yet"},
      {ec.token(with("iss", "https://evil.example")), "the token is not from the expected issuer"},
      {ec.token(without("iss")), "the token is not from the expected issuer"},
      {ec.token(with("aud", "other")), "the token is not for this service (aud)"},
      {ec.token(with("aud", Json::array())), "the token is not for this service (aud)"},
      {ec.token(without("aud")), "the token is not for this service (aud)"},
      {ec.token(without("sub")), subject},
      {ec.token(with("sub", std::string(257, 'a'))), subject},
      {ec.token(claims(), {{"kid", "r"}}), untrusted},
      {ec.token(claims(), {{"kid", "nobody"}}), untrusted},
      {ec.token(claims(), {{"alg", "none"}}), algorithms},
      {ec.token(claims(), {{"alg", "HS256"}}), algorithms},
      {ec.token(claims(), {{"alg", 5}}), algorithms},
      {ec.token(claims(), {{"crit", {"exp"}}}), algorithms},
      {ec.token(claims(), {{"alg", "RS256"}}), untrusted},
      {ec.token(claims(), {{"alg", "EdDSA"}}), untrusted},
      {stranger.token(claims()), untrusted},
      {good.substr(0, good.size() - 2), untrusted},
      {good.substr(0, good.rfind('.') + 1), untrusted},
      {good + "=", "the token cannot be decoded"},
      {"a.b.c", "the token cannot be decoded"},
      {good.substr(0, good.rfind('.')), parts},
      {good + ".x", parts},
      {"", parts},
      {std::string(kMaxToken, 'a') + ".b.c", parts},
  };
  for (const auto& [token, message] : cases) {
    const auto checked =
        verify_token(token, keys, {.issuer = "https://id.example", .audience = "podsense"}, kNow);
    EXPECT_EQ(checked ? "" : checked.error().message, message) << token;
  }
}

TEST(Jwt, AChangedClaimBreaksTheSignature) {
  const std::string good = signer("RS256").token(claims());
  const auto first = good.find('.');
  Json changed = claims();
  changed["sub"] = "root";
  const std::string forged =
      good.substr(0, first + 1) + base64url(changed.dump()) + good.substr(good.rfind('.'));
  EXPECT_EQ(verify_token(forged, key_set(), {}, kNow).error().message,
            "the token is not signed by a key that is trusted here");
}

TEST(Jwt, TellsWhatIsWrongWithAKeySet) {
  const auto fault = [](const Json& keys) {
    const auto set = KeySet::parse(Json{{"keys", keys}}.dump());
    return set ? "" : set.error().message;
  };
  EXPECT_EQ(KeySet::parse("[]").error().message, "not a JSON Web Key Set: {\"keys\": […]}");
  const std::string none =
      "no usable key; accepted: RSA (RS256), EC P-256 (ES256), OKP Ed25519 (EdDSA)";
  EXPECT_EQ(fault(Json::array()), none);
  EXPECT_EQ(fault({{{"kty", "oct"}, {"k", "AA"}}}), none);
  EXPECT_EQ(fault({5, "x"}), none);
  Json encryption = signer("ES256").jwk("e");
  encryption["use"] = "enc";
  EXPECT_EQ(fault(Json::array({encryption})), none);
  Json off_curve = signer("ES256").jwk("e");
  off_curve["y"] = off_curve["x"];
  EXPECT_EQ(fault(Json::array({off_curve})), "key 'e' (EC) is not a whole public key");
  EXPECT_EQ(fault(Json::array({Signer("RS256", 1024).jwk("small")})),
            "key 'small' (RSA) is not a whole public key of 2048 to 8192 bits");
  EXPECT_EQ(fault(Json::array({{{"kty", "OKP"}, {"crv", "Ed25519"}, {"kid", "d"}, {"x", "AAAA"}}})),
            "key 'd' (OKP) is not a whole public key");
}

TEST(Jwt, DecodesBase64UrlInOneWayOnly) {
  std::string out;
  for (const char* good : {"", "AA", "AAA", "AAAA", "-_-_"}) {
    EXPECT_TRUE(decode_base64url(good, out)) << good;
    EXPECT_EQ(base64url(out), good);
  }
  for (const char* bad : {"A", "AB", "AAAAA", "AA==", "A+A", "A/AA", "AA A"}) {
    EXPECT_FALSE(decode_base64url(bad, out)) << bad;
  }
}

TEST(Rate, RefillsUpToItsBurst) {
  ManualClock clock;
  Bucket bucket{.tokens = 2, .at = clock.now()};
  EXPECT_EQ(take(bucket, 10, 2, clock.now()), Duration::zero());
  EXPECT_EQ(take(bucket, 10, 2, clock.now()), Duration::zero());
  EXPECT_EQ(take(bucket, 10, 2, clock.now()), milliseconds(100));
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(take(bucket, 10, 2, clock.now()), Duration::zero());
  EXPECT_EQ(take(bucket, 10, 2, clock.now()), Duration::zero());
  EXPECT_NE(take(bucket, 10, 2, clock.now()), Duration::zero());
}

}  // namespace
}  // namespace podsense::access
