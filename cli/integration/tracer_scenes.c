// What a tracing program may do around ptrace and wait: signals that come while it waits, forks, threads that are
// cancelled. Prints what it sees, without numbers that change, so that a wrapped run can be compared with one
// that is not.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t handled;
static volatile sig_atomic_t last_code;
static volatile sig_atomic_t last_signal_pid;
static pid_t tracee;
static sigjmp_buf away;
static sem_t about_to_wait;

static void OnAlarm(int number) { handled += number; }

// Lets a tracee run into its next stop while the main flow waits.
static void OnAlarmThatKills(int number) {
  handled += number;
  kill(tracee, SIGKILL);
}

static void OnAlarmThatJumps(int number) {
  handled += number;
  ualarm(0, 0);
  siglongjmp(away, 1);
}

static void OnChild(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  last_code = info->si_code;
  last_signal_pid = info->si_pid == tracee;
}

static void Handle(int number, void (*handler)(int), int flags) {
  struct sigaction action;
  struct sigaction old;
  memset(&action, 0, sizeof(action));
  action.sa_handler = handler;
  action.sa_flags = flags;
  if (sigaction(number, &action, NULL) != 0) abort();
  if (sigaction(number, NULL, &old) != 0) abort();
  if (old.sa_handler != handler || (old.sa_flags & SA_SIGINFO) != 0) printf("another handler\n");
}

// Again and again: one of them comes while this process waits.
static void StartAlarms(void) { ualarm(50000, 50000); }
static void StopAlarms(void) { ualarm(0, 0); }

// A child that is traced, and stopped by its own SIGSTOP.
static pid_t StartTracee(int vforked) {
  const pid_t child = vforked ? vfork() : fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(90);
    if (vforked) {
      execl("/bin/true", "true", NULL);
      _exit(91);
    }
    raise(SIGSTOP);
    for (;;) pause();
  }
  return child;
}

static void Show(const char* what, pid_t result, pid_t expected, int status) {
  const int error = errno;
  printf("%s: ", what);
  if (result < 0) {
    printf("%s\n", strerrorname_np(error));
  } else {
    printf("%s, status %#x\n",
           result == expected ? "the tracee"
           : result == 0      ? "none"
                              : "another",
           status);
  }
}

static void WaitAndShow(const char* what, pid_t pid, int options) {
  int status = 0;
  const pid_t result = waitpid(pid, &status, options);
  Show(what, result, tracee, status);
}

static void End(void) {
  kill(tracee, SIGKILL);
  WaitAndShow("end", tracee, 0);
}

static void InterruptedWaits(void) {
  tracee = StartTracee(0);
  WaitAndShow("first stop", tracee, 0);
  ptrace(PTRACE_CONT, tracee, 0, 0);
  Handle(SIGALRM, OnAlarm, 0);
  StartAlarms();
  WaitAndShow("interrupted", tracee, 0);
  WaitAndShow("interrupted, any", -1, __WALL);
  StopAlarms();
  Handle(SIGALRM, OnAlarmThatKills, SA_RESTART);
  StartAlarms();
  WaitAndShow("restarted", -1, 0);
  StopAlarms();
  printf("handled: %d\n", handled >= 3 * SIGALRM);
  WaitAndShow("nothing left", -1, 0);
}

static void JumpOutOfAWait(void) {
  tracee = StartTracee(0);
  WaitAndShow("first stop", tracee, 0);
  ptrace(PTRACE_CONT, tracee, 0, 0);
  Handle(SIGALRM, OnAlarmThatJumps, 0);
  if (sigsetjmp(away, 1) == 0) {
    StartAlarms();
    WaitAndShow("never", tracee, 0);
  }
  kill(tracee, SIGUSR1);
  WaitAndShow("after the jump", -1, 0);
  printf("continued: %ld\n", ptrace(PTRACE_CONT, tracee, 0, 0));
  End();
}

static void Vforked(void) {
  tracee = StartTracee(1);
  WaitAndShow("exec", tracee, 0);
  printf("continued: %ld\n", ptrace(PTRACE_CONT, tracee, 0, 0));
  WaitAndShow("exit", tracee, 0);
}

