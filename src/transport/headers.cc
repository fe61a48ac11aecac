#include "transport/headers.h"

#include <algorithm>

#include "base/ascii.h"

namespace podsense::transport {
namespace {

/// Memory kept between requests: enough for the heads of ordinary clients.
constexpr std::size_t kKeptText = 512;
constexpr std::size_t kKeptEntries = 16;

}  // namespace

Method method_of(std::string_view name) {
  if (name == "POST") {
    return Method::kPost;
  }
  if (name == "GET") {
    return Method::kGet;
  }
  if (name == "HEAD") {
    return Method::kHead;
  }
  if (name == "OPTIONS") {
    return Method::kOptions;
  }
  return name == "CONNECT" ? Method::kConnect : Method::kOther;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return ascii::equal_ignoring_case(a, b);
}

void Headers::clear() {
  text_.clear();
  entries_.clear();
  if (text_.capacity() > kKeptText) {
    text_.shrink_to_fit();
  }
  if (entries_.capacity() > kKeptEntries) {
    entries_.shrink_to_fit();
  }
}

void Headers::add(std::string_view name, std::string_view value) {
  if (text_.empty()) {
    text_.reserve(kKeptText);
    entries_.reserve(kKeptEntries);
  }
  entries_.push_back({.at = static_cast<std::uint32_t>(text_.size()),
                      .name_size = static_cast<std::uint32_t>(name.size()),
                      .value_size = static_cast<std::uint32_t>(value.size())});
  for (const char c : name) {
    text_ += ascii::lower(c);
  }
  text_ += value;
}

std::string_view Headers::get(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (name_of(entry) == name) {
      return value_of(entry);
    }
  }
  return {};
}

std::size_t Headers::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [&](const Entry& entry) { return name_of(entry) == name; }));
}

std::vector<std::string_view> Headers::list(std::string_view name) const {
  std::vector<std::string_view> elements;
  each(name, [&](std::string_view rest) {
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(','), rest.size());
      if (const auto element = ascii::trim(rest.substr(0, end)); !element.empty()) {
        elements.push_back(element);
      }
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  });
  return elements;
}

}  // namespace podsense::transport
