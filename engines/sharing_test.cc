// Two engines on one task that want different things of the same signal, call, register or byte: the
// rules of docs/sharing.md, and what those who list engines are told.
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/linux/command.h"
#include "core/look.h"
#include "gtest/gtest.h"

namespace utrace {
namespace {

// Does what the test says, and notes what it was shown.
class Doer final : public Engine {
 public:
  std::function<SignalResult(SignalReport&)> on_signal;
  std::function<SyscallResult(SyscallEntry&)> on_entry;
  std::function<Action(SyscallExit&)> on_exit;

  SignalResult OnSignal(SignalReport& report) override {
    return on_signal ? on_signal(report) : Action::kResume;
  }
  SyscallResult OnSyscallEntry(SyscallEntry& report) override {
    return on_entry && Concerns(report.number()) ? on_entry(report) : Action::kResume;
  }
  Action OnSyscallExit(SyscallExit& report) override {
    return on_exit && Concerns(report.number()) ? on_exit(report) : Action::kResume;
  }

 private:
  // What the target does for us; it makes other calls before and after.
  static bool Concerns(long number) {
    return number == SYS_lseek || number == SYS_dup2 || number == SYS_getppid ||
           number == SYS_sysfs;
  }
};

// The last callback on the task: notes what everybody has changed by then.
class Witness final : public Engine {
 public:
  std::vector<ChangeCounts> counts;
  Action OnExit(ExitReport& report) override {
    for (const AttachedEngine& engine : LookAt(report.task()).engines) {
      counts.push_back(engine.changes);
    }
    return Action::kResume;
  }
};

class Sharing : public testing::Test {
 protected:
  // Runs the target with both engines on it, `first` attached first.
  int ExitStatusOf(const std::string& what) {
    std::unique_ptr<linux_host::Command> command;
    std::string error;
    EXPECT_EQ(linux_host::Command::Start({"engines/sharing_target", what}, &command, &error), 0)
        << error;
    if (command == nullptr) return -1;
    for (const auto& engine : {first, second}) {
      Events events = Events::kNone;
      if (engine->on_signal) events |= Events::kSignalAll;
      if (engine->on_entry || engine->on_exit) events |= Events::kSyscall;
      auto attachment = Attachment::Attach(command->task(), engine, events);
      EXPECT_TRUE(attachment) << attachment.status().ToString();
      if (attachment) attachment->Leave();
    }
    auto last = Attachment::Attach(command->task(), witness_, Events::kExit);
    EXPECT_TRUE(last);
    if (last) last->Leave();
    EXPECT_EQ(command->Release(), 0);
    const int status = command->Wait();
    for (const auto& engine : {first, second}) engine->DetachEverywhere();
    witness_->DetachEverywhere();
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
  }

  // After ExitStatusOf; those that left are not among them.
  const ChangeCounts& Counts(size_t n) const { return witness_->counts.at(n); }

  const std::shared_ptr<Doer> first = std::make_shared<Doer>();
  const std::shared_ptr<Doer> second = std::make_shared<Doer>();

