// Crashes with much memory in use, which takes a while to write.
#include <stdlib.h>

int main(void) {
  const size_t size = (size_t)256 << 20;
  unsigned* memory = malloc(size);
  if (memory == NULL) return 1;
  for (size_t i = 0; i < size / sizeof(*memory); ++i) memory[i] = (unsigned)i * 2654435761U + 1;
  volatile int* volatile nothing = NULL;
  *nothing = (int)memory[7];
  return 0;
}
