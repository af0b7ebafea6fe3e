// The frame in a child whose handler runs: beside the kernel's own, and on the way back.
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "arch/x86_64/handler_for_test.h"
#include "arch/x86_64/xstate.h"
#include "gtest/gtest.h"

namespace utrace::arch {
namespace {

void ExpectSameRegisters(const GeneralRegisters& left, const GeneralRegisters& right) {
  const auto* const a = reinterpret_cast<const uint64_t*>(&left);
  const auto* const b = reinterpret_cast<const uint64_t*>(&right);
  for (size_t i = 0; i < sizeof(left) / 8; ++i) EXPECT_EQ(a[i], b[i]) << "slot " << i;
}

void ExpectSameBytes(const std::vector<uint8_t>& left, const std::vector<uint8_t>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    ASSERT_EQ(left[i], right[i]) << "at " << i;
  }
}

// Beside the kernel's own frame for the same signal.
TEST_F(HandlerTest, FrameIsTheKernels) {
  for (const uint64_t flags : {uint64_t{0}, uint64_t{SA_NODEFER}, uint64_t{SA_ONSTACK}}) {
    SCOPED_TRACE(flags);
    Shared<Record> fresh;
    *record_.get() = *fresh.get();
    const KernelAction action = ActionFor(flags, Bit(SIGTERM));
    Tracee tracee(Spinning(action));
    WaitUntilSpinning();
    tracee.StopBySignal(SIGUSR1);
    const std::vector<uint8_t> xstate = tracee.Xstate();
    SignalFrameRequest request = Request(tracee, xstate, tracee.SignalInfo(), action);
    request.alternate_stack = {.ss_sp = stack_, .ss_flags = 0, .ss_size = sizeof(stack_)};
    const auto ours = BuildSignalFrame(request);
    ASSERT_TRUE(ours);

    // To the handler's first instruction.
    tracee.Resume(PTRACE_SINGLESTEP, SIGUSR1);
    const int status = tracee.Wait();
    ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
    ExpectSameRegisters(ours->regs, tracee.Registers());
    EXPECT_EQ(ours->blocked, tracee.Blocked());

    // Fault details are not known to a tracer; what the kernel leaves as it was is not compared.
    constexpr size_t kContext = 8;
    constexpr size_t kMachine = kContext + offsetof(ucontext_t, uc_mcontext);
    constexpr size_t kStackPadding = kContext + offsetof(ucontext_t, uc_stack.ss_flags) + 4;
    constexpr size_t kFault = kMachine + REG_ERR * 8;
    constexpr size_t kFaultAddress = kMachine + REG_CR2 * 8;
    constexpr size_t kFpstate = kMachine + offsetof(mcontext_t, fpregs);
    constexpr size_t kReserved = kMachine + offsetof(mcontext_t, __reserved1);
    constexpr size_t kFrameSize = 440;
    uint64_t fpstate = 0;
    std::memcpy(&fpstate, ours->bytes.data() + kFpstate, sizeof(fpstate));
    const size_t fpregs = fpstate - ours->address;
    const size_t components = fpregs + kFxsaveSize + 16;  // where XSAVE skips initial ones
    const size_t end = ours->bytes.size() - (XstateSize() == 0 ? 0 : 4);
    std::vector<uint8_t> theirs = tracee.Read(ours->address, ours->bytes.size());
    std::vector<uint8_t> bytes = ours->bytes;
    const auto ignore = [&](size_t from, size_t to) {
      for (size_t i = from; i < to; ++i) bytes[i] = theirs[i] = 0;
    };
    ignore(kStackPadding, kStackPadding + 4);
    ignore(kFault, kFault + 16);
    ignore(kFaultAddress, kFaultAddress + 8);
    ignore(kReserved, kReserved + 64);
    ignore(kFrameSize, fpregs);
    ignore(fpregs + 416, fpregs + kSoftwareBytes);
    if (components < end) ignore(components, end);
    ExpectSameBytes(bytes, theirs);

    // The handler's floating point state, as far as it is in use.
    const std::vector<uint8_t> handlers = tracee.Xstate();
    ASSERT_EQ(handlers.size(), ours->xstate.size());
    tracee.SetXstate(ours->xstate);
    std::vector<uint8_t> installed = tracee.Xstate();
    if (XstateSize() != 0) {
      // Whether a register in its initial state counts as used is of no consequence.
      std::memcpy(installed.data() + kFxsaveSize, handlers.data() + kFxsaveSize, 8);
    }
    ExpectSameBytes(installed, handlers);
  }
}

// [SIG-05] The handler gets the siginfo, and the program notices nothing else.
TEST_F(HandlerTest, InterruptedCodeGoesOnAsItWas) {
  const KernelAction action = ActionFor(0, Bit(SIGTERM));
  Tracee tracee(Spinning(action));
  WaitUntilSpinning();
  tracee.Interrupt();
  const GeneralRegisters before = tracee.Registers();
  const std::vector<uint8_t> xstate = tracee.Xstate();
  const std::vector<uint8_t> red_zone = tracee.Read(before.rsp - 128, 128);
  const auto frame = BuildSignalFrame(Request(tracee, xstate, Queued(SIGUSR1), action));
  ASSERT_TRUE(frame);
  InstallFrame(tracee, *frame);
  tracee.Resume(PTRACE_CONT);

  const int status = tracee.Wait();  // for the int3 after the loop
  ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
  EXPECT_EQ(record_->calls, 1);
  EXPECT_EQ(record_->signal, SIGUSR1);
  EXPECT_EQ(record_->info.si_code, SI_QUEUE);
  EXPECT_EQ(record_->info.si_pid, 77);
  EXPECT_EQ(record_->info.si_value.sival_int, 4711);
  EXPECT_EQ(record_->blocked, Bit(SIGUSR1) | Bit(SIGUSR2) | Bit(SIGTERM));
  EXPECT_TRUE(record_->aligned);
  EXPECT_FALSE(record_->direction_flag);
  ExpectInitialFpState();

  GeneralRegisters after = tracee.Registers();
  EXPECT_NE(after.eflags & 0x400, 0u) << "direction flag";
  after.rip = before.rip;
  after.eflags = before.eflags;  // the loop compares
  ExpectSameRegisters(before, after);
  ExpectSameBytes(xstate, tracee.Xstate());
  ExpectSameBytes(red_zone, tracee.Read(before.rsp - 128, 128));
  EXPECT_EQ(tracee.Blocked(), Bit(SIGUSR2));

  tracee.Resume(PTRACE_CONT);
  EXPECT_EQ(tracee.Wait(), 0);
  EXPECT_TRUE(record_->done);
  EXPECT_EQ(record_->blocked_after, Bit(SIGUSR2));
  EXPECT_EQ(record_->stack_after.ss_sp, stack_) << "the alternate stack is gone";
  EXPECT_EQ(record_->stack_after.ss_size, sizeof(stack_));
  EXPECT_EQ(record_->stack_after.ss_flags, 0);
}

// At the stop for another signal, which is dropped; twice, one handler in the other.
TEST_F(HandlerTest, HandlersNest) {
  const KernelAction action = ActionFor(SA_NODEFER, 0);
  Tracee tracee(Spinning(action));
  WaitUntilSpinning();
  tracee.StopBySignal(SIGHUP);
  const GeneralRegisters before = tracee.Registers();
  const std::vector<uint8_t> xstate = tracee.Xstate();
  for (int i = 0; i < 2; ++i) {
    const std::vector<uint8_t> current = tracee.Xstate();
    const auto frame = BuildSignalFrame(Request(tracee, current, Queued(SIGRTMIN + i), action));
    ASSERT_TRUE(frame);
    InstallFrame(tracee, *frame);
  }
  tracee.Resume(PTRACE_CONT);
  const int status = tracee.Wait();
  ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
  EXPECT_EQ(record_->calls, 2);
  EXPECT_EQ(record_->signal, SIGRTMIN) << "the outer one ran last";
  GeneralRegisters after = tracee.Registers();
  after.rip = before.rip;
  after.eflags = before.eflags;
  ExpectSameRegisters(before, after);
  ExpectSameBytes(xstate, tracee.Xstate());
  EXPECT_EQ(tracee.Blocked(), Bit(SIGUSR2));
}

TEST_F(HandlerTest, RunsOnTheAlternateStackIfTold) {
  const KernelAction action = ActionFor(SA_ONSTACK, 0);
  Tracee tracee(Spinning(action));
  WaitUntilSpinning();
  tracee.Interrupt();
  const std::vector<uint8_t> xstate = tracee.Xstate();
  SignalFrameRequest request = Request(tracee, xstate, Queued(SIGUSR1), action);
  request.alternate_stack = {.ss_sp = stack_, .ss_flags = 0, .ss_size = sizeof(stack_)};
  const auto frame = BuildSignalFrame(request);
  ASSERT_TRUE(frame);
  InstallFrame(tracee, *frame);
  tracee.Resume(PTRACE_CONT);
  const int status = tracee.Wait();
  ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) << status;
  EXPECT_LT(record_->stack - reinterpret_cast<uintptr_t>(stack_), sizeof(stack_));
  tracee.Resume(PTRACE_CONT);
  EXPECT_EQ(tracee.Wait(), 0);
  EXPECT_EQ(record_->stack_after.ss_sp, stack_);
}

