// A threaded program that counts, and looks whether anything is not as it was: for the demonstration of
// tracers that share it.
//
// Each thread makes a system call in each round, whose argument is the number of the round, and calls
// milestone() in each hundredth. When its input ends the program says how far each thread came, and whether
// a call returned anything else than it should.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kThreads = 4 };

struct Worker {
  pthread_t thread;
  long tid;
  volatile long round;
};

static struct Worker workers[kThreads];
static atomic_int surprises;
static atomic_int over;
volatile long last_milestone;

__attribute__((noinline)) long milestone(long round) {
  long hundreds = round / 100;
  last_milestone = hundreds;
  return hundreds;
}

static void* Work(void* argument) {
  struct Worker* self = argument;
  const long parent = getppid();
  self->tid = syscall(SYS_gettid);
  for (long round = 1; !over; ++round) {
    if (lseek(-1, round, SEEK_SET) != -1 || errno != EBADF) ++surprises;
    if (getppid() != parent) ++surprises;
    if (self->round != round - 1) ++surprises;
    self->round = round;
    const struct timespec pause = {0, 500000};
    if (nanosleep(&pause, NULL) != 0) ++surprises;
    if (round % 100 == 0 && milestone(round) != round / 100) ++surprises;
  }
  return NULL;
}

int main(void) {
  for (int n = 0; n < kThreads; ++n) {
    if (pthread_create(&workers[n].thread, NULL, Work, &workers[n]) != 0) return 1;
  }
  printf("%d\n", getpid());
  fflush(stdout);
  char byte;
  if (read(STDIN_FILENO, &byte, 1) < 0) ++surprises;
  over = 1;
  for (int n = 0; n < kThreads; ++n) pthread_join(workers[n].thread, NULL);
  for (int n = 0; n < kThreads; ++n)
    printf("thread %ld: %ld rounds\n", workers[n].tid, workers[n].round);
  if (surprises == 0) {
    printf("nothing was noticed\n");
  } else {
    printf("%d surprises\n", (int)surprises);
  }
  return surprises != 0;
}