static void ForkedTracer(void) {
  tracee = StartTracee(0);
  WaitAndShow("first stop", tracee, 0);
  const pid_t child = fork();
  if (child == 0) {
    // It is no tracer of its parent's tracee, and may be one of its own.
    const long result = ptrace(PTRACE_CONT, tracee, 0, 0);
    printf("in the child: %ld %s\n", result, strerrorname_np(errno));
    tracee = StartTracee(0);
    WaitAndShow("its own", -1, 0);
    End();
    fflush(stdout);
    _exit(3);
  }
  int status = 0;
  const pid_t result = waitpid(child, &status, 0);
  printf("child: %d, status %#x\n", result == child, status);
  printf("still ours: %ld\n", ptrace(PTRACE_CONT, tracee, 0, 0));
  End();
}

static void BothKinds(void) {
  // A child that is not traced ends while the tracee stands still, and the reverse.
  tracee = StartTracee(0);
  WaitAndShow("first stop", tracee, 0);
  const pid_t plain = fork();
  if (plain == 0) _exit(5);
  int status = 0;
  pid_t result = wait(&status);
  printf("plain: %d, status %#x\n", result == plain, status);
  int ends[2];
  if (pipe(ends) != 0) abort();
  const pid_t waiting = fork();
  if (waiting == 0) {
    char byte;
    close(ends[1]);
    _exit(read(ends[0], &byte, 1) == 0 ? 6 : 7);
  }
  close(ends[0]);
  ptrace(PTRACE_CONT, tracee, 0, 0);
  kill(tracee, SIGUSR1);
  WaitAndShow("the tracee before the plain child", -1, 0);
  WaitAndShow("neither", -1, WNOHANG);
  close(ends[1]);
  result = wait(&status);
  printf("plain: %d, status %#x\n", result == waiting, status);
  End();
}

static void WhatSigchldTells(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = OnChild;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigaction(SIGCHLD, &action, NULL);
  tracee = StartTracee(0);
  WaitAndShow("first stop", tracee, 0);
  last_code = 0;
  ptrace(PTRACE_CONT, tracee, 0, 0);
  kill(tracee, SIGUSR1);
  WaitAndShow("stop", tracee, 0);
  // It is sent before the wait ends.
  printf("SIGCHLD: code %d, of the tracee: %d\n", last_code, last_signal_pid);
  siginfo_t info;
  memset(&info, 0, sizeof(info));
  if (ptrace(PTRACE_GETSIGINFO, tracee, 0, &info) != 0) abort();
  printf("siginfo: %d\n", info.si_signo);
  End();
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  tracee = StartTracee(0);
  const int number = sigwaitinfo(&set, &info);
  printf("sigwaitinfo: %d, code %d, status %d\n", number, info.si_code, info.si_status);
  siginfo_t waited;
  memset(&waited, 0, sizeof(waited));
  printf("waitid: %d", waitid(P_PID, tracee, &waited, WSTOPPED | WNOWAIT));
  printf(" code %d status %d\n", waited.si_code, waited.si_status);
  WaitAndShow("taken", tracee, 0);
  End();
  signal(SIGCHLD, SIG_DFL);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void* WaitForever(void* argument) {
  (void)argument;
  tracee = StartTracee(0);
  int status = 0;
  if (waitpid(tracee, &status, 0) != tracee) abort();
  if (ptrace(PTRACE_CONT, tracee, 0, 0) != 0) abort();
  // It runs.
  if (ptrace(PTRACE_CONT, tracee, 0, 0) != -1 || errno != ESRCH) abort();
  sem_post(&about_to_wait);
  waitpid(tracee, &status, 0);
  return argument;
}

static void ACancelledThread(void) {
  pthread_t thread;
  void* result = NULL;
  sem_init(&about_to_wait, 0, 0);
  pthread_create(&thread, NULL, WaitForever, &tracee);
  sem_wait(&about_to_wait);
  pthread_cancel(thread);
  pthread_join(thread, &result);
  printf("cancelled: %d\n", result == PTHREAD_CANCELED);
  // Its tracee is let go, and is our child.
  const long result_of_main = ptrace(PTRACE_CONT, tracee, 0, 0);
  printf("not traced: %ld %s\n", result_of_main, strerrorname_np(errno));
  End();
}

static void ShowResult(const char* what, long result) {
  const int error = errno;
  printf("%s: %ld %s\n", what, result, result == -1 ? strerrorname_np(error) : "");
}

static void Errors(void) {
  int status = 0;
  ShowResult("no such tracee", ptrace(PTRACE_CONT, getpid(), 0, 0));
  ShowResult("no such process", ptrace(PTRACE_PEEKDATA, 1 << 29, 0, 0));
  ShowResult("options", waitpid(-1, &status, 1 << 20));
  ShowResult("waitid", waitid(P_ALL, 0, NULL, 0));
  ShowResult("syscall", syscall(SYS_ptrace, PTRACE_CONT, getpid(), 0, 0));
  tracee = StartTracee(0);
  WaitAndShow("first stop", tracee, 0);
  ShowResult("bad address", ptrace(PTRACE_GETSIGINFO, tracee, 0, (void*)8));
  ShowResult("bad vector", ptrace(PTRACE_GETREGSET, tracee, (void*)1, (void*)8));
  ShowResult("bad signal", ptrace(PTRACE_CONT, tracee, 0, (void*)1000));
  errno = 0;
  const long peeked = ptrace(PTRACE_PEEKDATA, tracee, &handled, 0);
  long word = 0;
  ShowResult("word by syscall", syscall(SYS_ptrace, PTRACE_PEEKDATA, tracee, &handled, &word));
  printf("words: %d\n", peeked == word && (int)word == handled);
  End();
}

static void AClosedConnection(void) {
  tracee = StartTracee(0);
  // Often enough that the server tells without being asked.
  for (int n = 0; n < 20; ++n) {
    WaitAndShow("stop", -1, __WALL);
    ptrace(PTRACE_CONT, tracee, 0, 0);
    kill(tracee, SIGUSR1);
  }
  WaitAndShow("before", -1, __WALL);
  // Not by the C library, so that nobody can see to it.
  register long way __asm__("r10") = 0;
  long result = SYS_close_range;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(900L), "S"(~0UL >> 32), "d"(0L), "r"(way)
                   : "rcx", "r11", "memory");
  if (result != 0) abort();
  ShowResult("continued", ptrace(PTRACE_CONT, tracee, 0, 0));
  kill(tracee, SIGUSR2);
  WaitAndShow("after", -1, __WALL);
  End();
}

