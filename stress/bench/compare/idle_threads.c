// A busy thread beside others that do nothing: the first thread makes getppid calls while IDLE more sleep. Prints how
// many nanoseconds one call took. Usage: idle_threads IDLE CALLS
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_barrier_t all_there;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void* Sleep(void* unused) {
  pthread_barrier_wait(&all_there);
  pthread_mutex_lock(&held);
  pthread_mutex_unlock(&held);
  return unused;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const long idle = atol(argv[1]);
  const long calls = atol(argv[2]);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  pthread_barrier_init(&all_there, NULL, (unsigned)idle + 1);
  pthread_mutex_lock(&held);
  for (long n = 0; n < idle; ++n) {
    pthread_t thread;
    if (pthread_create(&thread, &small, Sleep, NULL) != 0) return 1;
    pthread_detach(thread);
  }
  pthread_barrier_wait(&all_there);
  struct timespec begin;
  struct timespec end;
  // What those who have just been let go still do until they sleep is not to be measured.
  for (long n = 0; n < calls / 4; ++n) syscall(SYS_getppid);
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long n = 0; n < calls; ++n) syscall(SYS_getppid);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.1f\n",
         ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
             (double)calls);
  fflush(stdout);
  // With all its threads.
  _exit(0);
}
