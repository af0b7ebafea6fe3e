// A child whose signal handler writes down how it found the world, for the tests that need one: the
// handler, what child and test tell each other, and the fixture.
#ifndef ARCH_X86_64_HANDLER_FOR_TEST_H_
#define ARCH_X86_64_HANDLER_FOR_TEST_H_

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <vector>

#include "arch/arch.h"
#include "arch/x86_64/queued_signal_for_test.h"
#include "arch/x86_64/tracee_for_test.h"
#include "gtest/gtest.h"

namespace utrace::arch {

struct Spin {
  volatile uint32_t go = 0;
  volatile uint32_t ready = 0;
  uint32_t mxcsr = 0x9f80;  // flush to zero: not the initial value
  uint16_t control_word = 0x27f;
  uint32_t initial_mxcsr = 0x1f80;
};
static_assert(offsetof(Spin, initial_mxcsr) == 16);

extern "C" void spin_with_known_registers(Spin* spin, const uint8_t* pattern, int level);

// What rt_sigaction takes.
struct KernelAction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};
inline constexpr uint64_t kSaRestorer = 0x04000000;

// Everything that a child and the test tell each other.
struct Record {
  Spin spin;
  alignas(16) user_fpregs_struct fpregs;  // at the handler's start
  volatile int calls = 0;
  int signal = 0;
  siginfo_t info = {};
  uint64_t blocked = 0;
  bool aligned = false;
  bool direction_flag = false;
  uint64_t stack = 0;
  int level = 0;
  int write_to = -1;
  // Of the body.
  long result = 0;
  timespec left = {};
  stack_t stack_after = {};
  uint64_t blocked_after = 0;
  bool done = false;
};

inline Record* record;  // the handler's

// Writes all of it to `record`, and lets the spinning program go on.
void Handler(int signal, siginfo_t* info, void* context);

// That makes Handler the handler.
KernelAction ActionFor(uint64_t flags, uint64_t mask);
// The widest vector registers there are, as spin_with_known_registers takes it.
int Level();
// What it fills them with.
std::vector<uint8_t> Pattern();

class HandlerTest : public testing::Test {
 protected:
  // In the child: has the kernel call Handler for `signal` too.
  static void Install(int signal, const KernelAction& action) {
    syscall(SYS_rt_sigaction, signal, &action, nullptr, 8L);
  }

  // The child's body for the tests that interrupt a computation.
  std::function<void()> Spinning(const KernelAction& action) {
    record_->level = Level();
    return [this, action, pattern = Pattern()] {
      record = record_.get();
      Install(SIGUSR1, action);
      const uint64_t blocked = Bit(SIGUSR2);
      syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, nullptr, 8L);
      const stack_t stack = {.ss_sp = stack_, .ss_flags = 0, .ss_size = sizeof(stack_)};
      sigaltstack(&stack, nullptr);
      spin_with_known_registers(&record->spin, pattern.data(), record->level);
      sigaltstack(nullptr, &record->stack_after);
      syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &record->blocked_after, 8L);
      record->done = true;
    };
  }

  void WaitUntilSpinning() {
    while (record_->spin.ready == 0) usleep(200);
    usleep(1000);
  }

  // The request for the stopped `tracee`.
  static SignalFrameRequest Request(Tracee& tracee, const std::vector<uint8_t>& xstate,
                                    const siginfo_t& info, const KernelAction& action) {
    SignalFrameRequest request = {};
    request.regs = tracee.Registers();
    request.xstate = xstate;
    request.info = info;
    request.action = {.handler = action.handler,
                      .flags = action.flags,
                      .restorer = action.restorer,
                      .mask = action.mask};
    request.blocked = tracee.Blocked();
    return request;
  }

  static void InstallFrame(Tracee& tracee, const SignalFrame& frame) {
    tracee.Write(frame.address, frame.bytes);
    tracee.SetXstate(frame.xstate);
    tracee.SetRegisters(frame.regs);
    tracee.SetBlocked(frame.blocked);
  }

  // Interrupts the tracee and makes it run the handler of `action` with `info`.
  static void RunHandler(Tracee& tracee, const siginfo_t& info, const KernelAction& action) {
    tracee.Interrupt();
    const std::vector<uint8_t> xstate = tracee.Xstate();
    const auto frame = BuildSignalFrame(Request(tracee, xstate, info, action));
    ASSERT_TRUE(frame);
    InstallFrame(tracee, *frame);
    tracee.Resume(PTRACE_CONT);
  }

  void ExpectInitialFpState() const {
    EXPECT_EQ(record_->fpregs.cwd, 0x37f);
    EXPECT_EQ(record_->fpregs.ftw, 0);
    EXPECT_EQ(record_->fpregs.mxcsr, 0x1f80u);
    for (const unsigned word : record_->fpregs.xmm_space) EXPECT_EQ(word, 0u);
  }

  static inline char stack_[1 << 16];
  Shared<Record> record_;
};

}  // namespace utrace::arch

#endif  // ARCH_X86_64_HANDLER_FOR_TEST_H_
