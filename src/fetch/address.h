#pragma once

/// IP addresses as numbers, CIDRs, and the classification of addresses. Pure: resolves and opens
/// nothing.
/// @source IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates); cloud
/// metadata addresses from the providers' documentation

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace podsense::fetch {

/// An IPv6 address, or an IPv4 address in the low 32 bits of `low`, with `high` zero.
struct Address {
  bool v6 = false;
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  static constexpr Address v4(std::uint32_t value) {
    return {.v6 = false, .high = 0, .low = value};
  }
  /// Reads 4 or 16 bytes in network order; nothing: another length.
  static std::optional<Address> from_bytes(std::span<const std::uint8_t> bytes);
  /// Parses four decimal numbers, or RFC 4291 text without brackets and zone.
  static std::optional<Address> parse(std::string_view text);
  /// The canonical text (RFC 5952 for IPv6), without brackets.
  [[nodiscard]] std::string text() const;

  friend constexpr bool operator==(const Address&, const Address&) = default;
};

struct Cidr {
  Address base;
  unsigned length = 0;  ///< of the prefix in bits: 0..32 for IPv4, 0..128 for IPv6

  /// Parses "10.0.0.0/8" or "fd00::/8"; an address without a length is a CIDR of one address.
  /// @errors kInvalidArgument: not an address, length out of range, or bits set after the prefix
  static Result<Cidr> parse(std::string_view text);
  [[nodiscard]] constexpr bool contains(const Address& address) const;
  /// Whether it contains exactly one address.
  [[nodiscard]] constexpr bool single() const { return length == (base.v6 ? 128U : 32U); }
};

enum class AddressKind {
  kPublic,
  kMetadata,     ///< serves credentials of a cloud machine
  kUnspecified,  ///< 0.0.0.0/8 and ::, which reach this machine
  kLoopback,
  kPrivate,
  kShared,  ///< carrier-grade NAT
  kLinkLocal,
  kSiteLocal,
  kUniqueLocal,
  kMulticast,
  kBroadcast,
  kDocumentation,
  kBenchmarking,
  kReserved,
  kRelay,   ///< 6to4 relay anycast
  kOrchid,  ///< identifiers that are not routable
  kMapped,  ///< this and the following contain an IPv4 address
  kCompatible,
  kTranslated,
  kNat64,
  kLocalNat64,
  kTeredo,
  k6to4,
};

struct Classification {
  AddressKind kind = AddressKind::kPublic;
  /// The IPv4 address to which traffic is translated, if the address contains it.
  std::optional<Address> inner;
};

Classification classify(const Address& address);

/// A description with its article, for "the URL leads to ...": "a loopback address".
std::string_view describe(AddressKind kind);

constexpr bool Cidr::contains(const Address& address) const {
  if (address.v6 != base.v6) {
    return false;
  }
  const unsigned skipped = base.v6 ? 0U : 96U;  // IPv4 uses the last 32 of 128 bits
  const unsigned bits = length + skipped;
  const auto mask = [](unsigned count) -> std::uint64_t {
    return count == 0 ? 0 : ~std::uint64_t{0} << (64U - count);
  };
  const std::uint64_t high = mask(bits < 64U ? bits : 64U);
  const std::uint64_t low = mask(bits < 64U ? 0U : bits - 64U);
  return ((address.high ^ base.high) & high) == 0 && ((address.low ^ base.low) & low) == 0;
}

}  // namespace podsense::fetch
