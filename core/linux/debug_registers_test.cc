// Debug registers that several share, on a live thread. The traps are the target's own signals, made to look
// like the processor's: virtual machines may have registers that never trap.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/linux/command.h"
#include "core/linux/ptrace_requests.h"
#include "core/linux/traced_tasks.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

using Owners = std::vector<uint64_t>;

constexpr auto kGuard = std::chrono::seconds(30);
constexpr const char* kTarget = "--target";
constexpr uint64_t kAddress = 0x600000;
constexpr uint64_t kWrite4InSlot0 = 0xd0001;
constexpr int kDone = 5;

// Sends itself SIGUSR2 as a mark, waits for SIGUSR1, has a trap as of a debug register, and another mark.
int Target(bool exec) {
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, nullptr);
  raise(SIGUSR2);
  if (exec) {
    execl("/proc/self/exe", "target", kTarget, nullptr);
    return 1;
  }
  int signal = 0;
  sigwait(&usr1, &signal);
  siginfo_t trap{};
  trap.si_signo = SIGTRAP;
  trap.si_code = TRAP_HWBKPT;
  syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGTRAP, &trap);
  raise(SIGUSR2);
  return kDone;
}

// Does something at each mark, and looks at the trap.
class Tracer final : public Engine {
 public:
  using Work = std::function<void(TaskView)>;
  explicit Tracer(std::vector<Work> marks) : marks_(std::move(marks)) {}
  SignalResult OnSignal(SignalReport& report) override {
    if (report.info().si_signo == SIGUSR2) {
      if (reached_ < marks_.size()) marks_[reached_](report.task());
      if (++reached_ == 1) first_.set_value();
      return SignalAction::kIgnore;
    }
    if (report.info().si_signo != SIGTRAP) return Action::kResume;
    trap_owners_ = OwnersOfTrap(report.task());
    for (const uint64_t owner : {1, 2}) {
      GetDebugRegister(report.task(), owner, 6, &trap_status_[owner]);
    }
    return SignalAction::kIgnore;
  }
  bool AwaitFirst() { return first_.get_future().wait_for(kGuard) == std::future_status::ready; }

  size_t reached_ = 0;
  std::optional<Owners> trap_owners_;
  std::array<uint64_t, 3> trap_status_{};

 private:
  const std::vector<Work> marks_;
  std::promise<void> first_;
};

uint64_t OfThread(TaskView task, unsigned index) {
  uint64_t value = ~uint64_t{0};
  const uint64_t offset = offsetof(user, u_debugreg) + index * 8;
  EXPECT_EQ(DebugRegisterAt(offset), index);
  EXPECT_EQ(PtraceStateRequest(task, PTRACE_PEEKUSER, offset, &value), 0);
  return value;
}

void Watch(TaskView task, uint64_t owner, uint64_t address) {
  EXPECT_EQ(SetDebugRegister(task, owner, 0, address), 0);
  EXPECT_EQ(SetDebugRegister(task, owner, 7, kWrite4InSlot0), 0);
}

class DebugRegisters : public testing::Test {
 protected:
  void Start(std::vector<Tracer::Work> marks, const char* mode = "") {
    std::string error;
    ASSERT_EQ(Command::Start({"/proc/self/exe", kTarget, mode}, &command_, &error), 0) << error;
    tracer_ = std::make_shared<Tracer>(std::move(marks));
    auto attachment = Attachment::Attach(command_->task(), tracer_, Events::kSignalAll);
    ASSERT_TRUE(attachment) << attachment.status().ToString();
    attachment_ = std::move(*attachment);
    ASSERT_EQ(command_->Release(), 0);
    ASSERT_TRUE(tracer_->AwaitFirst());
  }
  int Finish() {
    kill(command_->pid(), SIGUSR1);
    const int status = command_->Wait();
    attachment_ = Attachment();
    return status;
  }
  std::unique_ptr<Command> command_;
  std::shared_ptr<Tracer> tracer_;
  Attachment attachment_;
};

