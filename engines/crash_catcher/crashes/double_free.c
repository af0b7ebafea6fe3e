// Frees twice; the C library notices.
#include <stdlib.h>

__attribute__((noinline)) static void drop(void* memory) {
  free(memory);  // CRASH
}

int main(void) {
  // A volatile pointer keeps the compiler from noticing first.
  void* volatile memory = malloc(32);
  drop(memory);
  drop(memory);
  return 0;
}
