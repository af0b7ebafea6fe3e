// Calls that a program's own seccomp filter wants traced.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/calls_wanted.h"
#include "core/engine.h"
#include "core/linux/command.h"
#include "core/linux/ptrace_requests.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

constexpr auto kGuard = std::chrono::seconds(30);
constexpr uint32_t kData = 42;
constexpr const char* kTarget = "--target";

// Exit statuses of the target: one bit for each of its two calls that ran, and these.
constexpr int kNotAllowed = 16;
constexpr int kOther = 32;

int Judge(long result, int bit) {
  if (result == getpid()) return bit;
  if (result == -1 && errno == ENOSYS) return 0;
  return result == -1 && errno == EPERM ? kNotAllowed : kOther;
}

// Has a filter that wants getpgrp traced, and makes that call twice.
int Target() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgrp, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | kData),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = sizeof(code) / sizeof(code[0]), .filter = code};
  if (setpgid(0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    return kOther;
  }
  const int first = Judge(syscall(SYS_getpgrp), 1);
  return first | Judge(syscall(SYS_getpgrp), 2);
}

// One report, as an engine got it.
struct Seen {
  long number = -1;
  bool entry = false;
  bool repeated = false;
  std::optional<uint32_t> data;
  friend bool operator==(const Seen&, const Seen&) = default;
};

class Watcher : public Engine {
 public:
  SyscallResult OnSyscallEntry(SyscallEntry& call) override {
    number_ = call.number();
    Note({.number = number_,
          .entry = true,
          .repeated = call.repeated(),
          .data = FilterData(call.task())});
    return Action::kResume;
  }
  Action OnSyscallExit(SyscallExit& call) override {
    Note({.number = number_, .entry = false, .data = FilterData(call.task())});
    return Action::kResume;
  }
  // Those of getpgrp; of other calls, how many there were.
  std::vector<Seen> seen_;
  int others_ = 0;

 private:
  void Note(const Seen& seen) {
    if (seen.number == SYS_getpgrp) {
      seen_.push_back(seen);
    } else {
      ++others_;
    }
  }
  long number_ = -1;
};

constexpr Seen kFirstEntry{.number = SYS_getpgrp, .entry = true};
constexpr Seen kFilterStop{.number = SYS_getpgrp, .entry = true, .data = kData};
constexpr Seen kFilterStopAgain{
    .number = SYS_getpgrp, .entry = true, .repeated = true, .data = kData};
constexpr Seen kExit{.number = SYS_getpgrp};

class ForeignFilters : public testing::Test {
 protected:
  void SetUp() override {
    std::string error;
    ASSERT_EQ(Command::Start({"/proc/self/exe", kTarget}, &command_, &error), 0) << error;
  }
  Attachment& Attach(const std::shared_ptr<Engine>& engine, CallsWanted wanted,
                     Events events = Events::kSyscall) {
    auto attachment = Attachment::Attach(command_->task(), engine, Events());
    EXPECT_TRUE(attachment) << attachment.status().ToString();
    attachments_.push_back(std::move(*attachment));
    EXPECT_TRUE(WantCalls(attachments_.back().handle(), wanted).ok());
    EXPECT_TRUE(attachments_.back().SetEvents(events).ok());
    return attachments_.back();
  }
  // The target's exit status; nothing is attached any more.
  int Finish() {
    EXPECT_EQ(command_->Release(), 0);
    return Await();
  }
  int Await() {
    const int status = command_->Wait();
    attachments_.clear();
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
  }

  std::unique_ptr<Command> command_;
  std::vector<Attachment> attachments_;
  const std::shared_ptr<Watcher> watcher_ = std::make_shared<Watcher>();
  const std::shared_ptr<Watcher> other_ = std::make_shared<Watcher>();
};

TEST_F(ForeignFilters, FailTheCallsWhereNobodyWantsThem) {
  Attach(watcher_, {});
  EXPECT_EQ(Finish(), 0);
  EXPECT_EQ(watcher_->seen_, (std::vector{kFirstEntry, kExit, kFirstEntry, kExit}));
  EXPECT_GT(watcher_->others_, 10);
}

TEST_F(ForeignFilters, StopForTheirCallsAlone) {
  Attach(watcher_, {.all = false, .filtered = true});
  EXPECT_EQ(Finish(), 3);
  EXPECT_EQ(watcher_->seen_, (std::vector{kFilterStop, kExit, kFilterStop, kExit}));
  EXPECT_EQ(watcher_->others_, 0);
}

