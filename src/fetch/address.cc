#include "fetch/address.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstddef>

namespace podsense::fetch {
namespace {

using enum AddressKind;

struct Range {
  Cidr cidr;
  AddressKind kind;
};

constexpr Cidr v4(unsigned a, unsigned b, unsigned c, unsigned d, unsigned length) {
  return {.base = Address::v4(a << 24U | b << 16U | c << 8U | d), .length = length};
}

constexpr Cidr v6(std::uint64_t high, std::uint64_t low, unsigned length) {
  return {.base = {.v6 = true, .high = high, .low = low}, .length = length};
}

// The first row that contains an address decides, so narrower ranges come first.
constexpr auto kRanges4 = std::to_array<Range>({
    {v4(169, 254, 169, 254, 32), kMetadata},  // most clouds
    {v4(169, 254, 170, 2, 32), kMetadata},    // AWS ECS task credentials
    {v4(169, 254, 170, 23, 32), kMetadata},   // AWS EKS pod identity
    {v4(168, 63, 129, 16, 32), kMetadata},    // Azure platform
    {v4(100, 100, 100, 200, 32), kMetadata},  // Alibaba
    {v4(192, 0, 0, 192, 32), kMetadata},      // Oracle
    {v4(0, 0, 0, 0, 8), kUnspecified},         {v4(10, 0, 0, 0, 8), kPrivate},
    {v4(100, 64, 0, 0, 10), kShared},          {v4(127, 0, 0, 0, 8), kLoopback},
    {v4(169, 254, 0, 0, 16), kLinkLocal},      {v4(172, 16, 0, 0, 12), kPrivate},
    {v4(192, 0, 0, 0, 24), kReserved},  // IETF protocol assignments
    {v4(192, 0, 2, 0, 24), kDocumentation},    {v4(192, 88, 99, 0, 24), kRelay},
    {v4(192, 168, 0, 0, 16), kPrivate},        {v4(198, 18, 0, 0, 15), kBenchmarking},
    {v4(198, 51, 100, 0, 24), kDocumentation}, {v4(203, 0, 113, 0, 24), kDocumentation},
    {v4(255, 255, 255, 255, 32), kBroadcast},  {v4(224, 0, 0, 0, 4), kMulticast},
    {v4(240, 0, 0, 0, 4), kReserved},
});

constexpr auto kRanges6 = std::to_array<Range>({
    {v6(0xfd000ec200000000, 0x0254, 128), kMetadata},  // AWS instance metadata
    {v6(0xfd000ec200000000, 0x0023, 128), kMetadata},  // AWS EKS pod identity
    {v6(0xfd2000ce00000000, 0x0254, 128), kMetadata},  // Google Compute Engine
    {v6(0, 0, 128), kUnspecified},
    {v6(0, 1, 128), kLoopback},
    {v6(0, 0x0000ffff00000000, 96), kMapped},
    {v6(0, 0xffff000000000000, 96), kTranslated},  // ::ffff:0:a.b.c.d, RFC 2765
    {v6(0, 0, 96), kCompatible},
    {v6(0x0064ff9b00000000, 0, 96), kNat64},
    {v6(0x0064ff9b00010000, 0, 48), kLocalNat64},
    {v6(0x2001000000000000, 0, 32), kTeredo},
    {v6(0x2001000200000000, 0, 48), kBenchmarking},
    {v6(0x2001001000000000, 0, 28), kOrchid},
    {v6(0x2001002000000000, 0, 28), kOrchid},
    {v6(0x2001000000000000, 0, 23), kReserved},  // IETF protocol assignments
    {v6(0x20010db800000000, 0, 32), kDocumentation},
    {v6(0x2002000000000000, 0, 16), k6to4},
    {v6(0x3fff000000000000, 0, 20), kDocumentation},
    {v6(0x2000000000000000, 0, 3), kPublic},  // the only allocated block of global unicast
    {v6(0xfc00000000000000, 0, 7), kUniqueLocal},
    {v6(0xfe80000000000000, 0, 10), kLinkLocal},
    {v6(0xfec0000000000000, 0, 10), kSiteLocal},
    {v6(0xff00000000000000, 0, 8), kMulticast},
    {v6(0, 0, 0), kReserved},
});

std::optional<Address> inner_address(const Address& address, AddressKind kind) {
  const auto low = static_cast<std::uint32_t>(address.low);
  switch (kind) {
    case kMapped:
    case kCompatible:
    case kTranslated:
    case kNat64:
      return Address::v4(low);
    case k6to4:
      return Address::v4(static_cast<std::uint32_t>(address.high >> 16U));
    case kTeredo:
      return Address::v4(~low);  // RFC 4380: the client's address, every bit flipped
    default:
      return std::nullopt;  // local NAT64: the position of the address depends on the site
  }
}

Result<unsigned> parse_length(std::string_view text, unsigned max) {
  unsigned length = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (code != std::errc() || end != text.data() + text.size() || length > max) {
    return fail(ErrorCode::kInvalidArgument,
                "the prefix length is not a number from 0 to " + std::to_string(max));
  }
  return length;
}

}  // namespace

std::optional<Address> Address::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) {
    return std::nullopt;
  }
  Address address{.v6 = bytes.size() == 16};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto& half = address.v6 && i < 8 ? address.high : address.low;
    half = half << 8U | bytes[i];
  }
  return address;
}

