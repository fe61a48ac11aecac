#include "onnx/custom_ops.h"

#include <dlfcn.h>

#include <string_view>
#include <system_error>
#include <utility>

#include "base/digest.h"

namespace podsense::onnx {
namespace {

tl::unexpected<Error> refused(const std::string& file, const std::string& why) {
  return fail(ErrorCode::kInvalidArgument, "onnxruntime.custom_ops: " + file + " " + why);
}

}  // namespace

std::string loader_reason(const std::string& file, std::string_view loader_text) {
  constexpr std::string_view kUndefined = "undefined symbol: ";
  const auto at = loader_text.find(kUndefined);
  const auto symbol =
      at == std::string_view::npos ? "" : loader_text.substr(at + kUndefined.size());
  if (symbol.starts_with("Py") || symbol.starts_with("_Py")) {
    return "is an extension of Python's (it misses " + std::string(symbol) +
           "), as PyPI's onnxruntime-extensions is: start podsense with "
           "LD_PRELOAD=libpython3.x.so.1.0 "
           "of the Python that it was made for, or build the library without Python";
  }
  if (loader_text.starts_with(file + ": ")) {
    loader_text.remove_prefix(file.size() + 2);
  }
  return "cannot be loaded: " + std::string(loader_text);
}

Result<CustomOps> CustomOps::open(const std::map<std::string, std::string>& sha256) {
  CustomOps out;
  for (const auto& [file, wanted] : sha256) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error)) {
      return refused(file, error ? "cannot be read: " + error.message() : "is no regular file");
    }
    const auto found = sha256_file(file);
    if (!found) {
      return refused(file, "cannot be read: " + found.error().message);
    }
    if (*found != wanted) {
      return refused(file, "has the SHA-256 " + *found + ", not " + wanted);
    }
    // Never closed: its operators must outlive the sessions.
    void* const library = ::dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* const text = ::dlerror();  // NOLINT(concurrency-mt-unsafe): glibc's is per thread
      return refused(file, loader_reason(file, text == nullptr ? "" : text));
    }
    void* const symbol = ::dlsym(library, "RegisterCustomOps");
    if (symbol == nullptr) {
      return refused(file,
                     "is no library of operators for ONNX Runtime: it has no "
                     "'RegisterCustomOps'");
    }
    out.libraries_.push_back(reinterpret_cast<Register>(symbol));
    try {
      Ort::SessionOptions trial;
      Ort::ThrowOnError(out.libraries_.back()(trial, OrtGetApiBase()));
    } catch (const std::exception& e) {
      return refused(file, "does not register its operators: " + short_reason(e.what()));
    }
  }
  return out;
}

void CustomOps::give_to(Ort::SessionOptions& options) const {
  for (const Register register_ops : libraries_) {
    Ort::ThrowOnError(register_ops(options, OrtGetApiBase()));
  }
}

}  // namespace podsense::onnx
