#include "core/linux/filtered_tasks.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/linux/call_filter.h"
#include "core/linux/command.h"
#include "core/linux/traced_tasks.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

class Client final : public Owner {
  void OnNoneLeft() override {}
};

// Counts entries and exits of calls by number, of a task and what it creates.
class Counter final : public Engine {
 public:
  explicit Counter(bool follow = true) : follow_(follow) {}
  SyscallResult OnSyscallEntry(SyscallEntry& call) override {
    if (call.repeated()) return Action::kResume;  // because a report was asked for there [SYS-06]
    const std::lock_guard lock(mutex_);
    if (call.State<Open>().number >= 0) ++wrong_;
    call.State<Open>().number = call.number();
    ++entries_[call.number()];
    return Action::kResume;
  }
  Action OnSyscallExit(SyscallExit& call) override {
    const std::lock_guard lock(mutex_);
    // At the exit itself rt_sigreturn has no number any more.
    const long number = std::exchange(call.State<Open>().number, -1);
    if (number < 0) ++wrong_;
    ++exits_[number];
    return Action::kResume;
  }
  Action OnClone(CloneReport& clone) override {
    if (follow_ && !clone.Follow().ok()) ++wrong_;
    return Action::kResume;
  }

  std::map<long, int> entries_;
  std::map<long, int> exits_;
  int wrong_ = 0;  // exits without their entry, and entries before it

 private:
  // The call that a task is in.
  struct Open {
    long number = -1;
  };
  const bool follow_;
  std::mutex mutex_;
};

class FilteredTasks : public testing::Test {
 protected:
  static constexpr Events kEvents = Events::kSyscall | Events::kClone;

  // A shell that will have a filter for `calls`, with nothing else attached.
  void Start(const std::vector<long>& calls, const std::string& script) {
    std::string error;
    const auto filter = CallFilter::Make(calls, &error);
    ASSERT_NE(filter, nullptr) << error;
    ASSERT_EQ(Command::Start({"/bin/sh", "-c", script}, &command_, &error, filter.get()), 0)
        << error;
    const OwnerScope scope(nobody_.get());
    ASSERT_EQ(KeepFiltered(command_->task()), 0);
  }
  void Attach(const std::shared_ptr<Engine>& engine, bool named_calls_only,
              Events events = kEvents) {
    const auto owner = std::make_shared<Client>();
    if (named_calls_only) owner->WantNamedCallsOnly();
    const OwnerScope scope(owner.get());
    auto attachment = Attachment::Attach(command_->task(), engine, events);
    ASSERT_TRUE(attachment) << attachment.status().ToString();
    attachment->Leave();
  }
  int Finish() {
    EXPECT_EQ(command_->Release(), 0);
    return command_->Wait();
  }

  const std::shared_ptr<Client> nobody_ = std::make_shared<Client>();
  std::unique_ptr<Command> command_;
};

// Makes the calls chdir (once by itself, once by a child) and getppid.
constexpr char kScript[] =
    "cd /; (cd /tmp; exit 3); [ $? = 3 ] || exit 9; cat /proc/self/comm >/dev/null";

TEST_F(FilteredTasks, OnlyNamedCallsAreSeenAndEachOnce) {
  Start({SYS_chdir, SYS_execve}, kScript);
  const auto counter = std::make_shared<Counter>();
  Attach(counter, true);
  EXPECT_EQ(Finish(), 0);
  counter->DetachEverywhere();
  EXPECT_EQ(counter->entries_, (std::map<long, int>{{SYS_chdir, 2}, {SYS_execve, 2}}));
  EXPECT_EQ(counter->exits_, counter->entries_);
  EXPECT_EQ(counter->wrong_, 0);
}

TEST_F(FilteredTasks, AnEngineThatWantsAllCallsGetsThemAndNoneTwice) {
  Start({SYS_chdir, SYS_openat}, kScript);
  const auto named = std::make_shared<Counter>();
  const auto all = std::make_shared<Counter>();
  Attach(named, true);
  Attach(all, false);
  EXPECT_EQ(Finish(), 0);
  named->DetachEverywhere();
  all->DetachEverywhere();
  EXPECT_EQ(all->entries_[SYS_chdir], 2);
  EXPECT_GT(all->entries_[SYS_read], 2);
  EXPECT_GT(all->entries_[SYS_exit_group], 2);
  EXPECT_EQ(named->entries_, all->entries_);
  EXPECT_EQ(named->exits_, all->exits_);
  EXPECT_EQ(all->wrong_, 0);
}