static char StateOfTracee(void) {
  char path[64];
  char text[512] = "";
  snprintf(path, sizeof(path), "/proc/%d/stat", tracee);
  FILE* const file = fopen(path, "r");
  if (file == NULL || fgets(text, sizeof(text), file) == NULL) abort();
  fclose(file);
  return strrchr(text, ')')[2];
}

// What is told of while the program closes all that it does not know.
static void ClosedDescriptors(void) {
  enum { kHigh = 900, kMost = 1100 };
  tracee = StartTracee(0);
  for (int n = 0; n < 60; ++n) {
    WaitAndShow("stop", -1, __WALL);
    ptrace(PTRACE_CONT, tracee, 0, 0);
    kill(tracee, SIGUSR1);
    while (StateOfTracee() != 't') sched_yield();
    switch (n % 6) {
      case 0:
        if (close_range(kHigh, ~0U, 0) != 0) abort();
        break;
      case 1:
        if (syscall(SYS_close_range, kHigh, ~0U, 0) != 0) abort();
        break;
      case 2:
        closefrom(kHigh);
        break;
      case 3:
        for (int fd = kHigh; fd < kMost; ++fd) close(fd);
        break;
      case 4:
        for (int fd = kHigh; fd < kMost; ++fd) syscall(SYS_close, fd);
        break;
      default:
        // As many numbers as come up to the limit, then all of them are the program's, and it closes them.
        for (int fd = 1000; fd < 1004; ++fd) {
          if (dup2(STDIN_FILENO, fd) != fd) abort();
        }
        for (int fd = 1000; fd < 1004; ++fd) {
          if (close(fd) != 0) abort();
        }
    }
  }
  WaitAndShow("last", -1, __WALL);
  End();
}

int main(int count, char** names) {
  static const struct {
    const char* name;
    void (*run)(void);
  } kScenes[] = {
      {"interrupted", InterruptedWaits},
      {"jump", JumpOutOfAWait},
      {"vfork", Vforked},
      {"fork", ForkedTracer},
      {"both", BothKinds},
      {"sigchld", WhatSigchldTells},
      {"cancelled", ACancelledThread},
      {"errors", Errors},
      {"closed", AClosedConnection},
      {"closing", ClosedDescriptors},
  };
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t n = 0; n < sizeof(kScenes) / sizeof(kScenes[0]); ++n) {
    if (count > 1 && strcmp(names[1], kScenes[n].name) != 0) continue;
    printf("== %s\n", kScenes[n].name);
    kScenes[n].run();
  }
  return 0;
}
