#include "engines/ptrace_compat/emulation_testing.h"

namespace utrace::ptrace_compat {
namespace {

// 'h': handles SIGUSR1; 'k': sends it to itself; 'g': one getppid; 'x': exits with 7.
void Basics(char command) {
  switch (command) {
    case 'h':
      HandleSignal(SIGUSR1);
      HandleSignal(SIGUSR2);
      break;
    case 'k':
      syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
      break;
    case 'g':
      syscall(SYS_getppid);
      break;
    case 'x':
      _exit(7);
    default:
      break;
  }
}

TEST_F(EmulationTest, SeizeInterruptDetach) {
  const Puppet puppet(Basics);
  TestTracer tracer(emulation_);
  EXPECT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  EXPECT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), -EPERM);
  EXPECT_EQ(tracer.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  // It runs: nothing can be asked of it.
  EXPECT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), -ESRCH);
  puppet.Do('g');
  EXPECT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  const wire::WaitReply stop = tracer.Wait(puppet.pid());
  EXPECT_EQ(stop.status, kEventStopStatus(SIGTRAP));
  EXPECT_EQ(stop.stopped, 1);
  EXPECT_EQ(stop.detail.has_siginfo, 1);
  EXPECT_EQ(stop.detail.siginfo.si_code, SIGTRAP | 128 << 8);
  EXPECT_NE(tracer.Registers(puppet.pid()).rip, 0U);
  EXPECT_EQ(tracer.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  EXPECT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), -ESRCH);
  EXPECT_EQ(tracer.Look(puppet.pid()).outcome, wire::WaitOutcome::kNoTracee);
  puppet.Do('g');
}

TEST_F(EmulationTest, AttachStopsByASignalThatNobodyElseSees) {
  const Puppet puppet(Basics);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  EXPECT_EQ(first.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  EXPECT_EQ(second.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
  const wire::WaitReply stop = second.Wait(puppet.pid());
  EXPECT_EQ(stop.status, StopStatus(SIGSTOP));
  EXPECT_EQ(stop.detail.siginfo.si_code, SI_KERNEL);
  EXPECT_EQ(second.Ptrace(PTRACE_INTERRUPT, puppet.pid()), -EIO);
  EXPECT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid(), 0, 65), -EIO);
  EXPECT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.Do('g');
  EXPECT_EQ(first.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
}

TEST_F(EmulationTest, ATracersSigstopStopsForItWhoeverHoldsTheTask) {
  const Puppet puppet(Basics);
  TestTracer first(emulation_);
  ASSERT_EQ(first.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  // It is alone: the program is to send the signal.
  EXPECT_EQ(first.Plain(wire::Op::kStopThread, puppet.pid(), 0).result(), -ESRCH);
  TestTracer second(emulation_);
  EXPECT_EQ(second.Plain(wire::Op::kStopThread, puppet.pid(), 0).result(), -ESRCH);
  ASSERT_EQ(second.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  const auto await_stop = [&](TestTracer& tracer) {
    const wire::WaitReply stop = tracer.Wait(puppet.pid());
    EXPECT_EQ(stop.status, StopStatus(SIGSTOP));
    EXPECT_EQ(stop.detail.siginfo.si_code, SI_TKILL);
    EXPECT_EQ(stop.detail.siginfo.si_pid, tracer.pid());
  };
  // Of a task that runs, and of one that is held already.
  ASSERT_EQ(first.Plain(wire::Op::kStopThread, puppet.pid(), 0).result(), 0);
  await_stop(first);
  ASSERT_EQ(second.Plain(wire::Op::kStopThread, puppet.pid(), 0).result(), 0);
  await_stop(second);
  // Two that are sent while it is stopped are one.
  ASSERT_EQ(first.Plain(wire::Op::kStopThread, puppet.pid(), 0).result(), 0);
  ASSERT_EQ(first.Plain(wire::Op::kStopThread, puppet.pid(), 0).result(), 0);
  EXPECT_EQ(first.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  await_stop(first);
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.Do('g');
  EXPECT_EQ(first.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
}

TEST_F(EmulationTest, SystemCallsStopAtEntryAndExit) {
  const Puppet puppet(Basics);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_TRACESYSGOOD), 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
  puppet.Tell('g');
  int entries = 0;
  int exits = 0;
  for (bool exited = false; !exited;) {
    ASSERT_EQ(tracer.Ptrace(PTRACE_SYSCALL, puppet.pid()), 0);
    const wire::WaitReply stop = tracer.Wait(puppet.pid());
    ASSERT_EQ(stop.status, StopStatus(SIGTRAP | 0x80));
    ptrace_syscall_info info{};
    ASSERT_EQ(stop.detail.has_syscall_info, 1);
    std::memcpy(&info, stop.detail.syscall_info, sizeof(info));
    const auto asked =
        tracer.Get<ptrace_syscall_info>(PTRACE_GET_SYSCALL_INFO, puppet.pid(), sizeof(info));
    EXPECT_EQ(asked.op, info.op);
    const auto registers = tracer.Registers(puppet.pid());
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      EXPECT_EQ(stop.detail.event_message, static_cast<uint64_t>(PTRACE_EVENTMSG_SYSCALL_ENTRY));
      EXPECT_EQ(info.entry.nr, registers.orig_rax);
      if (info.entry.nr == SYS_getppid) ++entries;
    } else {
      ASSERT_EQ(info.op, PTRACE_SYSCALL_INFO_EXIT);
      if (registers.orig_rax != SYS_getppid) continue;
      EXPECT_EQ(info.exit.rval, puppet.parent());
      ++exits;
      exited = true;
    }
  }
  EXPECT_EQ(entries, 1);
  EXPECT_EQ(exits, 1);
  EXPECT_EQ(tracer.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  puppet.AwaitDone();
}

TEST_F(EmulationTest, AStepAtTheEntryOfACallIsTheCall) {
  const Puppet puppet(Basics);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_TRACESYSGOOD), 0);
  ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), kEventStopStatus(SIGTRAP));
  puppet.Tell('g');
  user_regs_struct registers{};
  for (bool entered = false; !entered;) {
    ASSERT_EQ(tracer.Ptrace(PTRACE_SYSCALL, puppet.pid()), 0);
    const wire::WaitReply stop = tracer.Wait(puppet.pid());
    ASSERT_EQ(stop.status, StopStatus(SIGTRAP | 0x80));
    registers = tracer.Registers(puppet.pid());
    entered = registers.orig_rax == SYS_getppid;
  }
  ASSERT_EQ(tracer.Ptrace(PTRACE_SINGLESTEP, puppet.pid()), 0);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGTRAP));
  const user_regs_struct after = tracer.Registers(puppet.pid());
  EXPECT_EQ(after.rip, registers.rip);
  EXPECT_EQ(after.rax, static_cast<unsigned long long>(puppet.parent()));
  ASSERT_EQ(tracer.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  puppet.AwaitDone();
}

