#include "engines/syscall_log/syscall_log.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "engines/registry.h"
#include "engines/syscall_log/syscall_log_testing.h"
#include "gtest/gtest.h"

namespace utrace {
namespace {

constexpr const char* kNoArguments = "()";

TEST(SyscallLog, WritesALineForEachCall) {
  const TaskRef task = fake::NewTask(100, 100);
  Log log;
  ASSERT_EQ(log.Attach(task), 0);
  fake::SetMemory(task, 0x1000, std::string("/etc/passwd\0", 12));
  fake::ReportSyscallEntry(task, SYS_openat, {static_cast<uint64_t>(AT_FDCWD), 0x1000, O_CLOEXEC});
  fake::ReportSyscallExit(task, 0, 3);
  fake::ReportSyscallEntry(task, SYS_close, {7});
  fake::ReportSyscallExit(task, -EBADF, 0);
  // A number that no call has.
  fake::ReportSyscallEntry(task, 1000, {1, 2, 3, 4, 5, 0});
  fake::ReportSyscallExit(task, -ENOSYS, 0);
  EXPECT_EQ(log.Text(),
            "[100] openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3\n"
            "[100] close(7) = -1 EBADF (Bad file descriptor)\n"
            "[100] syscall_0x3e8(0x1, 0x2, 0x3, 0x4, 0x5, 0) = -1 ENOSYS (Function not "
            "implemented)\n");
}

TEST(SyscallLog, WritesNothingBeforeTheCallIsOver) {
  const TaskRef task = fake::NewTask(101, 101);
  Log log(",signals=yes");
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_pause);
  fake::ReportSignal(task, Events::kSignal, SignalInfo(SIGUSR1));
  fake::ReportSyscallExit(task, -514, 0);
  EXPECT_EQ(log.Text(),
            std::string(
                "[101] --- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_USER, si_pid=1, si_uid=0} ---\n") +
                "[101] pause" + kNoArguments +
                " = ? ERESTARTNOHAND (To be restarted if no handler)\n");
}

TEST(SyscallLog, CallsThatDoNotReturnEndWithTheTask) {
  const TaskRef task = fake::NewTask(102, 102);
  Log log;
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_exit_group);
  fake::ReportExit(task, 7 << 8);
  fake::ReportDeath(task, true, SIGCHLD);
  fake::ReportReap(task);
  EXPECT_EQ(log.Text(), std::string("[102] exit_group") + "(0) = ?\n[102] +++ exited with 7 +++\n");
}

TEST(SyscallLog, AKilledTaskEndsItsCallToo) {
  const TaskRef task = fake::NewTask(103, 103);
  Log log;
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_pause);
  fake::ReportDeath(task, true, SIGCHLD);  // no exit report after SIGKILL
  EXPECT_EQ(log.Text(),
            std::string("[103] pause") + kNoArguments + " = ?\n[103] +++ killed by SIGKILL +++\n");
}

TEST(SyscallLog, DeathBySignal) {
  const TaskRef task = fake::NewTask(104, 104);
  Log log;
  log.Attach(task);
  fake::ReportExit(task, SIGSEGV);
  fake::ReportDeath(task, true, SIGCHLD);
  EXPECT_EQ(log.Text(), "[104] +++ killed by SIGSEGV +++\n");
}

TEST(SyscallLog, ARepeatedEntryIsOneCall) {
  const TaskRef task = fake::NewTask(105, 105);
  Log log;
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_read, {1});
  fake::ReportSyscallEntry(task, SYS_read, {2}, true);
  fake::ReportSyscallExit(task, 0, 0);
  EXPECT_EQ(log.Text(), "[105] read(2, NULL, 0) = 0\n");
}

TEST(SyscallLog, AnEntryWhoseExitNeverCameIsNotLost) {
  const TaskRef task = fake::NewTask(106, 106);
  Log log;
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_rt_sigreturn);
  Call(task, SYS_getpid, 0, 106);
  EXPECT_EQ(log.Text(), std::string("[106] rt_sigreturn") + kNoArguments + " = ?\n[106] getpid" +
                            kNoArguments + " = 106\n");
}

