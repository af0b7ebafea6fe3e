// A stack for handlers of faults: the fault may be that the thread's own is used up.
#ifndef CORE_LINUX_FAULT_STACK_H_
#define CORE_LINUX_FAULT_STACK_H_

#include <signal.h>

#include <cstddef>
#include <memory>

namespace utrace::linux_host {

// The calling thread's, from construction to destruction; the one that it had before is its own again then.
class FaultStack {
 public:
  FaultStack() : memory_(new char[kSize]) {
    stack_t stack{};
    stack.ss_sp = memory_.get();
    stack.ss_size = kSize;
    sigaltstack(&stack, &former_);
  }
  ~FaultStack() { sigaltstack(&former_, nullptr); }
  FaultStack(const FaultStack&) = delete;
  FaultStack& operator=(const FaultStack&) = delete;

 private:
  static constexpr size_t kSize = size_t{64} << 10;
  const std::unique_ptr<char[]> memory_;
  stack_t former_{};
};

// The calling thread's handlers with SA_ONSTACK run on a stack of their own, until the thread ends.
inline void UseFaultStack() { thread_local const FaultStack stack; }

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_FAULT_STACK_H_
