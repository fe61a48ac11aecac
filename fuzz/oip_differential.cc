// One random tensor request in every form that clients use: JSON, JSON with binary data, protobuf
// with typed and with raw contents. What our codecs make of them, or the sentence they refuse them
// with, has to be the same, and so has an answer that is written in all forms and read back.

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "grpc/oip_forms_testing.h"

namespace {

namespace forms = podsense::grpc::forms;
namespace protocol = podsense::protocol;
using podsense::DataType;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

/// Values out of the fuzzer's bytes; zeros when they are used up.
class Bytes {
 public:
  explicit Bytes(std::span<const std::uint8_t> data) : data_(data) {}

  template <class Value>
  Value take() {
    Value value{};
    const std::size_t size = std::min(sizeof value, data_.size());
    if (size > 0) {
      std::memcpy(&value, data_.data(), size);
      data_ = data_.subspan(size);
    }
    return value;
  }
  unsigned below(unsigned limit) { return take<std::uint8_t>() % limit; }

  std::string text(std::size_t most) {
    const std::size_t size =
        std::min<std::size_t>(below(static_cast<unsigned>(most)), data_.size());
    std::string out(size, '\0');
    for (char& c : out) {
      c = static_cast<char>(take<std::uint8_t>() &
                            0x7FU);  // JSON holds no bytes that are not UTF-8
    }
    return out;
  }

