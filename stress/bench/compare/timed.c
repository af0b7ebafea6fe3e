// Runs a command, without its output, and prints how many nanoseconds it took. Under a tracer that follows forks,
// so that the start of the tracer itself does not count. Usage: timed COMMAND [ARGUMENT...]
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

extern char** environ;

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  pid_t pid = 0;
  const double begin = Now();
  // What the command prints is no result.
  posix_spawn_file_actions_t quiet;
  if (posix_spawn_file_actions_init(&quiet) != 0 ||
      posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0) != 0 ||
      posix_spawnp(&pid, argv[1], &quiet, NULL, argv + 1, environ) != 0) {
    return 2;
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return 2;
  printf("%.1f\n", Now() - begin);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
