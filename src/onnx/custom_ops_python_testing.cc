// A library that only loads inside Python, like PyPI's onnxruntime-extensions: it needs a symbol of
// libpython.
extern "C" {
extern int PyInstanceMethod_Type;
__attribute__((visibility("default"))) int* RegisterCustomOps();
}

int* RegisterCustomOps() {
  return &PyInstanceMethod_Type;
}
