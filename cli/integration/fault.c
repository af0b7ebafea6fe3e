// Dies of SIGSEGV after some output.
#include <signal.h>
#include <stdio.h>

int main(void) {
  signal(SIGSEGV, SIG_DFL);  // a sanitizer's runtime would put itself in between
  puts("before");
  fflush(stdout);
  volatile int* nowhere = NULL;
  *nowhere = 1;
  return 0;
}
