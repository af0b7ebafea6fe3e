// Makes getppid calls, and prints how many nanoseconds one took. Usage: getppid_loop CALLS
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const long calls = argc == 2 ? atol(argv[1]) : 0;
  if (calls <= 0) return 2;
  // One of the kind that is traced, so that the tracing is seen to work.
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  struct timespec begin;
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long n = 0; n < calls; ++n) syscall(SYS_getppid);
  clock_gettime(CLOCK_MONOTONIC, &end);
  close(fd);
  const double spent =
      (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
  printf("%.1f\n", spent / (double)calls);
  return 0;
}
