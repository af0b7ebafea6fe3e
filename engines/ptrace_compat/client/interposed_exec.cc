// The functions that execute programs: what a traced child executes is not wrapped, and a process that may
// have got a child knows it.
#include <alloca.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engines/ptrace_compat/client/connection.h"
#include "engines/ptrace_compat/client/export.h"
#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"

namespace utrace::ptrace_compat::client {
namespace {

size_t Count(char* const* list) {
  size_t count = 0;
  while (list[count] != nullptr) ++count;
  return count;
}

// Room for what an environment without this library needs of its own: one shortened entry.
size_t PreloadSize(char* const* environment) {
  for (; *environment != nullptr; ++environment) {
    if (IsPreloadEntry(*environment)) return strlen(*environment) + 1;
  }
  return 1;
}

// `list` has room for all of `environment`, `text` for its LD_PRELOAD.
char* const* Unwrapped(char* const* environment, char** list, char* text) {
  // Nor is the server kept on a tracee's account.
  CloseKeptOnExec();
  char** to = list;
  for (; *environment != nullptr; ++environment) {
    char* entry = *environment;
    if (IsWrapEntry(entry)) continue;
    if (IsPreloadEntry(entry)) {
      strcpy(text, entry);
      entry = text;
      if (!ShortenPreload(entry)) continue;
    }
    *to++ = entry;
  }
  *to = nullptr;
  return list;
}

// Memory of the caller's stack: a child of vfork has no other.
#define UTRACE_ENVIRONMENT(environment)                                                   \
  (ExecutesUnwrapped() && (environment) != nullptr                                        \
       ? Unwrapped(environment,                                                           \
                   static_cast<char**>(alloca((Count(environment) + 1) * sizeof(char*))), \
                   static_cast<char*>(alloca(PreloadSize(environment))))                  \
       : (environment))

// A vfork child is about to become another program: it is a child of the process whose memory this is.
void NoteExec() {
  if (WhoseMemory() == Memory::kBorrowed) NoteChild();
}

// The arguments of execl and its like, whose number is not known: at most as many as `list` has room for.
#define UTRACE_ARGUMENTS(first)                                                 \
  va_list counted;                                                              \
  va_start(counted, first);                                                     \
  size_t count = 1;                                                             \
  while (va_arg(counted, char*) != nullptr) ++count;                            \
  va_end(counted);                                                              \
  auto** const list = static_cast<char**>(alloca((count + 1) * sizeof(char*))); \
  list[0] = const_cast<char*>(first);                                           \
  va_list arguments;                                                            \
  va_start(arguments, first);                                                   \
  for (size_t n = 1; n <= count; ++n) list[n] = va_arg(arguments, char*)

}  // namespace

UTRACE_INTERPOSED int execve(const char* path, char* const* list,
                             char* const* environment) noexcept {
  NoteExec();
  return TheNative().execve(path, list, UTRACE_ENVIRONMENT(environment));
}

UTRACE_INTERPOSED int execv(const char* path, char* const* list) noexcept {
  return execve(path, list, environ);
}

UTRACE_INTERPOSED int execvpe(const char* file, char* const* list,
                              char* const* environment) noexcept {
  NoteExec();
  return TheNative().execvpe(file, list, UTRACE_ENVIRONMENT(environment));
}

UTRACE_INTERPOSED int execvp(const char* file, char* const* list) noexcept {
  return execvpe(file, list, environ);
}

UTRACE_INTERPOSED int fexecve(int fd, char* const* list, char* const* environment) noexcept {
  NoteExec();
  return TheNative().fexecve(fd, list, UTRACE_ENVIRONMENT(environment));
}

UTRACE_INTERPOSED int execveat(int directory, const char* path, char* const* list,
                               char* const* environment, int flags) noexcept {
  NoteExec();
  return TheNative().execveat(directory, path, list, UTRACE_ENVIRONMENT(environment), flags);
}

UTRACE_INTERPOSED int execl(const char* path, const char* first, ...) noexcept {
  UTRACE_ARGUMENTS(first);
  va_end(arguments);
  return execve(path, list, environ);
}

UTRACE_INTERPOSED int execlp(const char* file, const char* first, ...) noexcept {
  UTRACE_ARGUMENTS(first);
  va_end(arguments);
  return execvpe(file, list, environ);
}

UTRACE_INTERPOSED int execle(const char* path, const char* first, ...) noexcept {
  UTRACE_ARGUMENTS(first);
  char* const* const environment = va_arg(arguments, char**);
  va_end(arguments);
  return execve(path, list, environment);
}

// A child may be there as soon as these begin, and is once they return.
UTRACE_INTERPOSED int posix_spawn(pid_t* pid, const char* path,
                                  const posix_spawn_file_actions_t* actions,
                                  const posix_spawnattr_t* attributes, char* const* list,
                                  char* const* environment) {
  const int status = TheNative().posix_spawn(pid, path, actions, attributes, list, environment);
  NoteChild();
  return status;
}

UTRACE_INTERPOSED int posix_spawnp(pid_t* pid, const char* file,
                                   const posix_spawn_file_actions_t* actions,
                                   const posix_spawnattr_t* attributes, char* const* list,
                                   char* const* environment) {
  const int status = TheNative().posix_spawnp(pid, file, actions, attributes, list, environment);
  NoteChild();
  return status;
}

UTRACE_INTERPOSED FILE* popen(const char* command, const char* mode) {
  FILE* const file = TheNative().popen(command, mode);
  NoteChild();
  return file;
}

}  // namespace utrace::ptrace_compat::client
