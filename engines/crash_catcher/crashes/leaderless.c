// A thread crashes when the first thread of the process has ended.
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Whether the first thread is a zombie.
static int leader_ended(void) {
  char path[64];
  char line[256];
  int ended = 0;
  snprintf(path, sizeof(path), "/proc/%d/status", (int)getpid());
  FILE* file = fopen(path, "r");
  if (file == NULL) return 0;
  while (fgets(line, sizeof(line), file) != NULL) {
    if (strncmp(line, "State:\tZ", 8) == 0) ended = 1;
  }
  fclose(file);
  return ended;
}

__attribute__((noinline)) static int follow(const int* pointer) {
  return *pointer;  // CRASH
}

static void* outlive(void* pointer) {
  while (!leader_ended()) {
  }
  return (void*)(long)follow(pointer);
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, outlive, (void*)64);
  pthread_exit(NULL);
}
