// Calls a function that is not there.
__attribute__((noinline)) static int apply(int (*function)(int), int value) {
  return function(value) + 1;  // CALL
}

int main(void) { return apply((int (*)(int))0, 7); }
