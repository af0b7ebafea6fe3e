// Calls itself until the stack is used up.
#include <string.h>

__attribute__((noinline)) static int descend(int depth) {
  char buffer[4096];  // CRASH here, or where it is used
  memset(buffer, depth, sizeof(buffer));
  return descend(depth + 1) + buffer[depth % 4096];
}

int main(void) { return descend(0); }
