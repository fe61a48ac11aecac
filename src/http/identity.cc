#include "http/identity.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

namespace podsense::http {
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

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool all_zero(std::string_view text) {
  return text.find_first_not_of('0') == text.npos;
}

}  // namespace

std::string new_request_id() {
  std::string id;
  id.reserve(32);
  append_hex(id, random_bits());
  append_hex(id, random_bits());
  return id;
}

bool valid_request_id(std::string_view id) {
  static constexpr std::string_view kPunctuation = "._:/+=@-";
  return !id.empty() && id.size() <= 128 && std::ranges::all_of(id, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kPunctuation.find(c) != std::string_view::npos;
  });
}

std::string child_traceparent(std::string_view parent) {
  // version "-" trace-id "-" parent-id "-" flags; later versions may append "-…"
  if (parent.size() < 55 || parent[2] != '-' || parent[35] != '-' || parent[52] != '-') {
    return {};
  }
  const std::string_view version = parent.substr(0, 2);
  const std::string_view trace = parent.substr(3, 32);
  const std::string_view span = parent.substr(36, 16);
  const std::string_view flags = parent.substr(53, 2);
  const bool longer = parent.size() > 55;
  if (!is_hex(version) || version == "ff" || !is_hex(trace) || !is_hex(span) || !is_hex(flags) ||
      all_zero(trace) || all_zero(span) || (longer && (version == "00" || parent[55] != '-'))) {
    return {};
  }
  std::string child = "00-";
  child += trace;
  child += '-';
  append_hex(child, random_bits() | 1U);
  child += '-';
  child += flags;
  return child;
}

}  // namespace podsense::http
