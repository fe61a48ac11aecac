// Bytes → ModelInferRequest → InferRequest. What is taken must fit its own shape and type, and what
// is refused must say so in a sentence.

#include <google/protobuf/stubs/logging.h>
#include <inference/grpc_service.pb.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/data_type.h"
#include "grpc/oip_codec.h"

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void check(const podsense::protocol::InputTensor& tensor) {
  const auto count = podsense::protocol::element_count(tensor.shape);
  require(count.has_value());
  if (tensor.type == podsense::DataType::kBytes) {
    std::uint64_t texts = 0;
    require(podsense::for_each_text(tensor.data, [&texts](std::string_view) { ++texts; }));
    require(texts == *count);
    return;
  }
  require(tensor.data.size() == *count * podsense::element_size(tensor.type));
  if (tensor.type == podsense::DataType::kBool) {
    for (const std::byte b : tensor.data) {
      require(b <= std::byte{1});
    }
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
  inference::ModelInferRequest message;
  if (!message.ParseFromArray(data, static_cast<int>(size))) {
    return 0;
  }
  const auto request = podsense::grpc::read_infer(message);
  if (!request) {
    const auto& error = request.error();
    // An error travels as metadata, of which clients take 8 KiB.
    require(!error.message.empty() && error.message.size() < 4096);
    return 0;
  }
  require(request->inputs.size() == static_cast<std::size_t>(message.inputs_size()));
  for (const auto& tensor : request->inputs) {
    check(tensor);
  }
  return 0;
}
