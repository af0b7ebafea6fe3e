// Executes another program from a thread that is not the leader, while a third one sleeps.
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

static void* Execute(void* unused) {
  (void)unused;
  execl("/bin/echo", "echo", "executed from a thread", (char*)NULL);
  return NULL;
}

static void* Sleep(void* unused) {
  (void)unused;
  for (;;) pause();
  return NULL;
}

int main(void) {
  pthread_t sleeper;
  pthread_t executor;
  if (pthread_create(&sleeper, NULL, Sleep, NULL) != 0) return 1;
  if (pthread_create(&executor, NULL, Execute, NULL) != 0) return 1;
  pthread_join(executor, NULL);
  return 2;
}