// ---- In a system call. --------------------------------------------------------------------------

class HandlerInSyscallTest : public HandlerTest {
 protected:
  // Runs `body`, which blocks in call `number`, and the handler meanwhile; then waits for its end.
  void Interrupt(long number, uint64_t flags, const std::function<void()>& body) {
    record_->level = Level();
    Tracee tracee([&] {
      record = record_.get();
      body();
      syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &record->blocked_after, 8L);
    });
    tracee.WaitUntilBlockedIn(number);
    RunHandler(tracee, Queued(SIGUSR1), ActionFor(flags, 0));
    EXPECT_EQ(tracee.Wait(), 0);
    EXPECT_EQ(record_->calls, 1);
    EXPECT_EQ(record_->signal, SIGUSR1);
    EXPECT_TRUE(record_->aligned);
  }

  static long Result(long value) { return value == -1 ? -errno : value; }
};

TEST_F(HandlerInSyscallTest, NanosleepEndsWithTheTimeLeft) {
  for (const uint64_t flags : {uint64_t{0}, uint64_t{SA_RESTART}}) {
    record_->calls = 0;
    Interrupt(SYS_nanosleep, flags, [] {
      const timespec time = {.tv_sec = 100, .tv_nsec = 0};
      record->result = Result(syscall(SYS_nanosleep, &time, &record->left));
    });
    EXPECT_EQ(record_->result, -EINTR);
    EXPECT_GT(record_->left.tv_sec, 10);
    EXPECT_LE(record_->left.tv_sec, 100);  // the kernel counts its slack in
  }
}

