// Crashes and handles it: ends with status 3.
#include <signal.h>
#include <unistd.h>

static void handle(int number) {
  (void)number;
  _exit(3);
}

int main(void) {
  signal(SIGSEGV, handle);
  volatile int* volatile pointer = 0;
  return *pointer;
}