TEST_F(DebugRegisters, OfAllOwnersAreTheThreads) {
  Start({[](TaskView task) {
    Watch(task, 1, kAddress);
    Watch(task, 2, kAddress + 8);
    EXPECT_EQ(OfThread(task, 0), kAddress);
    EXPECT_EQ(OfThread(task, 1), kAddress + 8);
    EXPECT_EQ(OfThread(task, 7), 0xdd0005U);
    uint64_t value = 0;
    EXPECT_EQ(GetDebugRegister(task, 2, 0, &value), 0);
    EXPECT_EQ(value, kAddress + 8);
    // What the kernel refuses changes nothing.
    EXPECT_EQ(SetDebugRegister(task, 2, 0, kAddress + 1), -EINVAL);
    EXPECT_EQ(SetDebugRegister(task, 2, 4, 0), -EIO);
    EXPECT_EQ(GetDebugRegister(task, 2, 0, &value), 0);
    EXPECT_EQ(value, kAddress + 8);
    EXPECT_EQ(OfThread(task, 0), kAddress);
    EXPECT_EQ(OfThread(task, 1), kAddress + 8);
    EXPECT_EQ(OfThread(task, 7), 0xdd0005U);
    DropDebugRegisters(task, 1);
    EXPECT_EQ(OfThread(task, 0), kAddress + 8);
    EXPECT_EQ(OfThread(task, 7), kWrite4InSlot0);
    DropDebugRegisters(task, 2);
    EXPECT_EQ(OfThread(task, 7), 0U);
  }});
  EXPECT_EQ(WEXITSTATUS(Finish()), kDone);
}

TEST_F(DebugRegisters, TellWhoseTheirTrapsAre) {
  Start({[](TaskView task) {
    Watch(task, 1, kAddress);
    Watch(task, 2, kAddress + 8);
    // What the kernel would have put there: the second of the thread's was met.
    EXPECT_EQ(PtraceStateRequest(task, PTRACE_POKEUSER, offsetof(user, u_debugreg[6]),
                                 reinterpret_cast<void*>(uint64_t{0xffff0ff2})),
              0);
  }});
  EXPECT_EQ(WEXITSTATUS(Finish()), kDone);
  EXPECT_EQ(tracer_->trap_owners_, (Owners{2}));
  EXPECT_EQ(tracer_->trap_status_[1], 0xffff0ff0U);
  EXPECT_EQ(tracer_->trap_status_[2], 0xffff0ff1U);
}

TEST_F(DebugRegisters, ThatWereDroppedWhileTheTaskRanStopNobody) {
  Start({[](TaskView task) { Watch(task, 1, kAddress); },
         [](TaskView task) { EXPECT_EQ(OfThread(task, 7), 0U); }});
  utrace_current_syscall call{};
  while (utrace_task_current_syscall(command_->task(), &call) != 0 ||
         call.number != SYS_rt_sigtimedwait) {
    sched_yield();
  }
  // Blocked in the kernel, and it stops for no system call: the trap is the next that is heard of it.
  DropDebugRegisters(command_->task(), 1);
  const int status = Finish();
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(tracer_->trap_owners_, std::nullopt);
}

TEST_F(DebugRegisters, AreGoneAfterAnExec) {
  Start({[](TaskView task) { Watch(task, 1, kAddress); },
         [](TaskView task) {
           for (const unsigned index : {0U, 7U}) {
             uint64_t value = 1;
             EXPECT_EQ(GetDebugRegister(task, 1, index, &value), 0);
             EXPECT_EQ(value, 0U);
             EXPECT_EQ(OfThread(task, index), 0U);
           }
           Watch(task, 1, kAddress + 16);
           EXPECT_EQ(OfThread(task, 0), kAddress + 16);
           EXPECT_EQ(OfThread(task, 7), kWrite4InSlot0);
         }},
        "exec");
  EXPECT_EQ(WEXITSTATUS(Finish()), kDone);
  EXPECT_EQ(tracer_->reached_, 3U);
}

TEST_F(DebugRegisters, AreTakenFromATaskThatIsLetGo) {
  Start({[](TaskView task) { Watch(task, 1, kAddress); }});
  attachment_ = Attachment();
  AwaitReleased();
  // Whoever comes next finds a thread without.
  tracer_ = std::make_shared<Tracer>(
      std::vector<Tracer::Work>{[](TaskView task) { EXPECT_EQ(OfThread(task, 7), 0U); }});
  auto attachment = Attachment::Attach(command_->task(), tracer_, Events::kSignalAll);
  ASSERT_TRUE(attachment) << attachment.status().ToString();
  attachment_ = std::move(*attachment);
  EXPECT_EQ(WEXITSTATUS(Finish()), kDone);
  EXPECT_EQ(tracer_->reached_, 1U);
  EXPECT_EQ(tracer_->trap_owners_, Owners{});
}

}  // namespace
}  // namespace utrace::linux_host

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], utrace::linux_host::kTarget) == 0) {
    return utrace::linux_host::Target(argc > 2 && std::strcmp(argv[2], "exec") == 0);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
