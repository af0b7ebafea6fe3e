/* victims SECONDS [without-signals]: makes processes in every state that a SIGKILL can meet, and tells what became of them. Each ends
 * with status 7 unless it is killed; anything else is harm, and the exit status is 1. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kWell = 7, kMostAtATime = 12, kKinds = 7 };

static const char* self_path;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void doze(long microseconds) {
  struct timespec left = {.tv_sec = 0, .tv_nsec = microseconds * 1000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

static void* thread_of_many(void* unused) {
  (void)unused;
  for (int i = 0; i < 20; ++i) getppid();
  doze(1000);
  /* The last thread's status is the process's. */
  syscall(SYS_exit, kWell);
  return NULL;
}

static volatile sig_atomic_t handled;
static void on_signal(int signal) {
  (void)signal;
  ++handled;
}

/* Waits for all children of this process: kWell if each was well or killed. */
static int outcome_of_children(void) {
  int worst = kWell;
  int status;
  for (;;) {
    const pid_t child = wait(&status);
    if (child < 0 && errno == EINTR) continue;
    if (child < 0) return worst;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kWell) continue;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) continue;
    worst = 1;
  }
}

static void exec_self(void) {
  execl(self_path, "victims", "--well", (char*)NULL);
  _exit(3);
}

static int live(int kind) {
  pthread_t thread;
  switch (kind) {
    case 0: /* system calls */
      for (int i = 0; i < 200; ++i) getppid();
      return kWell;
    case 1: /* asleep */
      doze(5000);
      return kWell;
    case 2: /* in exec, from a thread other than the leader's if there is time */
      for (int i = 0; i < 3; ++i) pthread_create(&thread, NULL, thread_of_many, NULL);
      exec_self();
      return 3;
    case 3: { /* in vfork */
      const pid_t child = vfork();
      if (child == 0) exec_self();
      return outcome_of_children();
    }
    case 4: /* leader before threads */
      for (int i = 0; i < 3; ++i) pthread_create(&thread, NULL, thread_of_many, NULL);
      syscall(SYS_exit, kWell);
      return 3;
    case 5: /* parent before child */
      if (fork() == 0) {
        doze(2000);
        _exit(kWell);
      }
      return kWell;
    default: /* signals */
      signal(SIGUSR1, on_signal);
      for (int i = 0; i < 20; ++i) raise(SIGUSR1);
      return handled == 20 ? kWell : 4;
  }
}

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    fprintf(stderr, "usage: victims SECONDS [without-signals]\n");
    return 125;
  }
  const int kinds = argc == 3 ? kKinds - 1 : kKinds; /* that with signals is the last one */
  self_path = "/proc/self/exe";
  if (argv[1][0] == '-') return kWell;
  const double end = now() + atof(argv[1]);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  long made = 0, well = 0, killed = 0, harmed = 0, living = 0;
  while (living > 0 || now() < end) {
    if (now() < end && living < kMostAtATime) {
      const pid_t child = fork();
      if (child == 0) _exit(live((int)(made % kinds)));
      if (child > 0) {
        ++made;
        ++living;
        continue;
      }
    }
    int status;
    const pid_t child = wait(&status);
    if (child < 0 && errno == EINTR) continue;
    if (child < 0) living = 0;
    if (child < 0) continue;
    --living; /* of orphans too: a few more at a time */
    if (living < 0) living = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kWell) {
      ++well;
    } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
      ++killed;
    } else {
      ++harmed;
      if (harmed <= 5) fprintf(stderr, "victims: process %d has status %#x\n", (int)child, status);
    }
  }
  printf("{\"made\":%ld,\"well\":%ld,\"killed\":%ld,\"harmed\":%ld}\n", made, well, killed, harmed);
  return harmed == 0 ? 0 : 1;
}
