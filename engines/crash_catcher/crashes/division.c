// Divides by zero.
__attribute__((noinline)) static int average(int sum, int count) {
  return sum / count;  // CRASH
}

int main(int argc, char** argv) {
  (void)argv;
  return average(argc, argc - 1);
}
