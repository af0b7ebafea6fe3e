// Finds something wrong and aborts.
#include <stdlib.h>

__attribute__((noinline)) static void check(int sum) {
  if (sum != 4) abort();  // CRASH
}

int main(int argc, char** argv) {
  (void)argv;
  check(argc + 4);
  return 0;
}
