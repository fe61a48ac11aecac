#include "access/access.h"

#include <chrono>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "access/jwt.h"
#include "access/keys.h"
#include "access/rate.h"
#include "base/ascii.h"
#include "base/mutex.h"

namespace podsense::access {
namespace {

/// The maximum number of remembered tokens with a valid signature.
constexpr std::size_t kRemembered = 4096;
/// The maximum number of names with a bucket; above it, full buckets are removed.
constexpr std::size_t kMaxBuckets = 65'536;

struct DigestHash {
  std::size_t operator()(const Digest& digest) const {
    std::size_t first = 0;
    for (std::size_t i = 0; i < sizeof(first); ++i) {
      first = first << 8U | digest[i];
    }
    return first;
  }
};

/// The contents of the files, immutable once read.
struct Secrets {
  std::optional<Keys> api_keys;
  std::optional<Keys> control;
  std::optional<KeySet> jwks;
};

Result<std::optional<Keys>> read_keys(const std::filesystem::path& path) {
  if (path.empty()) {
    return std::nullopt;
  }
  return Keys::read(path).map([](Keys keys) { return std::optional(std::move(keys)); });
}

Result<std::optional<KeySet>> read_jwks(const std::filesystem::path& path) {
  if (path.empty()) {
    return std::nullopt;
  }
  const auto text = read_small_file(path);
  if (!text) {
    return fail(text.error());
  }
  auto set = KeySet::parse(*text);
  if (!set) {
    return fail(ErrorCode::kInvalidArgument, path.string() + ": " + set.error().message);
  }
  return std::optional(std::move(*set));
}

Result<std::shared_ptr<const Secrets>> read_secrets(const Options& options) {
  auto secrets = std::make_shared<Secrets>();
  auto keys = read_keys(options.api_keys);
  auto control = read_keys(options.control_tokens);
  auto jwks = read_jwks(options.jwks);
  for (const Error* error : {keys ? nullptr : &keys.error(), control ? nullptr : &control.error(),
                             jwks ? nullptr : &jwks.error()}) {
    if (error != nullptr) {
      return fail(*error);
    }
  }
  secrets->api_keys = std::move(*keys);
  secrets->control = std::move(*control);
  secrets->jwks = std::move(*jwks);
  return secrets;
}

/// The scheme's name is case-insensitive (RFC 9110 11.1).
std::optional<std::string_view> bearer(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (!ascii::equal_ignoring_case(header.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  header.remove_prefix(kScheme.size());
  const auto first = header.find_first_not_of(' ');
  return first == std::string_view::npos ? std::nullopt : std::optional(header.substr(first));
}

class FileGuard final : public Guard {
 public:
  FileGuard(Options options, UnixTime unix_time, std::shared_ptr<const Secrets> secrets)
      : options_(std::move(options)),
        unix_time_(std::move(unix_time)),
        seen_(fingerprints()),
        secrets_(std::move(secrets)) {
    if (options_.burst <= 0) {
      options_.burst = std::max(1.0, options_.rate);
    }
  }

  Result<Name> admit(Area area, const Credentials& credentials, TimePoint now) override {
    if (open(area)) {
      return Name();
    }
    const bool failed_often = has_failed_often(credentials.address, now);
    auto name = identify(area, credentials, failed_often);
    if (!name) {
      return fail(count_failure(std::move(name.error()), credentials, now));
    }
    if (area == Area::kControl || options_.rate <= 0) {
      return name;
    }
    const MutexLock lock(mutex_);
    const Duration wait = take(bucket_of(*name, now), options_.rate, options_.burst, now);
    if (wait == Duration::zero()) {
      return name;
    }
    Error error{.code = ErrorCode::kRateLimited, .message = "too many requests with this key"};
    error.retry_after = std::chrono::ceil<std::chrono::milliseconds>(wait);
    return fail(std::move(error));
  }

  [[nodiscard]] bool open(Area area) const override {
    return area == Area::kControl ? options_.control_tokens.empty()
                                  : options_.api_keys.empty() && options_.jwks.empty();
  }

  Result<bool> refresh() override {
    std::string now = fingerprints();
    {
      const MutexLock lock(mutex_);
      if (now == seen_) {
        return false;
      }
    }
    auto secrets = read_secrets(options_);
    if (secrets && fingerprints() != now) {
      return false;  // files changed while they were read: retry next time
    }
    const MutexLock lock(mutex_);
    seen_ = std::move(now);
    if (!secrets) {
      fault_ = secrets.error().message;
      return fail(std::move(secrets.error()));
    }
    fault_.clear();
    secrets_ = std::move(*secrets);
    good_tokens_.clear();
    return true;
  }

  [[nodiscard]] std::string fault() const override {
    const MutexLock lock(mutex_);
    return fault_;
  }

 private:
  struct Remembered {
    std::string subject;
    std::int64_t expires = 0;
  };

  [[nodiscard]] std::string fingerprints() const {
    std::string all;
    for (const auto* path : {&options_.api_keys, &options_.control_tokens, &options_.jwks}) {
      all += path->empty() ? "" : fingerprint(*path);
      all += '\n';
    }
    return all;
  }

  [[nodiscard]] std::shared_ptr<const Secrets> secrets() {
    const MutexLock lock(mutex_);
    return secrets_;
  }

  static constexpr double kFailureRate =
      1 / std::chrono::duration<double>(kFailureInterval).count();

  [[nodiscard]] bool has_failed_often(std::string_view address, TimePoint now) {
    const MutexLock lock(mutex_);
    if (failures_.empty()) {
      return false;
    }
    const auto found = failures_.find(address);
    if (found == failures_.end()) {
      return false;
    }
    Bucket left = found->second;
    return take(left, kFailureRate, kFailures, now) > Duration::zero();
  }

  /// Counts a failed attempt; a request without credentials is not one. Over the limit the answer
  /// says when to retry, instead of what is wrong.
  Error count_failure(Error error, const Credentials& credentials, TimePoint now) {
    if (credentials.address.empty() ||
        (credentials.authorization.empty() && credentials.api_key.empty())) {
      return error;
    }
    const MutexLock lock(mutex_);
    if (failures_.size() >= kMaxBuckets && !failures_.contains(credentials.address)) {
      const Duration full = kFailureInterval * static_cast<int>(kFailures);
      std::erase_if(failures_, [&](const auto& entry) { return now - entry.second.at >= full; });
    }
    Bucket& bucket =
        failures_
            .try_emplace(std::string(credentials.address), Bucket{.tokens = kFailures, .at = now})
            .first->second;
    const Duration wait = take(bucket, kFailureRate, kFailures, now);
    if (wait == Duration::zero()) {
      return error;
    }
    Error later{.code = ErrorCode::kRateLimited,
                .message = "too many wrong credentials from this address"};
    later.retry_after = std::chrono::ceil<std::chrono::milliseconds>(wait);
    return later;
  }

  /// `cheap`: skip checks that cost CPU time, such as signatures.
  Result<Name> identify(Area area, const Credentials& credentials, bool cheap) {
    const auto token = bearer(credentials.authorization);
    if (!token && credentials.api_key.empty()) {
      return fail(ErrorCode::kUnauthenticated,
                  credentials.authorization.empty()
                      ? "credentials are needed: send 'Authorization: Bearer …' or 'X-Api-Key: …'"
                      : "Authorization takes the scheme Bearer");
    }
    const auto now = secrets();
    const std::string_view presented = token ? *token : credentials.api_key;
    const auto& keys = area == Area::kControl ? now->control : now->api_keys;
    const std::string_view name = keys ? keys->find(presented) : "";
    if (!name.empty()) {
      return "key:" + std::string(name);
    }
    if (area == Area::kInference && now->jwks && presented.find('.') != std::string_view::npos) {
      return identify_token(*now->jwks, presented, cheap);
    }
    return fail(ErrorCode::kUnauthenticated, "the key is not known here");
  }

  Result<Name> identify_token(const KeySet& keys, std::string_view token, bool cheap) {
    const std::int64_t now = unix_time_();
    const Digest digest = digest_of(token);
    {
      const MutexLock lock(mutex_);
      const auto known = good_tokens_.find(digest);
      if (known != good_tokens_.end() && now < known->second.expires) {
        return "jwt:" + known->second.subject;
      }
    }
    if (cheap) {
      return fail(ErrorCode::kUnauthenticated, "the token is not known here");
    }
    auto claims =
        verify_token(token, keys, {.issuer = options_.issuer, .audience = options_.audience}, now);
    if (!claims) {
      return fail(std::move(claims.error()));
    }
    const MutexLock lock(mutex_);
    if (good_tokens_.size() >= kRemembered) {
      good_tokens_.clear();
    }
    good_tokens_[digest] = {.subject = claims->subject, .expires = claims->expires};
    return "jwt:" + claims->subject;
  }

  Bucket& bucket_of(const std::string& name, TimePoint now) REQUIRES(mutex_) {
    if (buckets_.size() >= kMaxBuckets && !buckets_.contains(name)) {
      const Duration full = from_seconds(options_.burst / options_.rate);
      std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.at >= full; });
    }
    return buckets_.try_emplace(name, Bucket{.tokens = options_.burst, .at = now}).first->second;
  }

  Options options_;
  const UnixTime unix_time_;
  mutable Mutex mutex_;
  std::string seen_ GUARDED_BY(mutex_);
  std::string fault_ GUARDED_BY(mutex_);
  std::shared_ptr<const Secrets> secrets_ GUARDED_BY(mutex_);
  std::unordered_map<Digest, Remembered, DigestHash> good_tokens_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, Bucket> buckets_ GUARDED_BY(mutex_);
  std::map<std::string, Bucket, std::less<>> failures_ GUARDED_BY(mutex_);  ///< by address
};

}  // namespace

Guard::UnixTime Guard::system_time() {
  return [] {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
}

Result<std::unique_ptr<Guard>> Guard::create(Options options, UnixTime unix_time) {
  auto secrets = read_secrets(options);
  if (!secrets) {
    return fail(std::move(secrets.error()));
  }
  return std::make_unique<FileGuard>(std::move(options), std::move(unix_time), std::move(*secrets));
}

}  // namespace podsense::access
