// A library that cannot be loaded outside Python, as PyPI's onnxruntime-extensions: a symbol of
// libpython's is missing.
extern "C" {
extern int PyInstanceMethod_Type;
__attribute__((visibility("default"))) int* RegisterCustomOps();
}

int* RegisterCustomOps() {
  return &PyInstanceMethod_Type;
}
