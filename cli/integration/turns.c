// Threads that call a function in turn, for debuggers that break there.
//
//   turns THREADS CALLS
//
// Says its process id, and waits for a byte of its input, so that who traces it can get ready. Then the threads
// call place(1), place(2) and so on up to CALLS, each when the one before is through; with THREADS 0 the main
// thread calls. At last it says which call was the last.
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { kMost = 8 };

static int threads;
static int calls;
static int last;
static sem_t turns[kMost];

__attribute__((noinline)) void place(int number) { last = number; }

static void* Work(void* argument) {
  sem_t* const turn = argument;
  const int index = (int)(turn - turns);
  for (int number = index + 1; number <= calls; number += threads) {
    while (sem_wait(turn) != 0) {
    }
    place(number);
    sem_post(&turns[(index + 1) % threads]);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  threads = atoi(argv[1]);
  calls = atoi(argv[2]);
  if (threads < 0 || threads > kMost) return 2;
  pthread_t made[kMost];
  for (int n = 0; n < threads; ++n) {
    sem_init(&turns[n], 0, 0);
    if (pthread_create(&made[n], NULL, Work, &turns[n]) != 0) return 1;
  }
  printf("%d\n", getpid());
  fflush(stdout);
  char byte = 0;
  if (read(STDIN_FILENO, &byte, 1) != 1) return 1;
  if (threads == 0) {
    for (int number = 1; number <= calls; ++number) place(number);
  } else {
    sem_post(&turns[0]);
    for (int n = 0; n < threads; ++n) pthread_join(made[n], NULL);
  }
  printf("last call: %d\n", last);
  return 0;
}
