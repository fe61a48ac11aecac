#include "protocol/oip_checks.h"

#include <algorithm>

#include "protocol/json_syntax.h"
#include "protocol/oip_codec.h"
#include "protocol/options.h"

namespace podsense::protocol {

std::string place_of(std::string_view list, std::size_t index) {
  return std::string(list) + '[' + std::to_string(index) + ']';
}

Result<void> check_length(const std::string& place, std::string_view text, std::size_t most) {
  if (text.size() > most) {
    return invalid(place + " is " + std::to_string(text.size()) + " bytes long; at most " +
                   std::to_string(most) + " are accepted");
  }
  return {};
}

tl::unexpected<Error> too_many_tensors(std::string_view list) {
  return invalid(std::string(list) + " holds more than " + std::to_string(kMaxTensors) +
                 " tensors");
}

tl::unexpected<Error> too_many_dimensions(const std::string& tensor) {
  return invalid(tensor + ".shape has more than " + std::to_string(kMaxDimensions) + " dimensions");
}

tl::unexpected<Error> without_name(const std::string& tensor) {
  return invalid(tensor + " has no name");
}

tl::unexpected<Error> in_shared_memory(const std::string& tensor) {
  return fail(ErrorCode::kUnimplemented,
              tensor +
                  ".parameters names a shared memory region, which is not offered; send the data "
                  "itself");
}

Result<void> check_parameter_name(const std::string& place, std::string_view name) {
  if (name.starts_with("triton_")) {
    return invalid(place + " is reserved; parameter names must not start with 'triton_'");
  }
  return {};
}

Result<DataType> read_data_type(const std::string& tensor, std::string_view name) {
  if (const auto type = data_type_of(name)) {
    return *type;
  }
  std::string accepted;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(DataType::kBytes); ++i) {
    accepted += (i == 0 ? "" : ", ");
    accepted += data_type_name(static_cast<DataType>(i));
  }
  return invalid(tensor + ".datatype is " + in_quotes(name) + "; accepted are: " + accepted);
}

Result<std::uint64_t> check_shape(const std::string& tensor, std::span<const std::int64_t> shape) {
  if (shape.size() > kMaxDimensions) {
    return too_many_dimensions(tensor);
  }
  if (const auto count = element_count(shape)) {
    return *count;
  }
  const auto negative = std::ranges::find_if(shape, [](std::int64_t d) { return d < 0; });
  if (negative != shape.end()) {
    const auto at = static_cast<std::size_t>(negative - shape.begin());
    return invalid(place_of(tensor + ".shape", at) + " is " + std::to_string(*negative) + "; " +
                   std::string(kCountRule));
  }
  return invalid(tensor + ".shape is " + shape_text(shape) + ", more than 2^40 elements");
}

std::string wrong_element_count(const std::string& place, std::optional<std::uint64_t> got,
                                std::uint64_t wanted, std::span<const std::int64_t> shape) {
  std::string message = place + " holds ";
  message += got ? std::to_string(*got) : "more than " + std::to_string(wanted);
  message += got.value_or(wanted) == 1 ? " element" : " elements";
  return message + "; the shape " + shape_text(shape) + " asks for " + std::to_string(wanted);
}

Result<void> check_binary_data(DataType type, std::uint64_t count,
                               std::span<const std::byte> data) {
  if (type == DataType::kBytes) {
    std::uint64_t found = 0;
    if (!for_each_text(data, [&](std::string_view) { ++found; })) {
      return invalid("ends inside its text " + std::to_string(found) +
                     "; each is 4 bytes of length, little-endian, and its bytes");
    }
    if (found != count) {
      return invalid("holds " + std::to_string(found) + " texts; its shape asks for " +
                     std::to_string(count));
    }
    return {};
  }
  if (data.size() != count * element_size(type)) {
    return invalid("has " + std::to_string(data.size()) + " bytes; its shape asks for " +
                   std::to_string(count) + " x " + std::to_string(element_size(type)));
  }
  if (type == DataType::kBool) {
    const auto wrong = std::ranges::find_if(data, [](std::byte b) { return b > std::byte{1}; });
    if (wrong != data.end()) {
      return invalid("has the byte " + std::to_string(std::to_integer<unsigned>(*wrong)) + " at " +
                     std::to_string(wrong - data.begin()) + "; BOOL is 0 or 1");
    }
  }
  return {};
}

Result<void> check_binary_data(const std::string& tensor, DataType type, std::uint64_t count,
                               std::span<const std::byte> data) {
  if (auto right = check_binary_data(type, count, data); !right) {
    return invalid("the binary data of " + tensor + ' ' + right.error().message);
  }
  return {};
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string out = "[";
  for (const std::int64_t dimension : shape) {
    out += (out.size() > 1 ? "," : "") + std::to_string(dimension);
  }
  return out + "]";
}

}  // namespace podsense::protocol
