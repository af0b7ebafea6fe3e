// Children that the kernel ties to the tracer of their maker: whatever flags they are made with, and whether an
// engine asks for clones or not, they live.
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <tuple>

#include "core/engine.h"
#include "core/linux/command.h"
#include "gtest/gtest.h"

namespace utrace::linux_host {
namespace {

constexpr auto kGuard = std::chrono::seconds(30);
constexpr const char* kTarget = "--target";
constexpr int kDone = 5;
constexpr int kSiblings = 200;

// ---- Targets -----------------------------------------------------------------------------------------

// As fork, with these flags.
pid_t Make(bool clone3, unsigned long flags) {
  if (!clone3) return static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
  clone_args arguments = {};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof(arguments)));
}

// Waits for all children; how many of them ended as they should.
int CountEnded() {
  int ended = 0;
  int status = 0;
  while (waitpid(-1, &status, 0) > 0) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == kDone) ++ended;
  }
  return ended;
}

int MakeOne(bool clone3, unsigned long flags) {
  const pid_t child = Make(clone3, flags);
  if (child == 0) _exit(kDone);
  return CountEnded() == 1 ? kDone : 1;
}

// A child makes siblings of its own.
int MakeSiblings(unsigned long flags) {
  if (fork() == 0) {
    for (int n = 0; n < kSiblings; ++n) {
      if (Make(false, flags) == 0) _exit(kDone);
    }
    _exit(kDone);
  }
  return CountEnded() == kSiblings + 1 ? kDone : 1;
}

int Target(const std::string& mode, unsigned long flags) {
  if (mode == "siblings") return MakeSiblings(flags);
  if (mode != "thread") return MakeOne(mode == "clone3", flags);
  int result = 1;
  std::thread([&] { result = MakeOne(false, flags); }).join();
  return result;
}

// ---- Engines -----------------------------------------------------------------------------------------

// Does not care for clones.
class Bystander final : public Engine {};

// Follows all that its task makes.
class Follower final : public Engine {
 public:
  Action OnClone(CloneReport& report) override {
    EXPECT_TRUE(report.Follow().ok());
    ++made_;
    return Action::kResume;
  }
  Action OnDeath(DeathReport& report) override {
    (void)report;
    ++dead_;
    return Action::kResume;
  }
  std::atomic<int> made_ = 0;
  std::atomic<int> dead_ = 0;
};

// Leaves what its task makes to another engine, and goes if told to.
class Giver final : public Engine {
 public:
  Giver(std::shared_ptr<Engine> to, Events events, bool stays)
      : to_(std::move(to)), events_(events), stays_(stays) {}
  Action OnClone(CloneReport& report) override {
    auto attachment = Attachment::Attach(report.child(), to_, events_);
    EXPECT_TRUE(attachment.ok()) << attachment.status().ToString();
    if (attachment) attachment->Leave();
    return stays_ ? Action::kResume : Action::kDetach;
  }

 private:
  const std::shared_ptr<Engine> to_;
  const Events events_;
  const bool stays_;
};

// ---- The tests ---------------------------------------------------------------------------------------

// What a target under `engine` exits with; -1 if it does not end.
int RunTarget(const std::string& mode, unsigned long flags, const std::shared_ptr<Engine>& engine,
              Events events) {
  std::unique_ptr<Command> command;
  std::string error;
  const std::string number = std::to_string(flags);
  if (Command::Start({"/proc/self/exe", kTarget, mode, number}, &command, &error) != 0) {
    ADD_FAILURE() << error;
    return -1;
  }
  auto attachment = Attachment::Attach(command->task(), engine, events);
  EXPECT_TRUE(attachment) << attachment.status().ToString();
  EXPECT_EQ(command->Release(), 0);
  std::future<int> status = std::async(std::launch::async, [&] { return command->Wait(); });
  const bool ended = status.wait_for(kGuard) == std::future_status::ready;
  if (!ended) kill(command->pid(), SIGKILL);
  const int ended_with = status.get();
  engine->DetachEverywhere();
  return ended && WIFEXITED(ended_with) ? WEXITSTATUS(ended_with) : -1;
}

class Newborns : public testing::TestWithParam<std::tuple<const char*, unsigned long>> {
 protected:
  const std::string mode_ = std::get<0>(GetParam());
  const unsigned long flags_ = std::get<1>(GetParam());
  bool IsAnnounced() const { return (flags_ & CLONE_UNTRACED) == 0; }
};

TEST_P(Newborns, LiveWhereNoEngineAsksForClones) {
  EXPECT_EQ(RunTarget(mode_, flags_, std::make_shared<Bystander>(), Events::kQuiesce), kDone);
}

TEST_P(Newborns, LiveWhereAnEngineFollows) {
  const auto follower = std::make_shared<Follower>();
  EXPECT_EQ(RunTarget(mode_, flags_, follower, Events::kClone | Events::kDeath), kDone);
  EXPECT_EQ(follower->made_, IsAnnounced() ? 1 : 0);
  EXPECT_EQ(follower->dead_, IsAnnounced() ? 2 : 1);
}

constexpr unsigned long kBoth = CLONE_PTRACE | CLONE_UNTRACED;

std::string NameOfCase(const testing::TestParamInfo<std::tuple<const char*, unsigned long>>& made) {
  const unsigned long flags = std::get<1>(made.param);
  std::string name = std::get<0>(made.param);
  if ((flags & CLONE_PTRACE) != 0) name += "Ptrace";
  if ((flags & CLONE_UNTRACED) != 0) name += "Untraced";
  if ((flags & CLONE_VFORK) != 0) name += "Vfork";
  return name;
}

INSTANTIATE_TEST_SUITE_P(Made, Newborns,
                         testing::Combine(testing::Values("clone", "clone3"),
                                          testing::Values(0UL, CLONE_PTRACE, CLONE_UNTRACED, kBoth,
                                                          CLONE_PTRACE | CLONE_VFORK,
                                                          kBoth | CLONE_VFORK)),
                         NameOfCase);

// Another thread of the process asks for clones: it may have made the child, and has not.
TEST(NewbornsOfThreads, LiveWhereAnotherThreadIsFollowed) {
  for (const unsigned long flags : {CLONE_PTRACE + 0UL, kBoth}) {
    const auto bystander = std::make_shared<Bystander>();
    const auto giver = std::make_shared<Giver>(bystander, Events::kQuiesce, true);
    EXPECT_EQ(RunTarget("thread", flags, giver, Events::kClone), kDone) << flags;
    bystander->DetachEverywhere();
  }
}

// The parent of what CLONE_PARENT makes is not traced, only its maker is.
TEST(NewbornsOfSiblings, AreAnnouncedWhereTheParentIsNotTraced) {
  const auto follower = std::make_shared<Follower>();
  const auto giver = std::make_shared<Giver>(follower, Events::kClone | Events::kDeath, false);
  EXPECT_EQ(RunTarget("siblings", CLONE_PARENT, giver, Events::kClone), kDone);
  EXPECT_EQ(follower->made_, kSiblings);
  EXPECT_EQ(follower->dead_, kSiblings + 1);
  follower->DetachEverywhere();
}

}  // namespace
}  // namespace utrace::linux_host

int main(int argc, char** argv) {
  if (argc > 3 && std::strcmp(argv[1], utrace::linux_host::kTarget) == 0) {
    return utrace::linux_host::Target(argv[2], std::strtoul(argv[3], nullptr, 0));
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
