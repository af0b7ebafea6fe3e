#include "core/linux/ptrace_requests.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/linux/command.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

constexpr auto kGuard = std::chrono::seconds(30);

// Does something at the first entry of a call, and tells that it was there.
class AtCall final : public Engine {
 public:
  using Work = std::function<Action(SyscallEntry&)>;
  AtCall(long number, Work work) : number_(number), work_(std::move(work)) {}
  SyscallResult OnSyscallEntry(SyscallEntry& call) override {
    if (call.number() != number_ || call.repeated() || std::exchange(done_, true)) {
      return Action::kResume;
    }
    const Action action = work_(call);
    reached_.set_value();
    return action;
  }
  // Fails the test if that takes very long.
  void AwaitReached() {
    ASSERT_EQ(reached_.get_future().wait_for(kGuard), std::future_status::ready);
  }

 private:
  const long number_;
  const Work work_;
  bool done_ = false;
  std::promise<void> reached_;
};

class PtraceRequests : public testing::Test {
 protected:
  void Start(const std::string& script) {
    std::string error;
    ASSERT_EQ(Command::Start({"/bin/sh", "-c", script}, &command_, &error), 0) << error;
    task_ = TaskRef::Share(command_->task());
  }
  void Attach(const std::shared_ptr<Engine>& engine, Events events) {
    auto attachment = Attachment::Attach(task_, engine, events);
    ASSERT_TRUE(attachment) << attachment.status().ToString();
    attachment_ = std::move(*attachment);
  }
  // Runs `work` at the entry of the shell's chdir.
  void AtChdir(AtCall::Work work) {
    engine_ = std::make_shared<AtCall>(SYS_chdir, std::move(work));
    Attach(engine_, Events::kSyscallEntry);
    ASSERT_EQ(command_->Release(), 0);
    engine_->AwaitReached();
  }
  long Request(long request, uint64_t address, void* data) {
    return PtraceStateRequest(task_, request, address, data);
  }

  std::unique_ptr<Command> command_;
  TaskRef task_;
  Attachment attachment_;
  std::shared_ptr<AtCall> engine_;
};

TEST_F(PtraceRequests, ReadAndChangeStateInACallback) {
  Start("cd / && exit 1; exit 5");
  AtChdir([&](SyscallEntry& call) {
    user_regs_struct regs{};
    EXPECT_EQ(Request(PTRACE_GETREGS, 0, &regs), 0);
    EXPECT_EQ(call.machine().Pc().value_or(0), regs.rip);
    EXPECT_EQ(regs.orig_rax, static_cast<uint64_t>(SYS_chdir));
    uint64_t word = 0;
    EXPECT_EQ(Request(PTRACE_PEEKUSER, offsetof(user, regs.rsp), &word), 0);
    EXPECT_EQ(word, regs.rsp);
    EXPECT_EQ(Request(PTRACE_PEEKDATA, regs.rdi, &word), 0);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(&word)), "/");
    iovec vector{&regs, sizeof(regs)};
    EXPECT_EQ(Request(PTRACE_GETREGSET, NT_PRSTATUS, &vector), 0);
    EXPECT_EQ(vector.iov_len, sizeof(regs));
    uint64_t mask = 0;
    EXPECT_EQ(Request(PTRACE_GETSIGMASK, sizeof(mask), &mask), 0);
    // What the request changes, the contract's calls see, and the program.
    EXPECT_EQ(Request(PTRACE_POKEUSER, offsetof(user, regs.rdi), nullptr), 0);
    EXPECT_EQ(call.argument(0), 0U);
    EXPECT_EQ(Request(PTRACE_GETREGS, 0, &regs), 0);
    regs.r12 = 4711;
    const uint64_t r12 = regs.r12;
    EXPECT_EQ(Request(PTRACE_SETREGS, 0, &regs), 0);
    EXPECT_EQ(Request(PTRACE_PEEKUSER, offsetof(user, regs.r12), &word), 0);
    EXPECT_EQ(word, r12);
    return Action::kDetach;
  });
  int status = command_->Wait();
  // chdir(NULL) fails. A shell whose r12 is not what it was may do anything after that.
  EXPECT_FALSE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
}

