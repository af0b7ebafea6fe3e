// A tracer whose server may answer anything. Says what each of its calls comes to, in one line for each; the
// argument names the calls. What it traces need not be there: the server is no real one.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static long word = 0x1234;

static void Say(const char* what, long result) {
  const int error = errno;
  printf("%s: ", what);
  if (result >= 0) {
    printf("%ld\n", result);
  } else {
    printf("%s\n", strerrorname_np(error));
  }
}

static void Attach(void) { Say("attach", ptrace(PTRACE_ATTACH, getpid(), NULL, NULL)); }
static void Resume(void) { Say("cont", ptrace(PTRACE_CONT, getpid(), NULL, NULL)); }

static void Vector(void) {
  struct {
    struct user_regs_struct registers;
    char behind[16];
  } room;
  memset(&room, 'b', sizeof(room));
  struct iovec vector = {.iov_base = &room.registers, .iov_len = sizeof(room.registers)};
  Say("regset", ptrace(PTRACE_GETREGSET, getpid(), (void*)1, &vector));
  for (size_t n = 0; n < sizeof(room.behind); ++n) {
    if (room.behind[n] != 'b') printf("more than there is room for\n");
  }
}

static void Peek(void) {
  errno = 0;
  const long peeked = ptrace(PTRACE_PEEKDATA, getpid(), &word, NULL);
  Say("peek", errno != 0 ? -1 : peeked);
}

static void Siginfo(void) {
  siginfo_t info;
  Say("siginfo", ptrace(PTRACE_GETSIGINFO, getpid(), NULL, &info));
}

static void SyscallInfo(void) {
  struct __ptrace_syscall_info info;
  Say("syscall info", ptrace(PTRACE_GET_SYSCALL_INFO, getpid(), (void*)sizeof(info), &info));
}

static void Wait(void) {
  int status = 0;
  Say("wait", waitpid(-1, &status, __WALL));
}

static void Look(void) {
  int status = 0;
  Say("look", waitpid(-1, &status, __WALL | WNOHANG));
}

// By way of the server if that is sensible, else natively: right in both cases.
static void Memory(void) {
  char path[64];
  long here = 0;
  snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
  const int fd = open(path, O_RDWR);
  const long got = pread(fd, &here, sizeof(here), (off_t)&word);
  Say("read", got);
  printf("the word: %d\n", here == word);
  here = 0x5678;
  Say("write", pwrite(fd, &here, sizeof(here), (off_t)&word));
  printf("the word: %d\n", here == word);
  close(fd);
}

static void OnAlarm(int number) { (void)number; }

// A signal ends a wait whatever the server does.
static void Interrupted(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = OnAlarm;
  sigaction(SIGALRM, &action, NULL);
  // Later than the server's time is over.
  const struct itimerval late = {.it_interval = {.tv_usec = 20000}, .it_value = {.tv_sec = 2}};
  const struct itimerval none = {.it_value = {.tv_sec = 0}};
  setitimer(ITIMER_REAL, &late, NULL);
  Wait();
  setitimer(ITIMER_REAL, &none, NULL);
}

// So often that the server is to tell without being asked.
static void Often(void) {
  for (int n = 0; n < 12; ++n) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (pid < 0) {
      Say("wait", pid);
      return;
    }
    if (ptrace(PTRACE_CONT, pid, NULL, NULL) != 0) {
      Say("cont", -1);
      return;
    }
  }
  printf("told\n");
}

static void TraceMe(void) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    Say("traceme", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    fflush(stdout);
    _exit(3);
  }
  int status = 0;
  const pid_t ended = waitpid(child, &status, 0);
  printf("child: %d, status %#x\n", ended == child, status);
}

static pthread_barrier_t all_attached;

static void* AttachAndPeek(void* argument) {
  if (ptrace(PTRACE_ATTACH, getpid(), NULL, NULL) != 0) return argument;
  pthread_barrier_wait(&all_attached);
  errno = 0;
  ptrace(PTRACE_PEEKDATA, getpid(), &word, NULL);
  if (errno != ESRCH) printf("peek: %s\n", strerrorname_np(errno));
  return argument;
}

static void Threads(void) {
  pthread_t threads[4];
  pthread_barrier_init(&all_attached, NULL, 4);
  for (int n = 0; n < 4; ++n) pthread_create(&threads[n], NULL, AttachAndPeek, NULL);
  for (int n = 0; n < 4; ++n) pthread_join(threads[n], NULL);
  printf("all ended\n");
}

int main(int count, char** names) {
  static const struct {
    const char* name;
    void (*call)(void);
  } kCalls[] = {
      {"attach", Attach},
      {"cont", Resume},
      {"regset", Vector},
      {"peek", Peek},
      {"siginfo", Siginfo},
      {"sysinfo", SyscallInfo},
      {"wait", Wait},
      {"look", Look},
      {"memory", Memory},
      {"often", Often},
      {"interrupted", Interrupted},
      {"traceme", TraceMe},
      {"threads", Threads},
  };
  for (int n = 1; n < count; ++n) {
    size_t call = 0;
    while (strcmp(kCalls[call].name, names[n]) != 0) {
      if (++call == sizeof(kCalls) / sizeof(kCalls[0])) abort();
    }
    kCalls[call].call();
  }
  return 0;
}
