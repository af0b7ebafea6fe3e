// Two threads that wait for each other's lock; ends with status 5 when it gets SIGTERM.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void end(int number) {
  (void)number;
  _exit(5);
}

__attribute__((noinline)) static void lock_in_order(pthread_mutex_t* one, pthread_mutex_t* other) {
  pthread_mutex_lock(one);
  pthread_barrier_wait(&both);
  pthread_mutex_lock(other);  // HANG
}

static void* other_way(void* unused) {
  lock_in_order(&second, &first);
  return unused;
}

int main(void) {
  signal(SIGTERM, end);
  pthread_barrier_init(&both, NULL, 2);
  pthread_t thread;
  pthread_create(&thread, NULL, other_way, NULL);
  lock_in_order(&first, &second);
  return 0;
}