TEST_F(PtraceRequests, ThatDoMoreAreRefused) {
  Start("cd /; exit 5");
  AtChdir([&](SyscallEntry&) {
    siginfo_t info{};
    for (const long request :
         {PTRACE_TRACEME, PTRACE_CONT, PTRACE_KILL, PTRACE_SINGLESTEP, PTRACE_ATTACH, PTRACE_DETACH,
          PTRACE_SYSCALL, PTRACE_SETOPTIONS, PTRACE_SETSIGINFO, PTRACE_SEIZE, PTRACE_INTERRUPT,
          PTRACE_LISTEN, PTRACE_SYSEMU, PTRACE_SYSEMU_SINGLESTEP, PTRACE_SINGLEBLOCK}) {
      EXPECT_EQ(Request(request, 0, &info), -EIO) << request;
    }
    return Action::kResume;
  });
  const int status = command_->Wait();
  EXPECT_EQ(WEXITSTATUS(status), 5);
}

TEST_F(PtraceRequests, GiveTheErrorOfTheKernel) {
  Start("cd /; exit 5");
  AtChdir([&](SyscallEntry&) {
    uint64_t word = 0;
    EXPECT_EQ(Request(PTRACE_PEEKDATA, 8, &word), -EIO);
    EXPECT_EQ(Request(PTRACE_PEEKUSER, 3, &word), -EIO);
    iovec vector{&word, sizeof(word)};
    EXPECT_EQ(Request(PTRACE_GETREGSET, 0x12345, &vector), -EINVAL);
    return Action::kResume;
  });
  const int status = command_->Wait();
  EXPECT_EQ(WEXITSTATUS(status), 5);
}

TEST_F(PtraceRequests, ServeAnyThreadWhileTheTaskIsHeld) {
  Start("cd /; exit 5");
  AtChdir([&](SyscallEntry&) { return Action::kStop; });
  // Asked while the callback may still be on its way out.
  user_regs_struct regs{};
  EXPECT_EQ(Request(PTRACE_GETREGS, 0, &regs), 0);
  EXPECT_EQ(regs.orig_rax, static_cast<uint64_t>(SYS_chdir));
  ASSERT_TRUE(attachment_.SetEvents(Events::kDeath).ok());
  ASSERT_TRUE(attachment_.Control(Action::kResume).ok());
  EXPECT_EQ(WEXITSTATUS(command_->Wait()), 5);
  EXPECT_EQ(Request(PTRACE_GETREGS, 0, &regs), -ESRCH);
}

TEST_F(PtraceRequests, FindATaskThatWasKilledInItsStop) {
  Start("cd /; exit 5");
  AtChdir([&](SyscallEntry&) { return Action::kStop; });
  user_regs_struct regs{};
  ASSERT_EQ(Request(PTRACE_GETREGS, 0, &regs), 0);
  ASSERT_EQ(kill(command_->pid(), SIGKILL), 0);
  EXPECT_EQ(WTERMSIG(command_->Wait()), SIGKILL);
  EXPECT_EQ(Request(PTRACE_GETREGS, 0, &regs), -ESRCH);
}

TEST_F(PtraceRequests, AreRefusedWhileTheTaskRuns) {
  Start("read x");
  const auto nothing = std::make_shared<AtCall>(-1, nullptr);
  Attach(nothing, Events::kExec);
  user_regs_struct regs{};
  EXPECT_EQ(Request(PTRACE_GETREGS, 0, &regs), -EINVAL);
}

// Keeps the status that there is at each step of a task's end.
class Mourner final : public Engine {
 public:
  Action OnExit(ExitReport& exit) override {
    at_exit_ = DeathStatus(exit.task());
    return Action::kResume;
  }
  Action OnDeath(DeathReport& death) override {
    at_death_ = DeathStatus(death.task());
    return Action::kResume;
  }
  std::optional<int> at_exit_;
  std::optional<int> at_death_;
};

TEST_F(PtraceRequests, TellTheStatusOfTheDead) {
  for (const auto& [script, expected] : std::vector<std::pair<std::string, int>>{
           {"exit 7", 7 << 8}, {"kill -TERM $$", SIGTERM}, {"kill -KILL $$", SIGKILL}}) {
    Start(script);
    const auto mourner = std::make_shared<Mourner>();
    Attach(mourner, Events::kExit | Events::kDeath);
    attachment_.Leave();
    ASSERT_EQ(command_->Release(), 0);
    EXPECT_EQ(command_->Wait(), expected);
    EXPECT_EQ(mourner->at_exit_, std::nullopt);
    EXPECT_EQ(mourner->at_death_, expected) << script;
  }
}

}  // namespace
}  // namespace utrace::linux_host