TEST_F(EmulationTest, SignalsPassTheTracersInOrder) {
  const Puppet puppet(Basics);
  puppet.Do('h');
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  ASSERT_EQ(first.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  ASSERT_EQ(second.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  puppet.Tell('k');
  wire::WaitReply stop = first.Wait(puppet.pid());
  EXPECT_EQ(stop.status, StopStatus(SIGUSR1));
  EXPECT_EQ(stop.detail.siginfo.si_pid, puppet.pid());
  EXPECT_EQ(stop.detail.siginfo.si_code, SI_TKILL);
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  EXPECT_EQ(g_shared->handled, 0);
  // Passed on.
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGUSR1), 0);
  stop = second.Wait(puppet.pid());
  EXPECT_EQ(stop.status, StopStatus(SIGUSR1));
  EXPECT_EQ(stop.detail.siginfo.si_pid, puppet.pid());
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGUSR1), 0);
  puppet.AwaitDone();
  EXPECT_EQ(g_shared->handled, 1);
  EXPECT_EQ(g_shared->last_signal, SIGUSR1);
  // Replaced.
  puppet.Tell('k');
  EXPECT_EQ(first.WaitStatus(puppet.pid()), StopStatus(SIGUSR1));
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGUSR2), 0);
  stop = second.Wait(puppet.pid());
  EXPECT_EQ(stop.status, StopStatus(SIGUSR2));
  EXPECT_EQ(stop.detail.siginfo.si_pid, first.pid());
  EXPECT_EQ(stop.detail.siginfo.si_code, SI_USER);
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid(), 0, SIGUSR2), 0);
  puppet.AwaitDone();
  EXPECT_EQ(g_shared->handled, 2);
  EXPECT_EQ(g_shared->last_signal, SIGUSR2);
  // Suppressed by the first: the second does not see it.
  puppet.Tell('k');
  EXPECT_EQ(first.WaitStatus(puppet.pid()), StopStatus(SIGUSR1));
  ASSERT_EQ(first.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.AwaitDone();
  EXPECT_EQ(g_shared->handled, 2);
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
}

