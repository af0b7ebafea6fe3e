// The least that a tracer by ptrace can do: two stops for each system call of a command and of all that it creates,
// one wait and one resumption for each. Usage: bare_loop [--info | --step] COMMAND [ARGUMENT...]
//
// --info: reads PTRACE_GET_SYSCALL_INFO at each stop, without which a tracer does not know what it saw.
// --step: single-steps instead, and prints how many nanoseconds one step took.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char** argv) {
  const int info = argc > 1 && strcmp(argv[1], "--info") == 0;
  const int step = argc > 1 && strcmp(argv[1], "--step") == 0;
  char** const command = argv + 1 + (info || step);
  if (*command == NULL) return 2;
  const pid_t pid = fork();
  if (pid < 0) return 2;
  if (pid == 0) {
    raise(SIGSTOP);
    execvp(*command, command);
    _exit(127);
  }
  int status = 0;
  if (waitpid(pid, &status, WUNTRACED) != pid) return 2;
  const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK |
                       PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
  if (ptrace(PTRACE_SEIZE, pid, NULL, options) != 0) return 2;
  kill(pid, SIGCONT);
  const double begin = Now();
  long steps = 0;
  int result = 2;
  for (;;) {
    const pid_t tid = waitpid(-1, &status, __WALL);
    if (tid < 0) break;
    if (!WIFSTOPPED(status)) {
      if (tid == pid) result = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
      continue;
    }
    const int event = status >> 16;
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      signal = 0;
      struct __ptrace_syscall_info call;
      if (info) ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(call), &call);
    } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
      ptrace(PTRACE_LISTEN, tid, NULL, NULL);
      continue;
    } else if (event != 0 || (step && signal == SIGTRAP)) {
      signal = 0;
    }
    ++steps;
    ptrace(step ? PTRACE_SINGLESTEP : PTRACE_SYSCALL, tid, NULL, (long)signal);
  }
  if (step) printf("%.1f\n", (Now() - begin) / (double)steps);
  return result;
}
