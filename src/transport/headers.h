#pragma once

/// The fields of a message's head, and its method, the same for every version of HTTP.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace podsense::transport {

enum class Method : std::uint8_t { kGet, kHead, kPost, kOptions, kConnect, kOther };

/// Methods are case-sensitive, RFC 9110 9.1.
Method method_of(std::string_view name);

/// Whether two texts are the same but for the case of ASCII letters.
bool equals_ignoring_case(std::string_view a, std::string_view b);

/// Names in lower case, in the order in which they came; a name may come several times.
/// Keeps its memory when it is cleared, up to what ordinary requests need.
class Headers {
 public:
  void clear();
  /// Bytes of all names and values.
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  [[nodiscard]] std::size_t count() const { return entries_.size(); }
  void add(std::string_view name, std::string_view value);

  /// The first value of `name`, which is in lower case; empty: there is none. Valid until the next
  /// `add`.
  [[nodiscard]] std::string_view get(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
  /// All values of `name`, one after the other.
  template <class Visit>
  void each(std::string_view name, const Visit& visit) const {
    for (const Entry& entry : entries_) {
      if (name_of(entry) == name) {
        visit(value_of(entry));
      }
    }
  }
  /// The elements of all lines with this name, RFC 9110 5.6.1; empty ones do not count.
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