TEST(SyscallLog, AttachedInsideACall) {
  const TaskRef task = fake::NewTask(107, 107);
  Log log;
  fake::SetSyscall(task, SYS_read);
  log.Attach(task);
  fake::ReportSyscallExit(task, 0, 5);
  EXPECT_EQ(log.Text(), "[107] read(<entry not seen>) = 5\n");
}

TEST(SyscallLog, DetachedInsideACall) {
  const TaskRef task = fake::NewTask(108, 108);
  Log log;
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_read);
  EXPECT_EQ(log.Text(), "[108] read(0, <unfinished ...>) = ? <detached ...>\n");
  EXPECT_EQ(fake::Attached(task), 0);
}

TEST(SyscallLog, ExecIsLoggedOnceWhetherOrNotItsExitIsReported) {
  for (const bool with_exit : {true, false}) {
    const TaskRef task = fake::NewTask(109, 109);
    Log log;
    log.Attach(task);
    fake::ReportSyscallEntry(task, SYS_execve);
    fake::ReportExec(task, "/usr/bin/ls", 109);
    if (with_exit) fake::ReportSyscallExit(task, 0, 0);
    Call(task, SYS_brk, 0, 1);
    EXPECT_EQ(log.Text(),
              std::string("[109] execve(NULL, NULL, NULL) = 0\n[109] --- exec /usr/bin/ls ---\n") +
                  "[109] brk(NULL) = 0x1\n");
    fake::ReportReap(task);
  }
}

TEST(SyscallLog, ExecByAnotherThreadThanTheLeader) {
  const TaskRef task = fake::NewTask(111, 110);
  Log log;
  log.Attach(task);
  fake::ReportSyscallEntry(task, SYS_execve);
  fake::SetTid(task, 110);
  fake::ReportExec(task, "/bin/true", 111);
  fake::ReportSyscallExit(task, 0, 0);
  EXPECT_EQ(
      log.Text(),
      std::string(
          "[111] execve(NULL, NULL, NULL) = 0\n[110] --- exec /bin/true by thread 111 ---\n"));
}

TEST(SyscallLog, FollowsUnlessToldNotTo) {
  const TaskRef task = fake::NewTask(112, 112);
  const TaskRef child = fake::NewTask(113, 113);
  const TaskRef grandchild = fake::NewTask(114, 114);
  Log follow;
  Log stay(",follow=no");
  follow.Attach(task);
  stay.Attach(task);
  fake::ReportClone(task, child, SIGCHLD);
  fake::ReportClone(child, grandchild, SIGCHLD);
  Call(grandchild, SYS_getpid, 0, 114);
  const std::string line = std::string("[114] getpid") + kNoArguments + " = 114\n";
  EXPECT_EQ(follow.Text(), line);
  EXPECT_EQ(stay.Text(), "");
  EXPECT_EQ(fake::Attached(grandchild), 0);
}

TEST(SyscallLog, AttachesOnceToEachTask) {
  const TaskRef task = fake::NewTask(115, 115);
  Log log;
  EXPECT_EQ(log.Attach(task), 0);
  EXPECT_EQ(log.Attach(task), -EEXIST);
  Log other;
  EXPECT_EQ(other.Attach(task), 0) << "two logs of one task are two engines";
}

TEST(SyscallLog, TellsOfTasksItCouldNotFollow) {
  const TaskRef task = fake::NewTask(116, 116);
  const TaskRef child = fake::NewTask(117, 117);
  Log log;
  log.Attach(task);
  fake::FailNextAttach(-ENOMEM);
  fake::ReportClone(task, child, SIGCHLD);
  EXPECT_EQ(log.instance().Finish(),
            std::vector<std::string>{"syscall_log: thread 117, created by 116, is not logged: "
                                     "ENOMEM (Cannot allocate memory)"});
  EXPECT_EQ(log.instance().Finish(), std::vector<std::string>());
}

