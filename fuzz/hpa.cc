// What `podsense simulate hpa` reads: cases of vectors, and a cluster's objects. The first byte, a
// digit in the seeds, chooses.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "foresight/snapshot.h"
#include "foresight/vectors.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a program of one file

void check(bool good) {
  if (!good) {
    __builtin_trap();
  }
}

/// Every refusal is one line, and the same case always gets the same answers.
void vectors(std::string_view text) {
  const foresight::VectorOptions options{.explain = true};
  const auto one = foresight::parse_case(text, options);
  if (!one) {
    check(!one.error().message.empty());
    return;
  }
  std::string first;
  std::string again;
  foresight::replay(*one, options, first);
  foresight::replay(*one, options, again);
  check(first == again);
}

void snapshot(std::string_view text) {
  const foresight::SnapshotFile file{.name = "x", .text = std::string(text)};
  const auto read = foresight::read_snapshot({&file, 1}, {});
  if (read) {
    check(!foresight::explain_snapshot(*read, {}).empty());
  }
}

void texts(std::string_view text) {
  if (const auto quantity = foresight::Quantity::parse(text)) {
    static_cast<void>(quantity->milli());
    static_cast<void>(quantity->plus(quantity->canonical()).milli());
    static_cast<void>(quantity->approximate());
  }
  static_cast<void>(foresight::parse_rfc3339(text));
  static_cast<void>(foresight::parse_go_duration(text));
  static_cast<void>(foresight::parse_version(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string text(data + 1, data + size);
  switch (data[0] % 3) {  // 0 for '0'
    case 0:
      vectors(text);
      break;
    case 1:
      snapshot(text);
      break;
    default:
      texts(text);
  }
  return 0;
}
