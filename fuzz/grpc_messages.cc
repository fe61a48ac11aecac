// Bytes → gRPC messages: cut anywhere, and with a taker that wants a pause now and then, a reader
// finds the same messages and the same fault as of the whole. The first byte chooses the
// compression, the second seeds the cuts.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "grpc/wire.h"

namespace {

using namespace podsense;  // NOLINT(google-build-using-namespace): a fuzz target

constexpr std::uint64_t kMostMessage = 8000;
constexpr std::uint64_t kMostInflated = 20'000;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

struct Found {
  std::vector<std::string> messages;
  std::string fault;
  bool begun = false;

  bool operator==(const Found&) const = default;
};

/// `next_cut`: bytes of the next piece; 0: all. `pauses`: the taker wants one after each message.
template <class Cut>
Found read(std::string_view bytes, transport::Coding compression, bool pauses, Cut next_cut) {
  MemoryBudget budget;
  Found found;
  {
    grpc::MessageReader reader(kMostMessage, kMostInflated, &budget);
    reader.set_compression(compression);
    bool took = false;
    const auto take = [&](std::string_view one) {
      require(one.size() <= (reader.compressed() ? kMostInflated : kMostMessage));
      found.messages.emplace_back(one);
      took = true;
      return !pauses;
    };
    while (!bytes.empty() && found.fault.empty()) {
      const std::size_t cut = next_cut();
      const std::string_view piece = bytes.substr(0, cut == 0 ? bytes.size() : cut);
      bytes.remove_prefix(piece.size());
      took = false;
      auto done = reader.feed(piece, take);
      while (done && std::exchange(took, false)) {
        done = reader.resume(take);
      }
      if (!done) {
        found.fault = std::to_string(static_cast<int>(done.error().code)) + done.error().message;
        require(!done.error().message.empty());
      }
      require(reader.missing() <= kMostMessage + grpc::kPrefixSize || !found.fault.empty());
    }
    found.begun = found.fault.empty() && reader.begun();
  }
  require(budget.used() == 0);
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  const auto compression = static_cast<transport::Coding>(data[0] % 3);
  std::uint32_t random = data[1] + 1;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto at_random = [&random] {
    random = random * 1664525 + 1013904223;
    return std::size_t{1} + (random >> 24U) % ((random & 1U) != 0 ? 7 : 200);
  };
  const Found whole = read(bytes, compression, false, [] { return 0; });
  require(whole == read(bytes, compression, false, [] { return 1; }));
  require(whole == read(bytes, compression, false, at_random));
  require(whole == read(bytes, compression, true, at_random));
  require(whole == read(bytes, compression, true, [] { return 0; }));
  return 0;
}
