#pragma once

/// Checks of tensors for all codecs, with their error messages. REST and gRPC name fields alike
/// (`inputs[2].shape`), so the same fault has the same message in both.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/data_type.h"
#include "base/error.h"

namespace podsense::protocol {

/// Maximum bytes of a tensor's name. Errors contain it, and gRPC sends errors as metadata, of which
/// clients accept 8 KiB.
inline constexpr std::size_t kMaxTensorName = 512;
inline constexpr std::size_t kMaxRequestId = 1024;  ///< bytes
inline constexpr std::string_view kStringRule = "it must be a string";
inline constexpr std::string_view kBoolRule = "it must be true or false";
inline constexpr std::string_view kCountRule = "it must be an integer, 0 or more";

/// of `classification`; larger values mean all
inline constexpr std::uint64_t kMaxClasses = 1'000'000;

/// The parameter `timeout` in microseconds. 0, or more than an hour: no limit.
constexpr std::optional<Duration> client_timeout(std::uint64_t microseconds) {
  constexpr std::uint64_t kMost = 3'600'000'000;
  if (microseconds == 0) {
    return std::nullopt;
  }
  return std::chrono::microseconds(microseconds < kMost ? microseconds : kMost);
}

/// `inputs[2]`
std::string place_of(std::string_view list, std::size_t index);

/// @errors kInvalidArgument: more than `most` bytes
Result<void> check_length(const std::string& place, std::string_view text, std::size_t most);
tl::unexpected<Error> too_many_tensors(std::string_view list);
tl::unexpected<Error> too_many_dimensions(const std::string& tensor);
tl::unexpected<Error> without_name(const std::string& tensor);
tl::unexpected<Error> in_shared_memory(const std::string& tensor);
/// @errors kInvalidArgument: the name is reserved
Result<void> check_parameter_name(const std::string& place, std::string_view name);

/// @errors kInvalidArgument: unknown; the message lists the accepted ones
Result<DataType> read_data_type(const std::string& tensor, std::string_view name);

/// The number of elements of the shape.
/// @errors kInvalidArgument: too many dimensions, one below 0, or more than 2^40 elements
Result<std::uint64_t> check_shape(const std::string& tensor, std::span<const std::int64_t> shape);

/// The message for a wrong number of elements. Without `got`: too many to count.
std::string wrong_element_count(const std::string& place, std::optional<std::uint64_t> got,
                                std::uint64_t wanted, std::span<const std::int64_t> shape);

/// `it must be an integer from 0 to 255 (UINT8)`
template <class Integer>
std::string integer_rule(DataType type) {
  return "it must be an integer from " + std::to_string(+std::numeric_limits<Integer>::min()) +
         " to " + std::to_string(+std::numeric_limits<Integer>::max()) + " (" +
         std::string(data_type_name(type)) + ")";
}

/// Checks that BYTES data contains exactly `count` complete texts, BOOL data only 0 and 1, and that
/// data of other types has the right size.
/// @errors kInvalidArgument; the caller puts the name of the data in front of its message
Result<void> check_binary_data(DataType type, std::uint64_t count, std::span<const std::byte> data);
/// The same for a tensor; the message starts with `the binary data of inputs[0] has …`.
Result<void> check_binary_data(const std::string& tensor, DataType type, std::uint64_t count,
                               std::span<const std::byte> data);

/// `[1,3,224]`
std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace podsense::protocol
