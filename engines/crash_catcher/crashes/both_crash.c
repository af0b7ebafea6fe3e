// Two threads crash at the same time.
#include <pthread.h>
#include <stddef.h>

static pthread_barrier_t both;

static void* crash(void* pointer) {
  pthread_barrier_wait(&both);
  return (void*)(long)*(volatile int*)pointer;
}

int main(void) {
  pthread_t thread;
  pthread_barrier_init(&both, NULL, 2);
  pthread_create(&thread, NULL, crash, NULL);
  crash(NULL);
  return 0;
}
