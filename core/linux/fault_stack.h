// A stack for handlers of faults: the fault may be that the thread's own is used up.
#ifndef CORE_LINUX_FAULT_STACK_H_
#define CORE_LINUX_FAULT_STACK_H_

#include <signal.h>

#include <cstddef>
#include <memory>

namespace utrace::linux_host {

// The calling thread's handlers with SA_ONSTACK run on a stack of their own, until the thread ends.
inline void UseFaultStack() {
  constexpr size_t kSize = size_t{64} << 10;
  thread_local const std::unique_ptr<char[]> memory(new char[kSize]);
  stack_t stack{};
  stack.ss_sp = memory.get();
  stack.ss_size = kSize;
  sigaltstack(&stack, nullptr);
}

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_FAULT_STACK_H_
