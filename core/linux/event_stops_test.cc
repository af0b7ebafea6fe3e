// Where a task is, and what its registers show, when an engine holds it for fork, vfork and exec: what the
// stops of ptrace's events are made of.
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "core/engine.h"
#include "core/linux/command.h"
#include "core/linux/ptrace_requests.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

constexpr auto kGuard = std::chrono::seconds(30);
constexpr const char* kTarget = "--target";
constexpr int kDone = 5;

// What a vfork's child writes its parent reads.
volatile int shared = 0;

int Target(const std::string& mode) {
  if (mode == "vfork") {
    const pid_t child = vfork();
    if (child == 0) {
      shared = kDone;
      _exit(0);
    }
    return child > 0 ? shared : 1;
  }
  if (mode == "fork") {
    const auto child = static_cast<pid_t>(syscall(SYS_fork));
    if (child == 0) _exit(0);
    return child > 0 && waitpid(child, nullptr, 0) == child ? kDone : 1;
  }
  if (mode == "again") return kDone;
  execl("/proc/self/exe", "target", kTarget, "again", nullptr);
  return 1;
}

class Promise {
 public:
  void Set() { promise_.set_value(); }
  bool Await() { return promise_.get_future().wait_for(kGuard) == std::future_status::ready; }

 private:
  std::promise<void> promise_;
};

// Holds the task at its first fork or, by choice, at its exec; sees the child die.
class Holder final : public Engine {
 public:
  explicit Holder(pid_t parent) : parent_(parent) {}
  Action OnClone(CloneReport& clone) override {
    if (!clone.Follow().ok()) ADD_FAILURE();
    child_ = clone.child().tid();
    reached_.Set();
    return Action::kStop;
  }
  Action OnExec(ExecReport& exec) override {
    // The first is that of the target itself.
    if (++execs_ != 2) return Action::kResume;
    entry_ = exec.program().entry;
    reached_.Set();
    return Action::kStop;
  }
  Action OnDeath(DeathReport& death) override {
    if (death.task().tid() != parent_) child_died_.Set();
    return Action::kResume;
  }
  const pid_t parent_;
  pid_t child_ = 0;
  int execs_ = 0;
  uint64_t entry_ = 0;
  Promise reached_;
  Promise child_died_;
};

class EventStops : public testing::Test {
 protected:
  void Start(const char* mode) {
    std::string error;
    ASSERT_EQ(Command::Start({"/proc/self/exe", kTarget, mode}, &command_, &error), 0) << error;
    holder_ = std::make_shared<Holder>(command_->pid());
    auto attachment = Attachment::Attach(command_->task(), holder_,
                                         Events::kClone | Events::kExec | Events::kDeath);
    ASSERT_TRUE(attachment) << attachment.status().ToString();
    attachment_ = std::move(*attachment);
    ASSERT_EQ(command_->Release(), 0);
    ASSERT_TRUE(holder_->reached_.Await());
  }
  // Of the task, which is about to be held where it has got to.
  user_regs_struct Registers() {
    for (;;) {
      auto examination = Examination::Begin(attachment_);
      if (examination) break;
      EXPECT_EQ(examination.status().code(), -EINVAL);  // not yet
      if (examination.status().code() != -EINVAL) break;
      sched_yield();
    }
    user_regs_struct registers{};
    EXPECT_EQ(PtraceStateRequest(command_->task(), PTRACE_GETREGS, 0, &registers), 0);
    return registers;
  }
  int Finish() {
    EXPECT_TRUE(attachment_.Control(Action::kResume).ok());
    const int status = command_->Wait();
    holder_->DetachEverywhere();
    attachment_ = Attachment();
    return WEXITSTATUS(status);
  }

  std::unique_ptr<Command> command_;
  std::shared_ptr<Holder> holder_;
  Attachment attachment_;
};

TEST_F(EventStops, VforkHoldsTheParentInTheCallWhileTheChildRunsToItsEnd) {
  Start("vfork");
  ASSERT_TRUE(holder_->child_died_.Await());
  // The kernel would let it go now.
  const user_regs_struct registers = Registers();
  EXPECT_EQ(registers.orig_rax, static_cast<uint64_t>(SYS_vfork));
  EXPECT_EQ(static_cast<int64_t>(registers.rax), -ENOSYS);
  unsigned long child = 0;
  EXPECT_EQ(PtraceStateRequest(command_->task(), PTRACE_GETEVENTMSG, 0, &child), 0);
  EXPECT_EQ(static_cast<pid_t>(child), holder_->child_);
  EXPECT_EQ(Finish(), kDone);
}

TEST_F(EventStops, ForkHoldsTheParentAtTheEndOfTheCall) {
  Start("fork");
  const user_regs_struct registers = Registers();
  EXPECT_EQ(registers.orig_rax, static_cast<uint64_t>(SYS_fork));
  EXPECT_EQ(static_cast<pid_t>(registers.rax), holder_->child_);
  EXPECT_EQ(Finish(), kDone);
}

TEST_F(EventStops, ExecHoldsAtTheFirstInstructionOfTheProgram) {
  Start("exec");
  const user_regs_struct registers = Registers();
  EXPECT_EQ(registers.orig_rax, static_cast<uint64_t>(SYS_execve));
  EXPECT_EQ(registers.rax, 0U);
  EXPECT_EQ(registers.rip, holder_->entry_);
  uint64_t argc = 0;
  EXPECT_EQ(PtraceStateRequest(command_->task(), PTRACE_PEEKDATA, registers.rsp, &argc), 0);
  EXPECT_EQ(argc, 3U);
  EXPECT_EQ(Finish(), kDone);
}

}  // namespace
}  // namespace utrace::linux_host

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], utrace::linux_host::kTarget) == 0) {
    return utrace::linux_host::Target(argc > 2 ? argv[2] : "");
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
