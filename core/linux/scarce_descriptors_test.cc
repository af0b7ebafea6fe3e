// A tracing process without a free descriptor: its tracees live and die as ever, and are reported.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/engine.h"
#include "core/linux/brief_fd.h"
#include "core/linux/command.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

// Takes all descriptors that are free; gives them back.
class NoneFree {
 public:
  NoneFree() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low = before_;
    low.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &low);
    for (;;) {
      Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!fd.valid()) break;
      taken_.push_back(std::move(fd));
    }
  }
  ~NoneFree() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoneFree(const NoneFree&) = delete;
  NoneFree& operator=(const NoneFree&) = delete;

 private:
  rlimit before_ = {};
  std::vector<Fd> taken_;
};

TEST(BriefFd, IsTheReserveWhenNoneIsFree) {
  BriefFd::Reserve();
  const NoneFree none;
  const auto open_null = [] { return open("/dev/null", O_RDONLY | O_CLOEXEC); };
  for (int i = 0; i < 3; ++i) {
    const BriefFd fd(open_null);
    EXPECT_TRUE(fd.valid());
    EXPECT_EQ(open_null(), -1);
  }
  EXPECT_EQ(open_null(), -1) << "the reserve is not back";
}

TEST(BriefFd, TellsWhyItIsNone) {
  const BriefFd fd([] { return open("/nowhere", O_RDONLY | O_CLOEXEC); });
  EXPECT_FALSE(fd.valid());
  EXPECT_EQ(errno, ENOENT);
}

// Follows what it can, and counts.
class Counter final : public Engine {
 public:
  Action OnClone(CloneReport& clone) override {
    ++clones_;
    if (clone.Follow().ok()) ++followed_;
    return Action::kResume;
  }
  Action OnDeath(DeathReport&) override {
    ++deaths_;
    return Action::kResume;
  }
  void OnReap(ReapReport&) override { ++reaps_; }

  std::atomic<int> clones_ = 0;
  std::atomic<int> followed_ = 0;
  std::atomic<int> deaths_ = 0;
  std::atomic<int> reaps_ = 0;
};

TEST(ScarceDescriptors, TraceesLiveAndDieAsEver) {
  constexpr int kChildren = 30;
  std::unique_ptr<Command> command;
  std::string error;
  const std::string script = "i=0; while [ $i -lt " + std::to_string(kChildren) +
                             " ]; do (/bin/true; exit 3); [ $? = 3 ] || exit 9; i=$((i+1)); done";
  ASSERT_EQ(Command::Start({"/bin/sh", "-c", script}, &command, &error), 0) << error;
  const auto counter = std::make_shared<Counter>();
  auto attachment =
      Attachment::Attach(command->task(), counter, Events::kClone | Events::kDeath | Events::kReap);
  ASSERT_TRUE(attachment) << attachment.status().ToString();
  int status = 0;
  {
    const NoneFree none;
    ASSERT_EQ(command->Release(), 0);
    status = command->Wait();
    // Those without a pidfd are looked at from time to time.
    while (counter->reaps_ <= counter->followed_) sched_yield();
  }
  EXPECT_EQ(status, 0);
  EXPECT_EQ(counter->clones_, 2 * kChildren);
  EXPECT_EQ(counter->followed_, 2 * kChildren);
  EXPECT_EQ(counter->deaths_, 1 + 2 * kChildren);
  EXPECT_EQ(counter->reaps_, 1 + 2 * kChildren);
}

}  // namespace
}  // namespace utrace::linux_host