 private:
  const std::shared_ptr<Witness> witness_ = std::make_shared<Witness>();
};

bool IsUsr1(const SignalReport& report) { return report.info().si_signo == SIGUSR1; }

TEST_F(Sharing, WhoChangesNothingIsNotCounted) {
  first->on_signal = [](SignalReport&) { return Action::kResume; };
  second->on_signal = [](SignalReport&) { return Action::kResume; };
  EXPECT_EQ(ExitStatusOf("signal"), 7);
  EXPECT_EQ(Counts(0), ChangeCounts());
  EXPECT_EQ(Counts(1), ChangeCounts());
}

TEST_F(Sharing, TheLaterEngineHasTheLastWordOnASignal) {
  first->on_signal = [](SignalReport& report) -> SignalResult {
    return IsUsr1(report) ? SignalAction::kIgnore : SignalResult(Action::kResume);
  };
  SignalAction seen{};
  second->on_signal = [&](SignalReport& report) -> SignalResult {
    if (!IsUsr1(report)) return Action::kResume;
    seen = report.signal_so_far();
    return SignalAction::kDeliver;
  };
  EXPECT_EQ(ExitStatusOf("signal"), 7);
  EXPECT_EQ(seen, SignalAction::kIgnore);
  EXPECT_EQ(Counts(0), (ChangeCounts{.signals = 1, .overruled = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.signals = 1}));
}

TEST_F(Sharing, AnActionAloneLeavesTheSignalAsTheOtherDecided) {
  first->on_signal = [](SignalReport& report) -> SignalResult {
    return IsUsr1(report) ? SignalAction::kIgnore : SignalResult(Action::kResume);
  };
  second->on_signal = [](SignalReport&) { return Action::kResume; };
  EXPECT_EQ(ExitStatusOf("signal"), 0);
  EXPECT_EQ(Counts(0), (ChangeCounts{.signals = 1}));
}

TEST_F(Sharing, TheLaterSiginfoIsDelivered) {
  first->on_signal = [](SignalReport& report) {
    if (IsUsr1(report)) report.info().si_value.sival_int = 21;
    return Action::kResume;
  };
  int seen = 0;
  second->on_signal = [&](SignalReport& report) {
    if (IsUsr1(report)) seen = std::exchange(report.info().si_value.sival_int, 22);
    return Action::kResume;
  };
  EXPECT_EQ(ExitStatusOf("signal"), 22);
  EXPECT_EQ(seen, 21);
  EXPECT_EQ(Counts(0), (ChangeCounts{.signals = 1, .overruled = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.signals = 1}));
}

TEST_F(Sharing, DifferentPartsOfASignalAddUp) {
  first->on_signal = [](SignalReport& report) {
    if (IsUsr1(report)) report.info().si_value.sival_int = 21;
    return Action::kResume;
  };
  second->on_signal = [](SignalReport& report) {
    // Only what is applied: the program's own handler stays in force for the next one.
    if (IsUsr1(report)) report.disposition().mask |= 1U << (SIGUSR2 - 1);
    return Action::kResume;
  };
  EXPECT_EQ(ExitStatusOf("signal"), 21);
  EXPECT_EQ(Counts(0), (ChangeCounts{.signals = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.signals = 1}));
}

TEST_F(Sharing, TheLaterDispositionIsApplied) {
  first->on_signal = [](SignalReport& report) {
    if (IsUsr1(report)) report.disposition().handler = UTRACE_SIG_IGN;
    return Action::kResume;
  };
  second->on_signal = [](SignalReport& report) {
    if (IsUsr1(report)) report.disposition() = *report.original();
    return Action::kResume;
  };
  EXPECT_EQ(ExitStatusOf("signal"), 7);
  EXPECT_EQ(Counts(0), (ChangeCounts{.signals = 1, .overruled = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.signals = 1}));
}

TEST_F(Sharing, WhatAnEngineChangedOutlivesItsDetaching) {
  first->on_signal = [](SignalReport& report) {
    if (!IsUsr1(report)) return Action::kResume;
    report.info().si_value.sival_int = 21;
    return Action::kDetach;
  };
  second->on_signal = [](SignalReport&) { return Action::kResume; };
  EXPECT_EQ(ExitStatusOf("signal"), 21);
}

TEST_F(Sharing, TheFirstAttachedHasTheLastWordOnACall) {
  first->on_entry = [](SyscallEntry& call) { return call.Refuse(EPERM); };
  second->on_entry = [](SyscallEntry& call) { return call.Refuse(EACCES); };
  EXPECT_EQ(ExitStatusOf("call"), EPERM);
  EXPECT_EQ(Counts(0), (ChangeCounts{.calls = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.calls = 1, .aborts = 1, .overruled = 1}));
}

TEST_F(Sharing, ARefusedCallCanBeMadeToRunAgain) {
  first->on_entry = [](SyscallEntry&) { return SyscallAction::kRun; };
  second->on_entry = [](SyscallEntry& call) { return call.Refuse(EACCES); };
  EXPECT_EQ(ExitStatusOf("call"), EBADF);
  EXPECT_EQ(Counts(0), (ChangeCounts{.calls = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.calls = 1, .aborts = 1, .overruled = 1}));
}

TEST_F(Sharing, AnActionAloneLeavesACallRefused) {
  first->on_entry = [](SyscallEntry&) { return Action::kResume; };
  second->on_entry = [](SyscallEntry& call) { return call.Refuse(EACCES); };
  EXPECT_EQ(ExitStatusOf("call"), EACCES);
  EXPECT_EQ(Counts(0), ChangeCounts());
  EXPECT_EQ(Counts(1), (ChangeCounts{.calls = 1, .aborts = 1}));
}

TEST_F(Sharing, DifferentArgumentsAddUp) {
  first->on_entry = [](SyscallEntry& call) {
    EXPECT_TRUE(call.machine().SetSyscallArgument(1, 51).ok());
    return Action::kResume;
  };
  second->on_entry = [](SyscallEntry& call) {
    EXPECT_TRUE(call.machine().SetSyscallArgument(0, 1).ok());
    return Action::kResume;
  };
  EXPECT_EQ(ExitStatusOf("dup"), 51);
  EXPECT_EQ(Counts(0), (ChangeCounts{.calls = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.calls = 1}));
}

TEST_F(Sharing, OfOneArgumentTheFirstAttachedDecides) {
  uint64_t seen = 0;
  first->on_entry = [&](SyscallEntry& call) {
    seen = call.argument(1);
    EXPECT_TRUE(call.machine().SetSyscallArgument(1, 51).ok());
    return Action::kResume;
  };
  second->on_entry = [](SyscallEntry& call) {
    EXPECT_TRUE(call.machine().SetSyscallArgument(1, 52).ok());
    return Action::kResume;
  };
  EXPECT_EQ(ExitStatusOf("dup"), 51);
  EXPECT_EQ(seen, 52U);
  EXPECT_EQ(Counts(0), (ChangeCounts{.calls = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.calls = 1, .overruled = 1}));
}

TEST_F(Sharing, TheCallIsTheOneThatTheFirstAttachedNames) {
  first->on_entry = [](SyscallEntry& call) {
    EXPECT_TRUE(call.machine().SetSyscallNumber(SYS_dup2).ok());
    return Action::kResume;
  };
  second->on_entry = [](SyscallEntry& call) {
    EXPECT_TRUE(call.machine().SetSyscallNumber(SYS_getppid).ok());
    return Action::kResume;
  };
  EXPECT_EQ(ExitStatusOf("dup"), 50);
  EXPECT_EQ(Counts(1), (ChangeCounts{.calls = 1, .overruled = 1}));
}

TEST_F(Sharing, TheResultIsTheOneThatTheLaterSets) {
  first->on_exit = [](SyscallExit& call) {
    EXPECT_TRUE(call.machine().SetSyscallValue(61).ok());
    return Action::kResume;
  };
  long seen = 0;
  second->on_exit = [&](SyscallExit& call) {
    const auto outcome = call.outcome();
    seen = outcome ? outcome->value : -1;
    EXPECT_TRUE(call.machine().SetSyscallValue(62).ok());
    return Action::kResume;
  };
  EXPECT_EQ(ExitStatusOf("call"), 62);
  EXPECT_EQ(seen, 61);
  EXPECT_EQ(Counts(0), (ChangeCounts{.calls = 1, .overruled = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.calls = 1}));
}

TEST_F(Sharing, OfOneByteTheLastWriterDecides) {
  const auto write = [](int value) {
    return [value](SyscallEntry& call) {
      EXPECT_TRUE(call.machine().Write(call.argument(1), value).ok());
      return Action::kResume;
    };
  };
  first->on_entry = write(71);
  second->on_entry = write(72);
  EXPECT_EQ(ExitStatusOf("memory"), 71);
  EXPECT_EQ(Counts(0), (ChangeCounts{.memory = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.memory = 1}));
}

#ifdef __x86_64__
TEST_F(Sharing, OfOneRegisterTheLastWriterDecidesAndOthersStay) {
  const auto write = [](const SyscallExit& call, size_t position, uint64_t value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    EXPECT_TRUE(call.machine().WriteRegisters(0, position, bytes).ok());
  };
  first->on_exit = [&](SyscallExit& call) {
    write(call, offsetof(user_regs_struct, r12), 5);
    write(call, offsetof(user_regs_struct, r13), 6);
    return Action::kResume;
  };
  second->on_exit = [&](SyscallExit& call) {
    write(call, offsetof(user_regs_struct, r13), 7);
    return Action::kResume;
  };
  EXPECT_EQ(ExitStatusOf("registers"), 0x57);
  EXPECT_EQ(Counts(0), (ChangeCounts{.registers = 1}));
  EXPECT_EQ(Counts(1), (ChangeCounts{.registers = 1}));
}
#endif

}  // namespace
}  // namespace utrace
