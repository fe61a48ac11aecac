#include "protocol/identity.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

#include "base/ascii.h"

namespace podsense::protocol {
namespace {

std::uint64_t random_bits() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return generator();
}

void append_hex(std::string& out, std::uint64_t bits) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  for (unsigned shift = 64; shift > 0; shift -= 4) {
    out += kHex[(bits >> (shift - 4)) & 15U];
  }
}

}  // namespace

std::string new_request_id() {
  std::string id;
  renew_request_id(id);
  return id;
}

void renew_request_id(std::string& id) {
  id.clear();
  id.reserve(32);
  append_hex(id, random_bits());
  append_hex(id, random_bits());
}

bool valid_request_id(std::string_view id) {
  static constexpr std::string_view kPunctuation = "._:/+=@-";
  return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, [](char c) {
    return ascii::is_alphanumeric(c) || kPunctuation.find(c) != std::string_view::npos;
  });
}

}  // namespace podsense::protocol
