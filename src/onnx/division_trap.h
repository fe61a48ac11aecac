#pragma once

/// Integer division without a result, INT_MIN / -1 and x / 0, stops a process on x86-64: the CPU
/// traps, and ONNX Runtime divides without looking. Here such a division gives 0 and is noted, so
/// that the run around it can fail alone. Other CPUs do not trap.
/// Private to this module.

#include <cstdint>

namespace podsense::onnx {

/// Takes over SIGFPE for divisions; every other cause goes to the handler that was there before.
/// Once per process; later calls do nothing.
void install_division_trap();

/// Notes divisions without a result from its construction on, on this thread, or on any thread for
/// runs that use several.
class DivisionWatch {
 public:
  explicit DivisionWatch(bool any_thread);
  [[nodiscard]] bool trapped() const;

 private:
  bool any_thread_;
  std::uint64_t before_;
};

/// Bytes of the DIV or IDIV instruction at `code`; 0: it is another instruction.
/// @source Intel SDM volume 2, chapter 2 (prefixes, ModRM, SIB) and DIV/IDIV
unsigned division_length(const unsigned char* code);

}  // namespace podsense::onnx
