// The nanny as a parent, and that nothing is left when it or the kit goes.
#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "conformance/kit/puppet.h"

namespace utrace::kit {
namespace {

bool Gone(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

TEST(Nanny, WaitsAsTheRealParent) {
  Nanny nanny;
  Puppet& puppet = nanny.Spawn();
  nanny.BeginWait(puppet.pid());
  nanny.AwaitWaitBlocked();
  EXPECT_FALSE(nanny.WaitFinished());
  // It still makes puppets meanwhile.
  Puppet& other = nanny.Spawn("other");
  EXPECT_EQ(nanny.pid(), other.Call(SYS_getppid));
  puppet.BeginExitGroup(7);
  const WaitResult result = nanny.FinishWait();
  EXPECT_EQ(puppet.pid(), result.result);
  EXPECT_EQ(7, WEXITSTATUS(result.status));
  EXPECT_EQ(-ECHILD, nanny.Wait(puppet.pid()).result);
  EXPECT_EQ(0, nanny.Wait(other.pid(), WNOHANG).result);
}

TEST(Nanny, LooksWithoutTaking) {
  Nanny nanny;
  Puppet& puppet = nanny.Spawn();
  EXPECT_FALSE(nanny.HasZombie(puppet.pid()));
  puppet.Kill(SIGKILL);
  puppet.AwaitState('Z');
  EXPECT_TRUE(nanny.HasZombie(puppet.pid()));
  const WaitIdResult result = nanny.WaitId(puppet.pid(), WEXITED | WNOWAIT);
  EXPECT_EQ(0, result.result);
  EXPECT_EQ(CLD_KILLED, result.info.si_code);
  EXPECT_EQ(SIGKILL, result.info.si_status);
  EXPECT_EQ(SIGKILL, WTERMSIG(nanny.Wait(puppet.pid()).status));
  EXPECT_TRUE(puppet.TryAwaitGone());
}

TEST(Nanny, ChildrenReapThemselvesWhenIgnored) {
  Nanny nanny;
  Puppet& puppet = nanny.Spawn();
  nanny.IgnoreChildren(true);
  puppet.BeginExit();
  EXPECT_TRUE(puppet.TryAwaitGone());
  EXPECT_EQ(-ECHILD, nanny.Wait(puppet.pid()).result);
  nanny.IgnoreChildren(false);
  Puppet& other = nanny.Spawn();
  other.BeginExit();
  other.AwaitState('Z');
}

// Puppets in every state that could hold them back.
std::vector<pid_t> Crowd(Nanny* nanny) {
  Puppet& idle = nanny->Spawn("idle");
  Puppet& spinning = nanny->Spawn("spinning");
  spinning.BeginSpin();
  Puppet& stopped = nanny->Spawn("stopped");
  stopped.Kill(SIGSTOP);
  stopped.AwaitState('T');
  Puppet& child = idle.Fork();
  child.Call(SYS_setsid);
  Puppet& grandchild = child.Fork();
  grandchild.BeginSpin();
  Puppet& held = nanny->Spawn("held by vfork");
  Puppet& vforked = held.Vfork();
  Puppet& deaf = nanny->Spawn("deaf");
  for (const int signo : {SIGTERM, SIGHUP, SIGINT}) deaf.Sigaction(signo, Disposition::kIgnore);
  Puppet& orphan = idle.Fork();
  deaf.SpawnThread();
  std::vector<pid_t> pids = {nanny->pid()};
  for (const Puppet* puppet :
       {&idle, &spinning, &stopped, &child, &grandchild, &held, &vforked, &deaf, &orphan}) {
    pids.push_back(puppet->pid());
  }
  return pids;
}

TEST(Nanny, LeavesNothingBehind) {
  std::vector<pid_t> pids;
  {
    Nanny nanny;
    pids = Crowd(&nanny);
    for (const pid_t pid : pids) EXPECT_FALSE(Gone(pid));
  }
  for (const pid_t pid : pids) EXPECT_TRUE(Gone(pid)) << pid;
}

TEST(Nanny, LeavesNothingBehindWhenTheKitIsKilled) {
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  // Orphans come to this process, so that it can see the last of them go.
  ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
  const pid_t kit = fork();
  ASSERT_GE(kit, 0);
  if (kit == 0) {
    Nanny nanny;
    const std::vector<pid_t> pids = Crowd(&nanny);
    const size_t bytes = pids.size() * sizeof(pid_t);
    if (write(ends[1], pids.data(), bytes) != static_cast<ssize_t>(bytes)) _exit(1);
    for (;;) pause();
  }
  pid_t pids[10];
  ASSERT_EQ(static_cast<ssize_t>(sizeof(pids)), read(ends[0], pids, sizeof(pids)));
  for (const pid_t pid : pids) EXPECT_FALSE(Gone(pid));
  ASSERT_EQ(0, kill(kit, SIGKILL));
  int status;
  while (waitpid(-1, &status, __WALL) > 0) {
  }
  for (const pid_t pid : pids) EXPECT_TRUE(Gone(pid)) << pid;
  close(ends[0]);
  close(ends[1]);
}

TEST(Nanny, TwoAtOnce) {
  Nanny one;
  Nanny two;
  Puppet& first = one.Spawn();
  Puppet& second = two.Spawn();
  first.BeginRead();
  second.BeginRead();
  second.Feed("ab");
  EXPECT_EQ(2, second.Finish());
  first.Feed();
  EXPECT_EQ(1, first.Finish());
}

}  // namespace
}  // namespace utrace::kit
