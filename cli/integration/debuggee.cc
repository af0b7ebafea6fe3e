// What gdb's scripts debug: one thing after the other, as the first argument says. Lines that scripts name
// have a MARK. Output is one line at the end, so that it does not mix with gdb's.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

struct Point {
  int x;
  int y;
};

volatile int counter = 0;
volatile int handled = 0;
Point point = {3, 4};
thread_local int own = 0;
char text[32] = "hello";

extern "C" {

int add(int a, int b) {
  int sum = a + b;  // MARK sum
  return sum;
}

int twice(int n) {
  int result = add(n, n);  // MARK twice
  return result;
}

int factorial(int n) {
  if (n <= 1) return 1;  // MARK factorial
  return n * factorial(n - 1);
}

void count_to(int n) {
  for (int i = 1; i <= n; ++i) {
    counter = i;  // MARK count
  }
}

void handler(int number) {
  handled = number;  // MARK handler
}

void thrower(int n) {
  if (n > 0) throw std::runtime_error("thrown");
}

void in_child() { counter = 100; }
void in_parent() { counter = 200; }

void all_up() { counter = 1; }

int blocked_calls() {
  char byte = 0;
  return static_cast<int>(read(STDIN_FILENO, &byte, 1));
}

void work(int index) {
  own = index * 10;  // MARK own
  counter = index;   // MARK work
}

}  // extern "C"

constexpr int kMost = 16;
sem_t turn[kMost + 1];
sem_t up;
pid_t tids[kMost];

void* Thread(void* argument) {
  const int index = *static_cast<int*>(argument);
  own = index;
  tids[index] = gettid();
  sem_post(&up);
  sem_wait(&turn[index]);
  work(index);
  sem_post(&turn[index + 1]);
  return nullptr;
}

// Until thread `index` waits for its turn, so that each gdb finds it at the same place.
void AwaitWaiting(int index) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tids[index]);
  char expected[64];
  snprintf(expected, sizeof(expected), "%d 0x%lx ", SYS_futex,
           reinterpret_cast<unsigned long>(&turn[index]));
  char line[256] = "";
  while (strncmp(line, expected, strlen(expected)) != 0) {
    FILE* file = fopen(path, "re");
    if (file == nullptr || fgets(line, sizeof(line), file) == nullptr) abort();
    fclose(file);
  }
}

// `count` threads that go to wait for their turns; each of them does if they are to be settled.
void StartThreads(int count, bool settled, pthread_t* threads, int* indexes) {
  sem_init(&up, 0, 0);
  for (int n = 0; n <= count; ++n) sem_init(&turn[n], 0, 0);
  for (int n = 0; n < count; ++n) {
    indexes[n] = n;
    pthread_create(&threads[n], nullptr, Thread, &indexes[n]);
    sem_wait(&up);
    if (settled) AwaitWaiting(n);
  }
}

// `count` threads which are all there when all_up is called, and then work one after the other.
void Threads(int count, bool settled) {
  pthread_t threads[kMost];
  int indexes[kMost];
  StartThreads(count, settled, threads, indexes);
  all_up();
  sem_post(&turn[0]);
  sem_wait(&turn[count]);
  for (int n = 0; n < count; ++n) pthread_join(threads[n], nullptr);
}

void Fork(bool vfork_it) {
  const pid_t pid = vfork_it ? vfork() : fork();
  if (pid == 0) {
    if (!vfork_it) in_child();
    if (vfork_it) execl("/bin/true", "true", nullptr);
    _exit(5);
  }
  in_parent();
  int status = 0;
  while (waitpid(pid, &status, 0) != pid) {
  }
  printf("child %d\n", WEXITSTATUS(status));
}

void* ExecThread(void* argument) {
  sem_wait(&up);
  execl(static_cast<const char*>(argument), "debuggee", "plain", nullptr);
  return nullptr;
}

int main(int argc, char** argv) {
  const char* mode = argc > 1 ? argv[1] : "plain";
  if (strcmp(mode, "plain") == 0) {
    const int six = twice(3);
    count_to(10);
    const int result = factorial(4) + six + add(point.x, point.y);  // MARK result
    printf("result %d counter %d\n", result, counter);
  } else if (strcmp(mode, "signals") == 0) {
    signal(SIGUSR1, handler);
    signal(SIGUSR2, handler);
    raise(SIGUSR1);  // MARK raise
    raise(SIGUSR2);
    printf("handled %d\n", handled);
  } else if (strcmp(mode, "crash") == 0) {
    count_to(2);
    *reinterpret_cast<volatile int*>(16) = 1;
  } else if (strcmp(mode, "throw") == 0) {
    try {
      thrower(1);
    } catch (const std::exception& e) {
      printf("caught %s\n", e.what());
    }
  } else if (strcmp(mode, "threads") == 0 || strcmp(mode, "settled-threads") == 0) {
    Threads(argc > 2 ? atoi(argv[2]) : 8, strcmp(mode, "settled-threads") == 0);
    printf("counter %d\n", counter);
  } else if (strcmp(mode, "fork") == 0) {
    Fork(false);
  } else if (strcmp(mode, "vfork") == 0) {
    Fork(true);
  } else if (strcmp(mode, "exec") == 0) {
    count_to(1);
    execl(argv[0], "debuggee", "plain", nullptr);
  } else if (strcmp(mode, "exec-thread") == 0) {
    pthread_t thread;
    sem_init(&up, 0, 0);
    pthread_create(&thread, nullptr, ExecThread, argv[0]);
    sem_post(&up);
    pthread_join(thread, nullptr);
  } else if (strcmp(mode, "calls") == 0) {
    syscall(SYS_getppid);
    syscall(SYS_getpgid, 0);
    syscall(SYS_getppid);
    printf("calls made\n");
  } else if (strcmp(mode, "wait") == 0) {
    // Says when it can be attached to, and goes on when its input ends or has something.
    printf("ready\n");
    fflush(stdout);
    const int got = blocked_calls();
    const int six = twice(3);
    printf("read %d, %d, counter %d\n", got, six, counter);
  } else if (strcmp(mode, "wait-threads") == 0) {
    pthread_t threads[8];
    int indexes[8];
    StartThreads(8, /*settled=*/true, threads, indexes);
    printf("ready\n");
    fflush(stdout);
    const int got = blocked_calls();
    sem_post(&turn[0]);
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
    printf("read %d, counter %d\n", got, counter);
  } else {
    fprintf(stderr, "debuggee: no such mode\n");
    return 2;
  }
  return 0;
}
