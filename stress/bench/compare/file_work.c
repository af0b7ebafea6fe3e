// Makes, writes, looks at, reads, renames and removes small files. Usage: file_work DIRECTORY ROUNDS
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 3 || chdir(argv[1]) != 0) return 2;
  char block[4096];
  memset(block, 'x', sizeof(block));
  for (long round = atol(argv[2]); round > 0; --round) {
    char name[48];
    char other[64];
    snprintf(name, sizeof(name), "file-%ld", round % 16);
    snprintf(other, sizeof(other), "%s.old", name);
    const int out = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out < 0) return 1;
    for (int i = 0; i < 4; ++i) {
      if (write(out, block, sizeof(block)) != (ssize_t)sizeof(block)) return 1;
    }
    if (close(out) != 0 || rename(name, other) != 0) return 1;
    struct stat info;
    if (stat(other, &info) != 0 || access(name, F_OK) == 0) return 1;
    const int in = open(other, O_RDONLY | O_CLOEXEC);
    if (in < 0 || fstat(in, &info) != 0) return 1;
    while (read(in, block, sizeof(block)) > 0) {
    }
    if (lseek(in, 0, SEEK_SET) != 0 || close(in) != 0 || unlink(other) != 0) return 1;
  }
  return 0;
}
