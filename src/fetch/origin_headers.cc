#include "fetch/origin_headers.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/ascii.h"

namespace podsense::fetch {
namespace {

constexpr std::size_t kMaxFile = std::size_t{64} << 10U;

// Headers that the connection itself sends.
constexpr auto kReserved = std::to_array<std::string_view>(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "user-agent"});

bool is_reserved(std::string_view name) {
  const auto same = [&](std::string_view reserved) {
    return ascii::equal_ignoring_case(name, reserved);
  };
  return std::ranges::any_of(kReserved, same);
}

Result<OriginHeader> read_line(std::string_view line, const UrlPolicy& policy) {
  const auto blank = line.find_first_of(ascii::kBlanks);
  const auto origin = line.substr(0, blank);
  const auto header = blank == std::string_view::npos ? "" : ascii::trim(line.substr(blank));
  const auto colon = header.find(':');
  const auto name = header.substr(0, colon);
  const auto value = colon == std::string_view::npos ? "" : ascii::trim(header.substr(colon + 1));
  if (!ascii::is_token(name) || value.empty() ||
      !std::ranges::all_of(value, [](unsigned char c) { return c >= 0x20 && c < 0x7F; })) {
    return fail(ErrorCode::kInvalidArgument,
                "it must be an origin, a name and a value: https://host Name: value");
  }
  if (is_reserved(name)) {
    return fail(ErrorCode::kInvalidArgument, std::string(name) + " cannot be set");
  }
  const auto url = policy.check_url(origin);
  if (!url) {
    return fail(url.error());
  }
  const auto scheme_end = origin.find("://");
  if (origin.find_first_of("/?#", scheme_end + 3) != std::string_view::npos) {
    return fail(ErrorCode::kInvalidArgument, "the origin must end with its host or port");
  }
  return OriginHeader{.origin = url->origin(),
                      .line = std::string(name).append(": ").append(value)};
}

}  // namespace

Result<std::vector<OriginHeader>> read_headers(const Options& options) {
  std::vector<OriginHeader> headers;
  if (options.headers_file.empty()) {
    return headers;
  }
  std::ifstream file(options.headers_file);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file.good() || content.view().size() > kMaxFile) {
    return fail(ErrorCode::kInvalidArgument, "cannot be read, is empty, or is over 64 KiB");
  }
  const auto policy = UrlPolicy::create(options);
  if (!policy) {
    return fail(policy.error());
  }
  const std::string text = std::move(content).str();
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = ascii::trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    auto header = read_line(line, *policy);
    if (!header) {
      return fail(ErrorCode::kInvalidArgument,
                  "line " + std::to_string(number) + ": " + header.error().message);
    }
    headers.push_back(*std::move(header));
  }
  return headers;
}

}  // namespace podsense::fetch
