// Executes itself in every way that there is, from children that are traced (the first argument is "traced": after
// PTRACE_TRACEME; "seized": their parent seizes them before) or not ("plain"). What it becomes says what of
// `utrace wrap` it finds: in its environment, and mapped.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

static const char* const kWays[] = {"execv",    "execve",     "execvp",       "execvpe",
                                    "execl",    "execle",     "execlp",       "fexecve",
                                    "execveat", "SYS_execve", "SYS_execveat", "vfork"};
enum { kWaysCount = sizeof(kWays) / sizeof(kWays[0]) };

static void Execute(const char* self, const char* way) {
  char* const list[] = {"exec_ways", "say", (char*)way, NULL};
  if (strcmp(way, "execv") == 0 || strcmp(way, "vfork") == 0) execv(self, list);
  if (strcmp(way, "execve") == 0) execve(self, list, environ);
  if (strcmp(way, "execvp") == 0) execvp(self, list);
  if (strcmp(way, "execvpe") == 0) execvpe(self, list, environ);
  if (strcmp(way, "execl") == 0) execl(self, "exec_ways", "say", way, NULL);
  if (strcmp(way, "execle") == 0) execle(self, "exec_ways", "say", way, NULL, environ);
  if (strcmp(way, "execlp") == 0) execlp(self, "exec_ways", "say", way, NULL);
  if (strcmp(way, "fexecve") == 0) fexecve(open(self, O_RDONLY | O_CLOEXEC), list, environ);
  if (strcmp(way, "execveat") == 0) execveat(AT_FDCWD, self, list, environ, 0);
  if (strcmp(way, "SYS_execve") == 0) syscall(SYS_execve, self, list, environ);
  if (strcmp(way, "SYS_execveat") == 0) syscall(SYS_execveat, AT_FDCWD, self, list, environ, 0);
  _exit(91);
}

static int Say(const char* way) {
  const char* const preload = getenv("LD_PRELOAD");
  int mapped = 0;
  char line[4096];
  FILE* const maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) return 92;
  while (fgets(line, sizeof(line), maps) != NULL)
    mapped |= strstr(line, "libutrace_ptrace.so") != NULL;
  fclose(maps);
  printf("%s: %s, %s, %s\n", way, mapped ? "mapped" : "not mapped",
         getenv("UTRACE_WRAP") != NULL ? "UTRACE_WRAP" : "no UTRACE_WRAP",
         preload == NULL                                  ? "no LD_PRELOAD"
         : strstr(preload, "libutrace_ptrace.so") == NULL ? preload
                                                          : "LD_PRELOAD with it");
  return 0;
}

// Up to its end.
static int Await(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    // The trap of exec is no signal for it, nor is a stop's.
    if (ptrace(PTRACE_CONT, child, NULL, NULL) != 0) return -1;
  }
  return status;
}

int main(int count, char** names) {
  if (count == 3 && strcmp(names[1], "say") == 0) return Say(names[2]);
  if (count != 2) return 2;
  const int traced = strcmp(names[1], "traced") == 0;
  const int seized = strcmp(names[1], "seized") == 0;
  char self[4096];
  if (realpath("/proc/self/exe", self) == NULL) return 2;
  for (int n = 0; n < kWaysCount; ++n) {
    int go[2];
    if (pipe(go) != 0) return 2;
    // A vfork child that its parent seizes would wait for it, and its parent for its exec.
    const int vforks = strcmp(kWays[n], "vfork") == 0 && !seized;
    const pid_t child = vforks ? vfork() : fork();
    if (child == 0) {
      char byte;
      if (traced && ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(90);
      if (seized && read(go[0], &byte, 1) != 1) _exit(93);
      Execute(self, kWays[n]);
    }
    if (seized && (ptrace(PTRACE_SEIZE, child, NULL, NULL) != 0 || write(go[1], "", 1) != 1))
      return 3;
    const int status = Await(child);
    if (status != 0) printf("%s: status %#x\n", kWays[n], status);
    fflush(stdout);
    close(go[0]);
    close(go[1]);
  }
  return 0;
}
