// Steps and breakpoints, of one tracer and of several.
#include "engines/ptrace_compat/emulation_testing.h"

namespace utrace::ptrace_compat {
namespace {

extern "C" {
// A function of a few one-byte instructions: the second is at utrace_test_second.
void utrace_test_function();
extern const char utrace_test_second[];
}
asm(R"(
  .text
  .globl utrace_test_function
utrace_test_function:
  nop
  .globl utrace_test_second
utrace_test_second:
  nop
  nop
  nop
  ret
)");

uint64_t Second() { return reinterpret_cast<uint64_t>(&utrace_test_second[0]); }

void RunFunction(char command) {
  if (command == 'c') utrace_test_function();
  if (command == 'f') {
    const long child = syscall(SYS_fork);
    if (child == 0) {
      utrace_test_function();
      syscall(SYS_exit_group, 3);
    }
    int status = 0;
    while (waitpid(static_cast<pid_t>(child), &status, 0) < 0 && errno == EINTR) {
    }
    g_shared->counter = status;
  }
}

class BreakpointsTest : public EmulationTest {
 protected:
  static void Stop(TestTracer& tracer, const Puppet& puppet) {
    ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
    ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
    ASSERT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
  }
  static uint64_t Word(TestTracer& tracer, const Puppet& puppet) {
    return static_cast<uint64_t>(tracer.Ask(PTRACE_PEEKTEXT, puppet.pid(), Second()).reply.result);
  }
  static void Set(TestTracer& tracer, const Puppet& puppet) {
    const uint64_t word = Word(tracer, puppet);
    ASSERT_EQ(tracer.Ptrace(PTRACE_POKETEXT, puppet.pid(), Second(), (word & ~0xffULL) | 0xcc), 0);
  }
  static void Clear(TestTracer& tracer, const Puppet& puppet) {
    const uint64_t word = Word(tracer, puppet);
    ASSERT_EQ(tracer.Ptrace(PTRACE_POKETEXT, puppet.pid(), Second(), (word & ~0xffULL) | 0x90), 0);
  }
  // What is really there: nobody has an opinion on memory that is read so.
  static uint8_t Actual(const Puppet& puppet) {
    const int fd = open(("/proc/" + std::to_string(puppet.pid()) + "/mem").c_str(), O_RDONLY);
    uint8_t byte = 0;
    EXPECT_EQ(pread(fd, &byte, 1, static_cast<off_t>(Second())), 1);
    close(fd);
    return byte;
  }
  // At the breakpoint: back to its instruction.
  static void StepBack(TestTracer& tracer, const Puppet& puppet) {
    user_regs_struct registers = tracer.Registers(puppet.pid());
    ASSERT_EQ(registers.rip, Second() + 1);
    registers.rip = Second();
    ASSERT_EQ(
        tracer.Ask(PTRACE_SETREGS, puppet.pid(), 0, 0, std::as_bytes(std::span(&registers, 1)))
            .result(),
        0);
  }
  static void AwaitBreakpoint(TestTracer& tracer, const Puppet& puppet) {
    const wire::WaitReply stop = tracer.Wait(puppet.pid());
    ASSERT_EQ(stop.status, StopStatus(SIGTRAP));
    ASSERT_EQ(stop.detail.siginfo.si_code, SI_KERNEL);
  }
  static void AwaitStep(TestTracer& tracer, const Puppet& puppet) {
    const wire::WaitReply stop = tracer.Wait(puppet.pid());
    ASSERT_EQ(stop.status, StopStatus(SIGTRAP));
    ASSERT_EQ(stop.detail.siginfo.si_code, TRAP_TRACE);
  }
};

TEST_F(BreakpointsTest, ABreakpointIsItsOwnersAlone) {
  const Puppet puppet(RunFunction);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  Stop(first, puppet);
  Stop(second, puppet);
  Set(first, puppet);
  EXPECT_EQ(Word(first, puppet) & 0xff, 0xccU);
  EXPECT_EQ(Word(second, puppet) & 0xff, 0x90U);
  EXPECT_EQ(Actual(puppet), 0xcc);
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.Tell('c');
  AwaitBreakpoint(first, puppet);
  Clear(first, puppet);
  EXPECT_EQ(Actual(puppet), 0x90);
  StepBack(first, puppet);
  ASSERT_EQ(first.Ptrace(PTRACE_SINGLESTEP, puppet.pid()), 0);
  AwaitStep(first, puppet);
  EXPECT_EQ(first.Registers(puppet.pid()).rip, Second() + 1);
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.AwaitDone();
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
}

TEST_F(BreakpointsTest, TwoDebuggersAtOnePlace) {
  const Puppet puppet(RunFunction);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  Stop(first, puppet);
  Stop(second, puppet);
  Set(first, puppet);
  Set(second, puppet);
  EXPECT_EQ(Word(first, puppet) & 0xff, 0xccU);
  EXPECT_EQ(Word(second, puppet) & 0xff, 0xccU);
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.Tell('c');
  AwaitBreakpoint(first, puppet);
  // Each steps over it as a debugger does: the first's step meets the second's instruction.
  Clear(first, puppet);
  EXPECT_EQ(Actual(puppet), 0xcc);
  StepBack(first, puppet);
  ASSERT_EQ(first.Ptrace(PTRACE_SINGLESTEP, puppet.pid()), 0);
  AwaitBreakpoint(second, puppet);
  EXPECT_EQ(first.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  Clear(second, puppet);
  EXPECT_EQ(Actual(puppet), 0x90);
  StepBack(second, puppet);
  ASSERT_EQ(second.Ptrace(PTRACE_SINGLESTEP, puppet.pid()), 0);
  AwaitStep(first, puppet);
  EXPECT_EQ(first.Registers(puppet.pid()).rip, Second() + 1);
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  AwaitStep(second, puppet);
  EXPECT_EQ(second.Registers(puppet.pid()).rip, Second() + 1);
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.AwaitDone();
}

TEST_F(BreakpointsTest, AKilledDebuggersBreakpointsAreTakenOut) {
  const Puppet puppet(RunFunction);
  TestTracer other(emulation_);
  ASSERT_EQ(other.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  {
    TestTracer tracer(emulation_);
    Stop(tracer, puppet);
    Set(tracer, puppet);
    ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
    puppet.Tell('c');
    AwaitBreakpoint(tracer, puppet);
    tracer.Kill();
    // The program runs the instruction that was there, and on.
    puppet.AwaitDone();
    EXPECT_EQ(Actual(puppet), 0x90);
  }
  puppet.Do('c');
  EXPECT_EQ(other.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
}

TEST_F(BreakpointsTest, AFollowedChildHasItsParentsBreakpoints) {
  const Puppet puppet(RunFunction);
  TestTracer tracer(emulation_);
  Stop(tracer, puppet);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SETOPTIONS, puppet.pid(), 0, PTRACE_O_TRACEFORK), 0);
  Set(tracer, puppet);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.Tell('f');
  const wire::WaitReply stop = tracer.Wait(puppet.pid());
  ASSERT_EQ(stop.status, EventStatus(PTRACE_EVENT_FORK));
  const auto child = static_cast<pid_t>(stop.detail.event_message);
  ASSERT_EQ(tracer.WaitStatus(child), kEventStopStatus(SIGTRAP));
  TestTracer other(emulation_);
  ASSERT_EQ(other.Ptrace(PTRACE_ATTACH, child), 0);
  ASSERT_EQ(other.WaitStatus(child), StopStatus(SIGSTOP));
  EXPECT_EQ(other.Ask(PTRACE_PEEKTEXT, child, Second()).reply.result & 0xff, 0x90);
  ASSERT_EQ(other.Ptrace(PTRACE_DETACH, child), 0);
  // It leaves the child, and what it left there goes with it.
  ASSERT_EQ(tracer.Ptrace(PTRACE_DETACH, child), 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGCHLD));
  EXPECT_EQ(Actual(puppet), 0xcc);
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.AwaitDone();
  EXPECT_EQ(g_shared->counter, 3 << 8);
}

TEST_F(BreakpointsTest, StepsOfTwoTracersAreTheirs) {
  const Puppet puppet(RunFunction);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  Stop(first, puppet);
  Stop(second, puppet);
  ASSERT_EQ(first.Ptrace(PTRACE_SINGLESTEP, puppet.pid()), 0);
  // The task is held by the second still.
  EXPECT_EQ(first.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  puppet.Tell('c');
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  EXPECT_EQ(first.WaitStatus(puppet.pid()), StopStatus(SIGTRAP));
  for (int step = 0; step < 20; ++step) {
    ASSERT_EQ(first.Ptrace(PTRACE_SINGLESTEP, puppet.pid()), 0);
    ASSERT_EQ(first.WaitStatus(puppet.pid()), StopStatus(SIGTRAP));
  }
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  // Killed while it steps on: nobody dies of the trap.
  ASSERT_EQ(first.Ptrace(PTRACE_SINGLESTEP, puppet.pid()), 0);
  first.Kill();
  puppet.AwaitDone();
  puppet.Do('c');
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
}

TEST_F(BreakpointsTest, DebugRegistersAreTheirOwners) {
  const Puppet puppet(RunFunction);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  Stop(first, puppet);
  Stop(second, puppet);
  const uint64_t zero = offsetof(user, u_debugreg[0]);
  const uint64_t control = offsetof(user, u_debugreg[7]);
  const auto address = reinterpret_cast<uint64_t>(&g_shared->counter);
  constexpr uint64_t kWriteOf4InSlot0 = 0xd0001;
  ASSERT_EQ(second.Ptrace(PTRACE_POKEUSR, puppet.pid(), zero, address), 0);
  ASSERT_EQ(second.Ptrace(PTRACE_POKEUSR, puppet.pid(), control, kWriteOf4InSlot0), 0);
  EXPECT_EQ(first.Ask(PTRACE_PEEKUSR, puppet.pid(), zero).reply.result, 0);
  EXPECT_EQ(second.Ask(PTRACE_PEEKUSR, puppet.pid(), zero).reply.result,
            static_cast<int64_t>(address));
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(first.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  ASSERT_EQ(first.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
  EXPECT_EQ(first.Ask(PTRACE_PEEKUSR, puppet.pid(), control).reply.result, 0);
  second.Kill();
  EXPECT_EQ(first.Ptrace(PTRACE_POKEUSR, puppet.pid(), zero, address + 4), 0);
  EXPECT_EQ(first.Ask(PTRACE_PEEKUSR, puppet.pid(), zero).reply.result,
            static_cast<int64_t>(address + 4));
  ASSERT_EQ(first.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  puppet.Do('c');
}

TEST_F(BreakpointsTest, MemoryIsReadAndWrittenInLengths) {
  const Puppet puppet(RunFunction);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  wire::MemoryRequest request;
  request.header.op = wire::Op::kReadMem;
  request.pid = puppet.pid();
  request.size = 4;
  request.address = Second();
  Answer answer =
      tracer.Await(tracer.Send(request.header, std::as_writable_bytes(std::span(&request, 1))));
  EXPECT_EQ(answer.result(), 4);
  ASSERT_EQ(answer.payload.size(), 4U);
  EXPECT_EQ(answer.payload[3], std::byte{0xc3});
  request.header.op = wire::Op::kWriteMem;
  request.address = reinterpret_cast<uint64_t>(&g_shared);
  request.size = sizeof(Shared*);
  Shared* const same = g_shared;
  answer = tracer.Await(tracer.Send(request.header, std::as_writable_bytes(std::span(&request, 1)),
                                    std::as_bytes(std::span(&same, 1))));
  EXPECT_EQ(answer.result(), static_cast<long>(sizeof(Shared*)));
  request.header.op = wire::Op::kReadMem;
  request.address = 16;
  answer =
      tracer.Await(tracer.Send(request.header, std::as_writable_bytes(std::span(&request, 1))));
  EXPECT_EQ(answer.result(), -EIO);
}

}  // namespace
}  // namespace utrace::ptrace_compat
