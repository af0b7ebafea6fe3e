// The resource usage that comes with a wait status.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "engines/ptrace_compat/testing/probe.h"

using namespace probe;

namespace {

// In memory that the tracee shares: what it used by its own account.
struct Account {
  rusage self;
  rusage children;
};

long Microseconds(const timeval& time) { return time.tv_sec * 1000000 + time.tv_usec; }

rusage Own() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

void UseTime(long user, long system) {
  volatile unsigned n = 0;
  while (Microseconds(Own().ru_utime) < user) {
    for (int m = 0; m < 100000; ++m) n = n + 1;
  }
  while (Microseconds(Own().ru_stime) < system) {
    for (int m = 0; m < 1000; ++m) syscall(SYS_getppid);
  }
}

void UseMemory() {
  constexpr size_t kSize = 8 << 20;
  auto* memory = static_cast<volatile char*>(
      mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) Scene("no memory");
  for (size_t n = 0; n < kSize; n += 4096) memory[n] = 1;
}

// Uses a bit of everything, and a child that ends; calls `then` while its two threads live.
void UseAndAccount(Account* account, void (*then)()) {
  UseMemory();
  UseTime(80000, 40000);
  const pid_t child = fork();
  if (child == 0) {
    UseTime(60000, 0);
    _exit(0);
  }
  if (waitpid(child, nullptr, 0) != child) Scene("no child");
  Gate ping;
  Gate pong;
  std::thread thread([&] {
    for (int n = 0; n < 300; ++n) {
      ping.Pass();
      pong.Open();
    }
    ping.Pass();
  });
  for (int n = 0; n < 300; ++n) {
    ping.Open();
    pong.Pass();
  }
  account->self = Own();
  getrusage(RUSAGE_CHILDREN, &account->children);
  then();
  ping.Open();
  thread.join();
}

const char* Judge(long value, long from, long to) {
  if (value < from) return "too little";
  return value > to ? "too much" : "as it says";
}

enum class What : uint8_t { kAll, kTimesAndFaults };

void Compare(const rusage& usage, const Account& account, What what = What::kAll) {
  // The wait is a bit later, and clock ticks are of ten milliseconds.
  constexpr long kTimeBelow = 25000;
  constexpr long kTimeAbove = 60000;
  const auto sum = [&](auto member) { return account.self.*member + account.children.*member; };
  const auto time = [&](timeval rusage::*member) {
    const long own = Microseconds(account.self.*member) + Microseconds(account.children.*member);
    return Judge(Microseconds(usage.*member), own - kTimeBelow, own + kTimeAbove);
  };
  const auto number = [&](auto member, long more) {
    return Judge(usage.*member, account.self.*member, sum(member) + more);
  };
  Say("user time: %s", time(&rusage::ru_utime));
  Say("system time: %s", time(&rusage::ru_stime));
  Say("minor faults: %s",
      Judge(usage.ru_minflt, sum(&rusage::ru_minflt), sum(&rusage::ru_minflt) + 200));
  Say("major faults: %s",
      Judge(usage.ru_majflt, sum(&rusage::ru_majflt), sum(&rusage::ru_majflt) + 20));
  if (what == What::kTimesAndFaults) return;
  Say("memory: %s", Judge(usage.ru_maxrss, account.self.ru_maxrss - 1024,
                          account.self.ru_maxrss + account.children.ru_maxrss));
  Say("voluntary switches: %s", number(&rusage::ru_nvcsw, 100));
  Say("other switches: %s", number(&rusage::ru_nivcsw, 1000));
  Say("blocks read: %s", number(&rusage::ru_inblock, 1000));
  Say("blocks written: %s", number(&rusage::ru_oublock, 1000));
}

Account* SharedAccount() {
  return static_cast<Account*>(
      mmap(nullptr, sizeof(Account), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

void WaitAndCompare(pid_t pid, const Account& account, What what = What::kAll) {
  rusage usage{};
  int status = 0;
  const pid_t got = wait4(pid, &status, __WALL, &usage);
  Say("%s %s", NameOf(got).c_str(), StatusText(status).c_str());
  Compare(usage, account, what);
}

}  // namespace

CASE(wait_usage) {
  Account* const account = SharedAccount();
  const pid_t pid = Traced([account] { UseAndAccount(account, [] { raise(SIGUSR1); }); });
  DO(PTRACE_CONT, pid, 0, 0);
  int status = Wait(pid);  // SIGCHLD
  if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGCHLD) Scene("another stop");
  DO(PTRACE_CONT, pid, 0, 0);
  WaitAndCompare(pid, *account);
  DO(PTRACE_CONT, pid, 0, 0);
  WaitAndCompare(-1, *account);
}

CASE(wait_usage_by_waitid) {
  Account* const account = SharedAccount();
  const pid_t pid = Seized(0, [account] { UseAndAccount(account, [] { raise(SIGUSR1); }); });
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, 0);
  siginfo_t info{};
  rusage usage{};
  const long result = syscall(SYS_waitid, P_PID, pid, &info, WSTOPPED, &usage);
  Say("waitid: %ld, status %d", result, info.si_status);
  Compare(usage, *account);
  DO(PTRACE_CONT, pid, 0, SIGKILL);
  Wait(pid);
}

CASE(wait_usage_of_thread) {
  // It is that of the whole process, also with the end of a thread of it. What the thread alone knew is lost
  // with it: its switches, and the process's memory.
  Account* const account = SharedAccount();
  const pid_t pid = Seized(PTRACE_O_TRACECLONE, [account] {
    UseAndAccount(account, [] { raise(SIGUSR1); });
    raise(SIGUSR2);
  });
  Wait(pid);  // SIGCHLD
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
  const pid_t thread = EventPid(pid, "thread");
  Wait(thread);
  DO(PTRACE_CONT, pid, 0, 0);
  DO(PTRACE_CONT, thread, 0, 0);
  WaitAndCompare(pid, *account);  // SIGUSR1
  DO(PTRACE_CONT, pid, 0, 0);
  WaitAndCompare(thread, *account, What::kTimesAndFaults);
  Wait(pid);  // SIGUSR2
  DO(PTRACE_CONT, pid, 0, 0);
  Wait(pid);
}
