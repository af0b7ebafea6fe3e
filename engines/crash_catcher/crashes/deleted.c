// Crashes when its file is gone.
#include <unistd.h>

__attribute__((noinline)) static void touch(int* pointer) {
  *pointer = 1;  // CRASH
}

int main(int argc, char** argv) {
  if (argc < 1 || unlink(argv[0]) != 0) return 1;
  touch((int*)16);
  return 0;
}
