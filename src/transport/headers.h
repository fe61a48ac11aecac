#pragma once

/// The headers and the method of a message, the same for every HTTP version.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace podsense::transport {

enum class Method : std::uint8_t { kGet, kHead, kPost, kOptions, kConnect, kOther };

/// Methods are case-sensitive, RFC 9110 9.1.
Method method_of(std::string_view name);

/// Whether two texts are equal if the case of ASCII letters is ignored.
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// Header fields in the order received, with lower-case names; a name may occur several times.
/// `clear` keeps the memory that ordinary requests need.
class Headers {
 public:
  void clear();
  /// Bytes of all names and values.
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  [[nodiscard]] std::size_t count() const { return entries_.size(); }
  void add(std::string_view name, std::string_view value);

  /// The first value of `name`, which must be in lower case; empty: none. Valid until the next
  /// `add`.
  [[nodiscard]] std::string_view get(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  /// Calls `visit` with each value of `name`.
  template <class Visit>
  void each(std::string_view name, const Visit& visit) const {
    for (const Entry& entry : entries_) {
      if (name_of(entry) == name) {
        visit(value_of(entry));
      }
    }
  }
  /// The list elements of all fields with this name, RFC 9110 5.6.1, without empty ones.
  [[nodiscard]] std::vector<std::string_view> list(std::string_view name) const;

 private:
  struct Entry {
    std::uint32_t at;  ///< of the name in `text_`; the value follows
    std::uint32_t name_size;
    std::uint32_t value_size;
  };
  [[nodiscard]] std::string_view name_of(const Entry& entry) const {
    return {text_.data() + entry.at, entry.name_size};
  }
  [[nodiscard]] std::string_view value_of(const Entry& entry) const {
    return {text_.data() + entry.at + entry.name_size, entry.value_size};
  }

  std::string text_;
  std::vector<Entry> entries_;
};

}  // namespace podsense::transport
