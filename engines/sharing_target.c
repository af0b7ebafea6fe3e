// What sharing_test traces: does one thing, and tells by its exit status how it came out.
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t handled;

static void Handle(int signal, siginfo_t* info, void* context) {
  (void)context;
  handled = signal == SIGUSR1 ? info->si_value.sival_int : 100;
}

// SIGUSR1 with the value 7 to itself. Exits with the value that came, 100 for another signal that is
// handled, 0 if none came.
static int SignalItself(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = Handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGUSR2, &action, NULL);
  const union sigval value = {.sival_int = 7};
  sigqueue(getpid(), SIGUSR1, value);
  return handled;
}

// lseek(-1, 30, 40), which no kernel does. Exits with the error, or the result.
static int MakeACall(void) {
  const long result = syscall(SYS_lseek, -1, 30, 40);
  return result < 0 ? errno : (int)result;
}

// A dup2 to descriptor 50 or wherever engines will have it. Exits with the descriptor.
static int Duplicate(void) {
  const long result = syscall(SYS_dup2, 0, 50);
  return result < 0 ? 200 + errno : (int)result;
}

// A call that does nothing, with the address of a number as its argument. Exits with the number.
static int ShowMemory(void) {
  volatile int number = 1;
  syscall(SYS_sysfs, -1, &number);
  return number;
}

#ifdef __x86_64__
// r12 and r13 across a system call. Exits with r12 * 16 + r13.
static int ShowRegisters(void) {
  uint64_t first = 0;
  uint64_t second = 0;
  long result = SYS_getppid;
  __asm__ volatile("mov $1, %%r12\n mov $1, %%r13\n syscall\n mov %%r12, %1\n mov %%r13, %2\n"
                   : "+a"(result), "=r"(first), "=r"(second)
                   :
                   : "rcx", "r11", "r12", "r13", "memory");
  return (int)(first * 16 + second);
}
#endif

int main(int argc, char** argv) {
  if (argc != 2) return 255;
  if (strcmp(argv[1], "signal") == 0) return SignalItself();
  if (strcmp(argv[1], "call") == 0) return MakeACall();
  if (strcmp(argv[1], "dup") == 0) return Duplicate();
  if (strcmp(argv[1], "memory") == 0) return ShowMemory();
#ifdef __x86_64__
  if (strcmp(argv[1], "registers") == 0) return ShowRegisters();
#endif
  return 255;
}
