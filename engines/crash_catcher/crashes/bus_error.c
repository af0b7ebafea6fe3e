// Reads a mapped file beyond its end.
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noinline)) static int last_byte(const char* text, long size) {
  return text[size - 1];  // CRASH
}

int main(void) {
  FILE* file = tmpfile();
  if (file == NULL) return 1;
  const long page = sysconf(_SC_PAGESIZE);
  if (ftruncate(fileno(file), page) != 0) return 1;
  const char* text = mmap(NULL, (size_t)page * 2, PROT_READ, MAP_SHARED, fileno(file), 0);
  if (text == MAP_FAILED) return 1;
  return last_byte(text, page * 2);
}
