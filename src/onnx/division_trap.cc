#include "onnx/division_trap.h"

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <mutex>

namespace podsense::onnx {
namespace {

// Written by a signal handler on the thread that reads it.
thread_local volatile std::uint64_t traps_here = 0;
std::atomic<std::uint64_t> traps_anywhere{0};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

#ifdef __x86_64__
struct sigaction previous;

void pass_on(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    ::signal(signal, SIG_DFL);  // the instruction executes again and kills the process
  }
}

/// Async-signal-safe: uses only registers, a thread-local number and a lock-free counter.
void on_division(int signal, siginfo_t* info, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the address of the instruction that trapped
  const auto* code = reinterpret_cast<const unsigned char*>(registers[REG_RIP]);
  const unsigned length = info->si_code == FPE_INTDIV ? division_length(code) : 0;
  if (length == 0) {
    return pass_on(signal, info, context);
  }
  registers[REG_RAX] = 0;  // the quotient
  registers[REG_RDX] = 0;  // the remainder
  registers[REG_RIP] += length;
  traps_here = traps_here + 1;
  traps_anywhere.fetch_add(1, std::memory_order_relaxed);
}
#endif

}  // namespace

unsigned division_length(const unsigned char* code) {
  constexpr std::array<unsigned char, 11> kPrefixes{0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65,
                                                    0x66, 0x67, 0xF0, 0xF2, 0xF3};
  constexpr unsigned kLongest = 15;
  unsigned at = 0;
  while (at < kLongest && std::ranges::find(kPrefixes, code[at]) != kPrefixes.end()) {
    ++at;
  }
  if ((code[at] & 0xF0U) == 0x40) {  // REX
    ++at;
  }
  if (code[at] != 0xF6 && code[at] != 0xF7) {
    return 0;
  }
  const unsigned char mod_rm = code[at + 1];
  at += 2;
  const unsigned operation = mod_rm >> 3U & 7U;
  if (operation != 6 && operation != 7) {  // DIV, IDIV
    return 0;
  }
  const unsigned mod = mod_rm >> 6U;
  const unsigned rm = mod_rm & 7U;
  if (mod == 3) {
    return at;
  }
  unsigned base = rm;
  if (rm == 4) {
    base = code[at] & 7U;  // of the SIB byte
    ++at;
  }
  if (mod == 1) {
    return at + 1;
  }
  return mod == 2 || base == 5 ? at + 4 : at;
}

void install_division_trap() {
#ifdef __x86_64__
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_division;
    // Use the crash handler's alternate stack if there is one, as `pass_on` may call that handler.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGFPE, &action, &previous);
  });
#endif
}

DivisionWatch::DivisionWatch(bool any_thread)
    : any_thread_(any_thread),
      before_(any_thread ? traps_anywhere.load(std::memory_order_relaxed) : traps_here) {}

bool DivisionWatch::trapped() const {
  return before_ != (any_thread_ ? traps_anywhere.load(std::memory_order_relaxed) : traps_here);
}

}  // namespace podsense::onnx