 private:
  std::span<const std::uint8_t> data_;
};

/// Faults that were put in: with more than one, which is named first may differ.
struct Faults {
  unsigned all = 0;
  unsigned only_values = 0;  ///< that binary data cannot hold
  unsigned only_bytes = 0;   ///< that only binary data can hold
};

std::vector<std::int64_t> make_shape(Bytes& bytes, Faults& faults) {
  std::vector<std::int64_t> shape(bytes.below(4));
  for (std::int64_t& dimension : shape) {
    dimension = bytes.below(4);
  }
  const unsigned odd = bytes.below(16);
  if (odd < 3 && !shape.empty()) {
    shape.back() = odd == 0   ? -1 - bytes.take<std::uint16_t>()
                   : odd == 1 ? std::int64_t{1} << 41U
                              : std::int64_t{1} << 40U;
    faults.all += shape.front() == 0 && odd != 0 ? 0 : 1;
  }
  return shape;
}

void add_element(Bytes& bytes, forms::Tensor& tensor, DataType type, Faults& faults) {
  const auto integer = [&](std::int64_t low, std::int64_t high, std::int64_t value) {
    faults.only_values += value < low || value > high ? 1 : 0;
    return value;
  };
  switch (type) {
    case DataType::kBool:
      tensor.naturals.push_back(bytes.below(2));
      return;
    case DataType::kUint8:
      tensor.naturals.push_back(
          static_cast<std::uint64_t>(integer(0, 255, bytes.take<std::uint32_t>() % 260)));
      return;
    case DataType::kUint16:
      tensor.naturals.push_back(
          static_cast<std::uint64_t>(integer(0, 65535, bytes.take<std::uint32_t>() % 65600)));
      return;
    case DataType::kUint32:
      tensor.naturals.push_back(bytes.take<std::uint32_t>());
      return;
    case DataType::kUint64:
      tensor.naturals.push_back(bytes.take<std::uint64_t>());
      return;
    case DataType::kInt8:
      tensor.integers.push_back(integer(-128, 127, bytes.take<std::int16_t>() % 130));
      return;
    case DataType::kInt16:
      tensor.integers.push_back(integer(-32768, 32767, bytes.take<std::int32_t>() % 32800));
      return;
    case DataType::kInt32:
      tensor.integers.push_back(bytes.take<std::int32_t>());
      return;
    case DataType::kInt64:
      tensor.integers.push_back(bytes.take<std::int64_t>());
      return;
    case DataType::kFp32: {
      const auto value = std::bit_cast<float>(bytes.take<std::uint32_t>());
      tensor.reals.push_back(std::isfinite(value) ? value : 0.5F);
      return;
    }
    case DataType::kFp64: {
      const auto value = std::bit_cast<double>(bytes.take<std::uint64_t>());
      tensor.reals.push_back(std::isfinite(value) ? value : 0.5);
      return;
    }
    case DataType::kBytes:
      tensor.texts.push_back(bytes.text(12));
      return;
    case DataType::kFp16:
    case DataType::kBf16:
      for (int i = 0; i < 2; ++i) {
        tensor.halves += static_cast<char>(bytes.take<std::uint8_t>());
      }
      return;
  }
}

forms::Tensor make_tensor(Bytes& bytes, Faults& faults) {
  constexpr unsigned kTypes = static_cast<unsigned>(DataType::kBytes) + 1;
  const auto type = static_cast<DataType>(bytes.below(kTypes));
  forms::Tensor tensor;
  tensor.name = "n" + bytes.text(8);
  tensor.datatype = data_type_name(type);
  tensor.shape = make_shape(bytes, faults);
  const auto count = std::min<std::uint64_t>(protocol::element_count(tensor.shape).value_or(1), 64);
  const unsigned odd = bytes.below(16);
  const std::uint64_t given = odd == 0 ? count + 1 : odd == 1 && count > 0 ? count - 1 : count;
  faults.all += given == count ? 0 : 1;
  for (std::uint64_t i = 0; i < given; ++i) {
    add_element(bytes, tensor, type, faults);
  }
  if (bytes.below(16) == 0) {
    tensor.cut = 1;
    ++faults.only_bytes;
  }
  if (bytes.below(16) == 0) {
    tensor.surplus = bytes.text(9);
    ++faults.only_bytes;
  }
  if (bytes.below(32) == 0) {
    tensor.datatype += bytes.text(4);
    ++faults.all;
  }
  return tensor;
}

forms::Request make_request(Bytes& bytes, Faults& faults) {
  forms::Request request;
  request.id = bytes.text(20);
  if (bytes.below(4) == 0) {
    request.timeout = bytes.take<std::int64_t>();
    faults.all += *request.timeout < 0 ? 1 : 0;
  }
  if (bytes.below(4) == 0) {
    request.priority = bytes.take<std::int16_t>();
    faults.all += *request.priority < 0 ? 1 : 0;
  }
  request.inputs.resize(bytes.below(4));
  for (forms::Tensor& tensor : request.inputs) {
    tensor = make_tensor(bytes, faults);
  }
  request.outputs.resize(bytes.below(3));
  for (forms::Output& output : request.outputs) {
    output.name = bytes.text(6);
    if (bytes.below(2) == 0) {
      output.classification = bytes.take<std::int32_t>();
    }
    faults.all += output.name.empty() ? 1 : 0;
    faults.all += output.classification.value_or(0) < 0 ? 1 : 0;
  }
  return request;
}

bool is_refused(std::string_view meaning) {
  return meaning.starts_with("refused: ");
}

/// Two forms agree: the same, or, where several faults were put in, both refused.
void check_pair(const std::string& a, const std::string& b, unsigned faults) {
  require(faults > 1 ? is_refused(a) == is_refused(b) : a == b);
}

void check_answer(const forms::Tensor& tensor) {
  const auto type = podsense::data_type_of(tensor.datatype);
  const std::string data = forms::packed(tensor);
  if (!type || forms::is_half(tensor)) {
    return;
  }
  protocol::InferAnswer answer;
  answer.outputs.push_back({.name = "y",
                            .type = *type,
                            .shape = tensor.shape,
                            .data = std::as_bytes(std::span(data)),
                            .binary_data = {}});
  const std::string said = forms::meaning_of_message(answer);
  for (const bool binary : {false, true}) {
    answer.binary_data_output = binary;
    const auto body = protocol::write_oip_answer(answer);
    require(body.has_value());
    require(forms::meaning_of_body(*body) == said);
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool kSilent = [] {
    google::protobuf::SetLogHandler(nullptr);
    return true;
  }();
  static_cast<void>(kSilent);
  Bytes bytes({data, size});
  Faults faults;
  const forms::Request request = make_request(bytes, faults);
  const forms::Meanings all = forms::meanings(request);
  const bool has_halves = std::ranges::any_of(request.inputs, forms::is_half);
  if (!has_halves) {
    check_pair(all.json, all.typed, faults.all + faults.only_values);
  }
  check_pair(all.binary, all.raw, faults.all + faults.only_bytes);
  if (faults.all + faults.only_values + faults.only_bytes > 0) {
    return 0;
  }
  if (!has_halves) {
    require(all.json == all.binary && !is_refused(all.json));
  }
  for (const forms::Tensor& tensor : request.inputs) {
    check_answer(tensor);
  }
  return 0;
}
