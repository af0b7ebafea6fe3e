// Makes numbered calls, with signals and short sleeps between them, until SIGTERM comes; then one that
// says how many there were.
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t over;

static void End(int signal) {
  (void)signal;
  over = 1;
}
static void Count(int signal) { (void)signal; }

int main(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = Count;
  sigaction(SIGUSR1, &action, NULL);
  action.sa_handler = End;
  sigaction(SIGTERM, &action, NULL);
  long number = 0;
  for (; !over; ++number) {
    syscall(SYS_lseek, -1, number, SEEK_SET);
    if (number % 8 == 0) raise(SIGUSR1);
    if (number % 4 == 0) {
      const struct timespec little = {.tv_nsec = 50000};
      nanosleep(&little, NULL);
    }
  }
  syscall(SYS_lseek, -2, number, SEEK_SET);
  return 0;
}
