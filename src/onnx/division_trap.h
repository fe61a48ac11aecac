#pragma once

/// Integer divisions INT_MIN / -1 and x / 0 kill a process on x86-64: the CPU traps, and ONNX
/// Runtime does not check before dividing. With this handler such a division gives 0 and is noted,
/// so that only its run fails. Other CPUs do not trap. Private to this module.

#include <cstdint>

namespace podsense::onnx {

/// Installs a SIGFPE handler for divisions; other causes go to the previous handler. Later calls do
/// nothing.
void install_division_trap();

/// Detects such divisions from construction on: on this thread, or on any thread for runs with
/// several threads.
class DivisionWatch {
 public:
  explicit DivisionWatch(bool any_thread);
  [[nodiscard]] bool trapped() const;

 private:
  bool any_thread_;
  std::uint64_t before_;
};

/// The length of the DIV or IDIV instruction at `code` in bytes; 0: another instruction.
/// @source Intel SDM volume 2, chapter 2 (prefixes, ModRM, SIB) and DIV/IDIV
unsigned division_length(const unsigned char* code);

}  // namespace podsense::onnx