std::optional<Address> Address::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> copy{};  // inet_pton needs a terminating zero
  if (text.size() >= copy.size() || text.contains('\0')) {
    return std::nullopt;
  }
  text.copy(copy.data(), text.size());
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, copy.data(), bytes.data()) == 1) {
    return from_bytes(std::span(bytes).first<4>());
  }
  if (inet_pton(AF_INET6, copy.data(), bytes.data()) == 1) {
    return from_bytes(bytes);
  }
  return std::nullopt;
}

std::string Address::text() const {
  std::array<std::uint8_t, 16> bytes{};
  for (unsigned i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (56U - 8U * i));
    bytes[8 + i] = static_cast<std::uint8_t>(low >> (56U - 8U * i));
  }
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(v6 ? AF_INET6 : AF_INET, v6 ? bytes.data() : bytes.data() + 12, buffer.data(),
            static_cast<socklen_t>(buffer.size()));
  return buffer.data();
}

Result<Cidr> Cidr::parse(std::string_view text) {
  const std::string quoted = "'" + std::string(text) + "'";
  const auto slash = text.find('/');
  const auto address = Address::parse(text.substr(0, slash));
  if (!address) {
    return fail(ErrorCode::kInvalidArgument,
                quoted + " is not a CIDR; write it like 10.0.0.0/8 or fd00::/8");
  }
  Cidr cidr{.base = *address, .length = address->v6 ? 128U : 32U};
  if (slash != std::string_view::npos) {
    const auto length = parse_length(text.substr(slash + 1), cidr.length);
    if (!length) {
      return fail(ErrorCode::kInvalidArgument, quoted + ": " + length.error().message);
    }
    cidr.length = *length;
  }
  // Bits after the prefix must be zero: 10.1.2.3/8 is probably a mistake.
  const unsigned total = address->v6 ? 128U : 32U;
  Address cleared = *address;
  const unsigned spare = total - cidr.length;
  cleared.low = spare >= 64 ? 0 : cleared.low >> spare << spare;
  cleared.high = spare <= 64    ? cleared.high
                 : spare == 128 ? 0
                                : cleared.high >> (spare - 64) << (spare - 64);
  if (cleared != *address) {
    return fail(ErrorCode::kInvalidArgument,
                quoted + " has bits set after its prefix; the network is " + cleared.text() + "/" +
                    std::to_string(cidr.length));
  }
  return cidr;
}

Classification classify(const Address& address) {
  const auto ranges =
      address.v6 ? std::span<const Range>(kRanges6) : std::span<const Range>(kRanges4);
  for (const Range& range : ranges) {
    if (range.cidr.contains(address)) {
      return {.kind = range.kind, .inner = inner_address(address, range.kind)};
    }
  }
  return {};
}

std::string_view describe(AddressKind kind) {
  switch (kind) {
    case kPublic:
      return "a public address";
    case kMetadata:
      return "a cloud metadata address";
    case kUnspecified:
      return "an unspecified address";
    case kLoopback:
      return "a loopback address";
    case kPrivate:
      return "a private address";
    case kShared:
      return "a shared (carrier-grade NAT) address";
    case kLinkLocal:
      return "a link-local address";
    case kSiteLocal:
      return "a site-local address";
    case kUniqueLocal:
      return "a unique-local address";
    case kMulticast:
      return "a multicast address";
    case kBroadcast:
      return "a broadcast address";
    case kDocumentation:
      return "a documentation address";
    case kBenchmarking:
      return "a benchmarking address";
    case kReserved:
      return "a reserved address";
    case kRelay:
      return "a 6to4 relay address";
    case kOrchid:
      return "an ORCHID address";
    case kMapped:
      return "an IPv4-mapped IPv6 address";
    case kCompatible:
      return "an IPv4-compatible IPv6 address";
    case kTranslated:
      return "an IPv4-translated IPv6 address";
    case kNat64:
      return "a NAT64 address";
    case kLocalNat64:
      return "a local NAT64 address";
    case kTeredo:
      return "a Teredo address";
    case k6to4:
      return "a 6to4 address";
  }
  return "an unknown address";
}

}  // namespace podsense::fetch
