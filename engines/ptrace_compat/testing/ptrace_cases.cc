// The probe cases as a program: each runs in a process of its own.
//
//   ptrace_cases --list         their names
//   ptrace_cases --only NAME    runs one
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engines/ptrace_compat/testing/probe.h"

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--list") == 0) {
    for (const probe::Case& one : probe::Cases()) puts(one.name);
    return 0;
  }
  if (argc == 3 && strcmp(argv[1], "--only") == 0) {
    for (const probe::Case& one : probe::Cases()) {
      if (strcmp(one.name, argv[2]) != 0) continue;
      probe::Name(getpid(), "the tracer");
      one.body();
      probe::Say("end");
      return 0;
    }
    fprintf(stderr, "ptrace_cases: there is no case %s\n", argv[2]);
    return 2;
  }
  fputs("usage: ptrace_cases --list | --only NAME\n", stderr);
  return 2;
}
