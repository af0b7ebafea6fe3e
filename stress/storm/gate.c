/* gate FD COMMAND [ARGUMENT]...: waits for a byte on FD, then executes the command. So a tracer can be attached to a
 * program before its first instruction without being its parent. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: gate FD COMMAND [ARGUMENT]...\n");
    return 125;
  }
  const int fd = atoi(argv[1]);
  char byte;
  ssize_t got;
  do {
    got = read(fd, &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) {
    fprintf(stderr, "gate: nobody opened it: %s\n",
            got == 0 ? "the other end was closed" : strerror(errno));
    return 125;
  }
  close(fd);
  execvp(argv[2], argv + 2);
  fprintf(stderr, "gate: %s: %s\n", argv[2], strerror(errno));
  return errno == ENOENT ? 127 : 126;
}