TEST_F(FilteredTasks, NoCallFailsWithoutEngines) {
  // Neither in the command nor in what it creates, though nobody else is attached.
  Start({SYS_chdir, SYS_openat, SYS_execve}, kScript);
  EXPECT_EQ(Finish(), 0);
}

TEST_F(FilteredTasks, NoCallFailsWhenTheEngineLeavesOrDoesNotFollow) {
  Start({SYS_chdir, SYS_openat, SYS_execve}, kScript);
  class Leaver final : public Engine {
   public:
    SyscallResult OnSyscallEntry(SyscallEntry& call) override {
      if (call.number() != SYS_chdir) return Action::kResume;
      left_ = true;
      return Action::kDetach;
    }
    std::atomic<bool> left_ = false;
  };
  const auto leaver = std::make_shared<Leaver>();
  Attach(leaver, true, Events::kSyscall);
  EXPECT_EQ(Finish(), 0);
  EXPECT_TRUE(leaver->left_);
}

TEST_F(FilteredTasks, ANamedCallCanBeRefused) {
  Start({SYS_chdir}, "cd / 2>/dev/null && exit 1; exit 5");
  class Refuser final : public Engine {
   public:
    SyscallResult OnSyscallEntry(SyscallEntry& call) override { return call.Refuse(EACCES); }
  };
  Attach(std::make_shared<Refuser>(), true, Events::kSyscallEntry);
  const int status = Finish();
  EXPECT_EQ(WEXITSTATUS(status), 5);
}

TEST_F(FilteredTasks, TheTasksAreShownUntilTheyEnd) {
  Start({SYS_chdir}, ":");
  const std::vector<TracedTask> traced = TracedTasks();
  ASSERT_EQ(traced.size(), 1U);
  ASSERT_EQ(traced[0].engines.size(), 1U);
  EXPECT_EQ(traced[0].engines[0].owner, nobody_);
  EXPECT_EQ(Finish(), 0);
  // The report of its reaping comes after its status is known.
  while (!TracedTasks().empty()) sched_yield();
}

TEST_F(FilteredTasks, ABlockedNamedCallThatIsInterruptedIsSeenOnce) {
  const std::string fifo = testing::TempDir() + "/fifo" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  Start({SYS_read}, "exec 7<>" + fifo + "; read x <&7; [ \"$x\" = word ]");
  const auto counter = std::make_shared<Counter>(/*follow=*/false);
  Attach(counter, true, kEvents | Events::kQuiesce);
  const OwnerScope scope(nobody_.get());
  auto disturber =
      Attachment::Attach(command_->task(), std::make_shared<Counter>(), Events::kQuiesce);
  ASSERT_TRUE(disturber);
  ASSERT_EQ(command_->Release(), 0);
  // The shell reads its standard input, and nothing else before it does.
  const auto await_blocked = [&] {
    utrace_current_syscall call{};
    while (utrace_task_current_syscall(command_->task(), &call) != 0 || call.number != SYS_read ||
           call.arguments[0] != 0) {
      sched_yield();
    }
  };
  for (int n = 0; n < 50; ++n) {
    await_blocked();
    ASSERT_TRUE(disturber->Control(Action::kReport).ok());
  }
  const Fd writer(open(fifo.c_str(), O_WRONLY));
  ASSERT_EQ(write(writer.get(), "word\n", 5), 5);
  // And on, through the reads that give something.
  Status status;
  do {
    status = disturber->Control(Action::kReport);
    sched_yield();
  } while (status.code() != -ESRCH && status.code() != -EALREADY);
  EXPECT_EQ(command_->Wait(), 0);
  unlink(fifo.c_str());
  counter->DetachEverywhere();
  EXPECT_EQ(counter->wrong_, 0);
  EXPECT_GT(counter->entries_[SYS_read], 1);
  EXPECT_EQ(counter->exits_, counter->entries_);
  EXPECT_EQ(counter->entries_.size(), 1U);
}

TEST(CallFilter, RefusesWhatIsNoCall) {
  std::string error;
  EXPECT_EQ(CallFilter::Make({-17}, &error), nullptr);
  EXPECT_NE(error.find("system call -17"), std::string::npos) << error;
}

}  // namespace
}  // namespace utrace::linux_host