TEST_F(HandlerInSyscallTest, ReadEndsWithoutSaRestart) {
  Interrupt(SYS_read, 0, [] {
    int ends[2];
    char byte;
    record->result = pipe(ends) == 0 ? Result(read(ends[0], &byte, 1)) : 0;
  });
  EXPECT_EQ(record_->result, -EINTR);
}

TEST_F(HandlerInSyscallTest, ReadGoesOnWithSaRestart) {
  Interrupt(SYS_read, SA_RESTART, [] {
    int ends[2];
    char byte = 0;
    if (pipe(ends) != 0) return;
    record->write_to = ends[1];
    record->result = Result(read(ends[0], &byte, 1)) == 1 ? byte : 0;
  });
  EXPECT_EQ(record_->result, 'x');
}

TEST_F(HandlerInSyscallTest, PauseEndsInAnyCase) {
  Interrupt(SYS_pause, SA_RESTART, [] { record->result = Result(syscall(SYS_pause)); });
  EXPECT_EQ(record_->result, -EINTR);
}

TEST_F(HandlerInSyscallTest, SigsuspendEndsWithTheMaskFromBefore) {
  Interrupt(SYS_rt_sigsuspend, 0, [] {
    const uint64_t blocked = Bit(SIGUSR2);
    const uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, nullptr, 8L);
    record->result = Result(syscall(SYS_rt_sigsuspend, &none, 8L));
  });
  EXPECT_EQ(record_->result, -EINTR);
  EXPECT_EQ(record_->blocked_after, Bit(SIGUSR2));
}

}  // namespace
}  // namespace utrace::arch
