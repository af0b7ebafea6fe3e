// Crashes while another thread is stuck in the kernel: it waits for the child of its vfork, which waits
// for the end of the process.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static int alive[2];
static int child_runs[2];

static void* stuck(void* unused) {
  const pid_t child = vfork();
  if (child == 0) {
    char byte = 0;
    close(alive[1]);
    if (write(child_runs[1], "x", 1) != 1) _exit(1);
    // End of file, once the process is gone and its descriptors with it.
    _exit(read(alive[0], &byte, 1) == 0 ? 0 : 1);
  }
  return unused;
}

int main(void) {
  char byte = 0;
  pthread_t thread;
  if (pipe(alive) != 0 || pipe(child_runs) != 0) return 1;
  pthread_create(&thread, NULL, stuck, NULL);
  if (read(child_runs[0], &byte, 1) != 1) return 1;
  abort();
}