TEST(SyscallLog, TellsOfLostLines) {
  const TaskRef task = fake::NewTask(118, 118);
  std::string error;
  const auto instance = MakeEngine("syscall_log:output=/dev/full", &error);
  ASSERT_NE(instance, nullptr) << error;
  instance->Attach(task.get());
  for (int i = 0; i < 12; ++i) Call(task, SYS_getpid, 0, 118);
  EXPECT_EQ(instance->Finish(),
            std::vector<std::string>{"syscall_log: /dev/full: No space left on device; 12 lines "
                                     "lost"});
}

TEST(SyscallLog, SignalsAndJobControlUnlessToldNotTo) {
  const TaskRef task = fake::NewTask(119, 119);
  Log with;
  Log without(",signals=no");
  with.Attach(task);
  without.Attach(task);
  fake::ReportSignal(task, Events::kSignalStop, SignalInfo(SIGSTOP), UTRACE_SIGNAL_STOP);
  fake::ReportJctl(task, CLD_STOPPED, CLD_STOPPED);
  fake::ReportJctl(task, CLD_CONTINUED, 0);
  // Nothing was dequeued.
  fake::ReportSignal(task, Events::kSignal, siginfo_t{}, UTRACE_SIGNAL_HANDLER);
  EXPECT_EQ(with.Text(),
            "[119] --- SIGSTOP {si_signo=SIGSTOP, si_code=SI_USER, si_pid=1, si_uid=0} ---\n"
            "[119] --- stopped ---\n"
            "[119] --- continued ---\n");
  EXPECT_EQ(without.Text(), "");
}

TEST(SyscallLog, LeavesSignalsAndCallsAsTheyAre) {
  const TaskRef task = fake::NewTask(120, 120);
  Log log;
  log.Attach(task);
  const fake::Verdict verdict =
      fake::ReportSignal(task, Events::kSignalTerm, SignalInfo(SIGTERM), UTRACE_SIGNAL_TERM);
  EXPECT_EQ(verdict.bits, UTRACE_SIGNAL_TERM);
  EXPECT_EQ(verdict.action, Action::kResume);
}

TEST(SyscallLog, TwoLogsHoldTheSameLines) {
  const TaskRef task = fake::NewTask(121, 121);
  Log first;
  Log second;
  first.Attach(task);
  second.Attach(task);
  for (int i = 0; i < 1000; ++i) {
    fake::ReportSyscallEntry(task, i % 300, {static_cast<uint64_t>(i)});
    fake::ReportSyscallExit(task, 0, i);
  }
  const std::string lines = first.Text();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1000);
  EXPECT_EQ(lines, second.Text());
}

TEST(SyscallLog, ManyTasksAtOnceWhileTheLogIsFinished) {
  Log log;
  constexpr int kTasks = 4;
  constexpr int kCalls = 2000;
  std::vector<TaskRef> tasks;
  for (int i = 0; i < kTasks; ++i) {
    tasks.push_back(fake::NewTask(200 + i, 200));
    ASSERT_EQ(log.Attach(tasks.back()), 0);
  }
  std::string text;
  {
    std::vector<std::jthread> lanes;
    for (const TaskRef& task : tasks) {
      lanes.emplace_back([&task] {
        for (int i = 0; i < kCalls; ++i) Call(task, SYS_getpid, 0, i);
        fake::ReportSyscallEntry(task, SYS_exit);
        fake::ReportExit(task, 0);
        fake::ReportDeath(task, false, -1);
        fake::ReportReap(task);
      });
    }
    lanes[0].join();
    text = log.Text();
  }
  // What is there is whole: for each task its calls in order, up to some point.
  std::map<std::string, int> next;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::string tid = line.substr(0, 5);
    if (line.find("getpid") == std::string::npos || line.find("detached") != std::string::npos) {
      continue;
    }
    EXPECT_EQ(line, tid + " getpid" + kNoArguments + " = " + std::to_string(next[tid]));
    ++next[tid];
  }
  EXPECT_EQ(next["[200]"], kCalls);
}

}  // namespace
}  // namespace utrace
