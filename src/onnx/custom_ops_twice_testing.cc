// A library of operators for ONNX Runtime, as --custom-ops takes them: Twice of domain
// podsense.test.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_lite_custom_op.h>

#include <memory>

namespace {

void twice(const Ort::Custom::Tensor<float>& x, Ort::Custom::Tensor<float>& y) {
  float* const out = y.Allocate(x.Shape());
  for (std::int64_t i = 0; i < x.NumberOfElement(); ++i) {
    out[i] = 2 * x.Data()[i];
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) OrtStatus* ORT_API_CALL
RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base);

OrtStatus* ORT_API_CALL RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
  const OrtApi* const api = base->GetApi(ORT_API_VERSION);
  Ort::InitApi(api);
  static const std::unique_ptr<Ort::Custom::OrtLiteCustomOp> op(
      Ort::Custom::CreateLiteCustomOp("Twice", "CPUExecutionProvider", twice));
  static OrtCustomOpDomain* const domain = [api] {
    OrtCustomOpDomain* made = nullptr;
    Ort::ThrowOnError(api->CreateCustomOpDomain("podsense.test", &made));
    Ort::ThrowOnError(api->CustomOpDomain_Add(made, op.get()));
    return made;
  }();
  return api->AddCustomOpDomain(options, domain);
}
