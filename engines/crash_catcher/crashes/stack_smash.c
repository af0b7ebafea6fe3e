// Writes beyond an array on its stack; the function's end notices.
#include <string.h>

__attribute__((noinline)) static void copy(const char* text) {
  char name[8];
  // The compiler must neither see the length nor call a function that checks it.
  char* volatile to = name;
  for (size_t i = 0; text[i] != '\0'; ++i) to[i] = text[i];
}  // CRASH

int main(int argc, char** argv) {
  (void)argc;
  (void)argv;
  copy("a name that is longer than the array");
  return 0;
}
