// Runs into an instruction that there is not.
__attribute__((noinline)) static void unreachable(void) {
  __builtin_trap();  // CRASH
}

int main(void) {
  unreachable();
  return 0;
}
