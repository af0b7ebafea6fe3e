// A thread crashes while others wait, or work.
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

static pthread_barrier_t all_there;
static volatile int waiting;
static volatile int joining;
static volatile long work;

__attribute__((noinline)) static void wait_for_ever(void) {
  for (waiting = 1;; waiting = 2) pause();  // WAITER
}

static void* waiter(void* unused) {
  pthread_barrier_wait(&all_there);
  wait_for_ever();
  return unused;
}

__attribute__((noinline)) static void work_for_ever(void) {
  for (;;) ++work;  // WORKER
}

static void* worker(void* unused) {
  pthread_barrier_wait(&all_there);
  work_for_ever();
  return unused;
}

__attribute__((noinline)) static int read_through(const int* pointer) {
  return *pointer;  // CRASH
}

static void* crasher(void* pointer) {
  pthread_barrier_wait(&all_there);
  // All others are where they stay.
  while (waiting == 0 || work == 0 || joining == 0) {
  }
  return (void*)(long)read_through(pointer);
}

int main(void) {
  pthread_t threads[3];
  pthread_barrier_init(&all_there, NULL, 3);
  pthread_create(&threads[0], NULL, waiter, NULL);
  pthread_create(&threads[1], NULL, worker, NULL);
  pthread_create(&threads[2], NULL, crasher, (void*)64);
  joining = 1;
  for (int i = 0; i < 3; ++i) pthread_join(threads[i], NULL);
  return 0;
}
