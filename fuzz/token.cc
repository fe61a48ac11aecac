// Any bytes as a JSON Web Token, and as a key set.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "access/jwt.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace podsense::access;
  static const KeySet kKeys =
      KeySet::parse(R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"d",)"
                    R"("x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})")
          .value();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // Nothing here was signed with the private half: whatever is found good is forged.
  if (verify_token(text, kKeys, {}, 0)) {
    std::abort();
  }
  (void)KeySet::parse(text);
  return 0;
}
