// Extracts the useful part of ONNX Runtime's messages.
#include <algorithm>
#include <string>
#include <string_view>

#include "onnx/ort.h"

namespace podsense::onnx {

bool says_out_of_memory(std::string_view ort_message) {
  return ort_message.contains("bad_alloc") || ort_message.contains("allocate memory") ||
         ort_message.contains("bad allocation");
}

std::string short_reason(const char* ort_message) {
  constexpr std::size_t kShown = 200;
  constexpr std::string_view kStatus = "Status Message: ";
  constexpr std::string_view kFailed = " failed:";
  constexpr std::string_view kOpening = "Exception during initialization: ";
  constexpr std::string_view kLambda = "::<lambda";
  std::string_view text(ort_message);
  if (const auto at = text.find(kStatus); at != std::string_view::npos) {
    text.remove_prefix(at + kStatus.size());
  }
  if (const auto at = text.find(kFailed);
      text.starts_with("Load model from ") && at != std::string_view::npos) {
    text.remove_prefix(at + kFailed.size());
  }
  if (text.starts_with(kOpening)) {
    text.remove_prefix(kOpening.size());
  }
  // "/path/file.cc:12 ret fn(args) [with …] [condition was false.] reason": path and function do
  // not help users.
  if (text.starts_with('/') && text.contains('(')) {
    std::size_t at = text.find('(');
    int depth = 0;
    for (; at < text.size(); ++at) {
      depth += text[at] == '(' ? 1 : text[at] == ')' ? -1 : 0;
      if (depth == 0) {
        break;
      }
    }
    text.remove_prefix(std::min(at + 1, text.size()));
    if (text.starts_with(kLambda)) {
      text.remove_prefix(std::min(text.find('>'), text.size() - 1) + 1);
    }
    if (text.starts_with(" const")) {
      text.remove_prefix(6);
    }
    if (text.starts_with(" [with ")) {
      text.remove_prefix(std::min(text.find(']'), text.size() - 1) + 1);
    }
  }
  text = text.substr(0, text.find('\n'));
  const auto start = text.find_first_not_of(' ');
  text.remove_prefix(std::min(start, text.size()));
  return std::string(text.substr(0, kShown));
}

}  // namespace podsense::onnx
