// What gdb's scripts debug: one thing after the other, as the first argument says. Lines that scripts name
// have a MARK. Output is one line at the end, so that it does not mix with gdb's.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
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
// Whether every thread is at a place of its own whenever one of them is looked at, so that each debugger
// finds the same. It costs calls, as many as it takes: not for a log of calls.
bool settled = false;
sem_t turn[kMost];
sem_t done;
sem_t up;
pid_t tids[kMost];

// Until thread `tid` waits for `semaphore`.
void AwaitWaiting(pid_t tid, const sem_t* semaphore) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
  char expected[64];
  snprintf(expected, sizeof(expected), "%d 0x%lx ", SYS_futex,
           reinterpret_cast<unsigned long>(semaphore));
  char line[256] = "";
  while (strncmp(line, expected, strlen(expected)) != 0) {
    FILE* file = fopen(path, "re");
    if (file == nullptr || fgets(line, sizeof(line), file) == nullptr) abort();
    fclose(file);
  }
}

// Until thread `tid`, which was joined, is no longer there: it can be joined a moment before that.
void AwaitGone(pid_t tid) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d", tid);
  while (access(path, F_OK) == 0) sched_yield();
}

void* Thread(void* argument) {
  const int index = *static_cast<int*>(argument);
  own = index;
  tids[index] = gettid();
  sem_post(&up);
  sem_wait(&turn[index]);
  if (settled) AwaitWaiting(getpid(), &done);
  work(index);
  sem_post(&done);
  return nullptr;
}

// Threads that wait for their turns and work one after the other.
class Threads {
 public:
  // All wait for their turns, if `waiting`.
  Threads(int count, bool waiting) : count_(count) {
    sem_init(&up, 0, 0);
    sem_init(&done, 0, 0);
    for (int n = 0; n < count_; ++n) {
      sem_init(&turn[n], 0, 0);
      indexes_[n] = n;
      pthread_create(&threads_[n], nullptr, Thread, &indexes_[n]);
      sem_wait(&up);
      if (waiting) AwaitWaiting(tids[n], &turn[n]);
    }
  }

  // Each works, and ends.
  void TakeTurns() {
    for (int n = 0; n < count_; ++n) {
      sem_post(&turn[n]);
      sem_wait(&done);
      pthread_join(threads_[n], nullptr);
      if (settled) AwaitGone(tids[n]);
    }
  }

 private:
  const int count_;
  pthread_t threads_[kMost];
  int indexes_[kMost];
};

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
  constexpr char kSettled[] = "settled-";
  if (strncmp(mode, kSettled, strlen(kSettled)) == 0) {
    settled = true;
    mode += strlen(kSettled);
  }
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
  } else if (strcmp(mode, "threads") == 0) {
    Threads threads(argc > 2 ? atoi(argv[2]) : 8, /*waiting=*/settled);
    all_up();
    threads.TakeTurns();
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
    Threads threads(8, /*waiting=*/true);
    printf("ready\n");
    fflush(stdout);
    const int got = blocked_calls();
    threads.TakeTurns();
    printf("read %d, counter %d\n", got, counter);
  } else {
    fprintf(stderr, "debuggee: no such mode\n");
    return 2;
  }
  return 0;
}