TEST_F(ForeignFilters, StopForTheirEntriesAlone) {
  Attach(watcher_, {.all = false, .filtered = true}, Events::kSyscallEntry);
  EXPECT_EQ(Finish(), 3);
  EXPECT_EQ(watcher_->seen_, (std::vector{kFilterStop, kFilterStop}));
  EXPECT_EQ(watcher_->others_, 0);
}

TEST_F(ForeignFilters, StopAfterTheEntryThatAllCallsHave) {
  Attach(watcher_, {.all = true, .filtered = true});
  Attach(other_, {});
  EXPECT_EQ(Finish(), 3);
  EXPECT_EQ(watcher_->seen_, (std::vector{kFirstEntry, kFilterStopAgain, kExit, kFirstEntry,
                                          kFilterStopAgain, kExit}));
  EXPECT_EQ(other_->seen_, watcher_->seen_);
  EXPECT_GT(watcher_->others_, 10);
}

TEST_F(ForeignFilters, AreOfNoAccountToWhoWantsNoCalls) {
  Attach(watcher_, {.all = false, .filtered = false});
  EXPECT_EQ(Finish(), 0);
  EXPECT_TRUE(watcher_->seen_.empty());
  EXPECT_EQ(watcher_->others_, 0);
}

TEST_F(ForeignFilters, LetACallBeRefused) {
  class Refuser final : public Engine {
   public:
    SyscallResult OnSyscallEntry(SyscallEntry& call) override { return call.Refuse(EPERM); }
  };
  Attach(std::make_shared<Refuser>(), {.all = false, .filtered = true}, Events::kSyscallEntry);
  EXPECT_EQ(Finish(), kNotAllowed);
}

TEST_F(ForeignFilters, FailTheCallsOnceWhoWantedThemHasLeft) {
  class Leaver final : public Engine {
   public:
    SyscallResult OnSyscallEntry(SyscallEntry&) override { return Action::kDetach; }
  };
  Attach(std::make_shared<Leaver>(), {.all = false, .filtered = true}, Events::kSyscallEntry);
  Attach(watcher_, {}, Events::kQuiesce);
  EXPECT_EQ(Finish(), 1);
}

// Stays at the first filter's stop.
class Holder final : public Watcher {
 public:
  SyscallResult OnSyscallEntry(SyscallEntry& call) override {
    Watcher::OnSyscallEntry(call);
    if (seen_.size() != 1) return Action::kResume;
    held_.set_value();
    return Action::kStop;
  }
  bool AwaitHeld() { return held_.get_future().wait_for(kGuard) == std::future_status::ready; }

 private:
  std::promise<void> held_;
};

TEST_F(ForeignFilters, HoldTheTaskThereWhileItIsDecidedWhatToSeeOfTheCall) {
  const auto holder = std::make_shared<Holder>();
  Attachment& attachment = Attach(holder, {.all = false, .filtered = true}, Events::kSyscallEntry);
  ASSERT_EQ(command_->Release(), 0);
  ASSERT_TRUE(holder->AwaitHeld());
  EXPECT_EQ(FilterData(command_->task()), kData);
  // As PTRACE_SYSCALL does from there: the exit, and from then on all calls.
  ASSERT_TRUE(attachment.SetEvents(Events::kSyscall).ok());
  ASSERT_TRUE(WantCalls(attachment.handle(), {.all = true, .filtered = true}).ok());
  ASSERT_TRUE(attachment.Control(Action::kResume).ok());
  EXPECT_EQ(Await(), 3);
  EXPECT_EQ(holder->seen_, (std::vector{kFilterStop, kExit, kFirstEntry, kFilterStopAgain, kExit}));
  EXPECT_GT(holder->others_, 0);
}

TEST_F(ForeignFilters, WhatIsWantedChangesNothingForTheDetached) {
  const EngineRef engine = Attach(watcher_, {}).handle();
  attachments_.clear();
  EXPECT_EQ(WantCalls(engine, {.all = true, .filtered = true}).code(), -ESRCH);
  EXPECT_EQ(Finish(), 0);
}

}  // namespace
}  // namespace utrace::linux_host

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], utrace::linux_host::kTarget) == 0) {
    return utrace::linux_host::Target();
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