TEST_F(EmulationTest, OneTracersContinuingRunsNothingThatAnotherHolds) {
  const Puppet puppet(Basics);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  ASSERT_EQ(first.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
  ASSERT_EQ(first.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
  // It is held: the second's stop comes at once.
  ASSERT_EQ(second.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
  EXPECT_EQ(second.Look(puppet.pid()).status, StopStatus(SIGSTOP));
  puppet.Tell('x');
  ASSERT_EQ(first.Ptrace(PTRACE_DETACH, puppet.pid()), 0);
  // Held still: its registers can be read.
  EXPECT_EQ(second.Registers(puppet.pid()).orig_rax, static_cast<unsigned long long>(SYS_read));
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNothing);
  ASSERT_EQ(second.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  EXPECT_EQ(second.WaitStatus(puppet.pid()), 7 << 8);
  EXPECT_EQ(second.Look(puppet.pid()).outcome, wire::WaitOutcome::kNoTracee);
  EXPECT_EQ(puppet.AwaitEnd(), 7 << 8);
}

TEST_F(EmulationTest, EachTracerIsToldOfTheEnd) {
  const Puppet puppet(Basics);
  TestTracer first(emulation_);
  TestTracer second(emulation_);
  ASSERT_EQ(first.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  ASSERT_EQ(second.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  kill(puppet.pid(), SIGKILL);
  EXPECT_EQ(first.Wait(puppet.pid(), WEXITED | WNOWAIT).status, SIGKILL);
  EXPECT_EQ(first.Ptrace(PTRACE_KILL, puppet.pid()), 0);  // though it is dead
  EXPECT_EQ(first.WaitStatus(puppet.pid()), SIGKILL);
  EXPECT_EQ(first.Ptrace(PTRACE_KILL, puppet.pid()), -ESRCH);
  EXPECT_EQ(second.WaitStatus(puppet.pid()), SIGKILL);
  EXPECT_EQ(first.Look(0).outcome, wire::WaitOutcome::kNoTracee);
  EXPECT_EQ(puppet.AwaitEnd(), SIGKILL);
}

TEST_F(EmulationTest, ATaskKilledInAStopIsGone) {
  const Puppet puppet(Basics);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
  ASSERT_EQ(tracer.Ptrace(PTRACE_KILL, puppet.pid()), 0);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), SIGKILL);
  EXPECT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), -ESRCH);
}

TEST_F(EmulationTest, AKilledTracersTraceesRunOn) {
  const Puppet puppet(Basics);
  {
    TestTracer tracer(emulation_);
    ASSERT_EQ(tracer.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
    ASSERT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
    puppet.Tell('g');
    tracer.Kill();
    puppet.AwaitDone();
  }
  EXPECT_TRUE(emulation_.Idle());
}

TEST_F(EmulationTest, ExitKillKillsWithTheTracer) {
  const Puppet puppet(Basics);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, PTRACE_O_EXITKILL), 0);
  tracer.Kill();
  EXPECT_EQ(puppet.AwaitEnd(), SIGKILL);
}

TEST_F(EmulationTest, AnExecOfTheTracerKeepsItsTracees) {
  const Puppet puppet(Basics);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
  ASSERT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
  tracer.Close();
  EXPECT_FALSE(emulation_.Idle());
  tracer.Open(tracer.pid());
  ASSERT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), 0);
  puppet.Do('g');
}

// Its thread in the server may be late: that of the program which the tracer runs by now is there already.
TEST_F(EmulationTest, AConnectionThatALaterOneOvertookIsRefused) {
  const Puppet puppet(Basics);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
  wire::Hello hello;
  hello.pid = tracer.pid();
  hello.tid = tracer.pid();
  emulation_.Serve(sockets[1], hello, /*arrival=*/0);
  wire::Reply reply;
  ASSERT_EQ(recv(sockets[0], &reply, sizeof(reply), 0), static_cast<ssize_t>(sizeof(reply)));
  EXPECT_EQ(reply.error, ESRCH);
  close(sockets[0]);
  ASSERT_EQ(tracer.Ptrace(PTRACE_DETACH, puppet.pid()), -ESRCH);  // not stopped
  ASSERT_EQ(tracer.Ptrace(PTRACE_INTERRUPT, puppet.pid()), 0);
}

TEST_F(EmulationTest, WhatCannotBeTracedIsRefusedAsByTheKernel) {
  TestTracer tracer(emulation_);
  EXPECT_EQ(tracer.Ptrace(PTRACE_ATTACH, tracer.pid()), -EPERM);
  EXPECT_EQ(tracer.Ptrace(PTRACE_ATTACH, 0x3fffff), -ESRCH);
  const Puppet puppet(Basics);
  EXPECT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 1), -EIO);
  EXPECT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid(), 0, 1U << 30), -EIO);
  EXPECT_EQ(tracer.Ptrace(PTRACE_ATTACH, puppet.pid()), 0);
  EXPECT_EQ(tracer.WaitStatus(puppet.pid()), StopStatus(SIGSTOP));
  EXPECT_EQ(tracer.Ptrace(PTRACE_SETOPTIONS, puppet.pid(), 0, 1U << 30), -EINVAL);
  EXPECT_EQ(tracer.Ptrace(0x7777, puppet.pid()), -EIO);
}

TEST_F(EmulationTest, AWaitCanBeCancelled) {
  const Puppet puppet(Basics);
  TestTracer tracer(emulation_);
  ASSERT_EQ(tracer.Ptrace(PTRACE_SEIZE, puppet.pid()), 0);
  const uint64_t serial = tracer.BeginWait(P_ALL, 0, WEXITED);
  EXPECT_EQ(tracer.Ptrace(PTRACE_CONT, puppet.pid()), -ESRCH);  // handled after the wait
  tracer.Cancel(serial);
  EXPECT_EQ(TestTracer::AsWait(tracer.Await(serial)).outcome, wire::WaitOutcome::kNothing);
}

}  // namespace
}  // namespace utrace::ptrace_compat
