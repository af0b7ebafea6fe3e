// Where the program's own variables lie: memory that is there for as long as the program runs.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_PROGRAM_DATA_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_PROGRAM_DATA_H_

#include <stddef.h>

namespace utrace::ptrace_compat::client {

// Looks for it; once, before anything else runs.
void FindProgramData();
// Whether all `size` bytes from `address` on are variables of the program, which can be written to. False also of
// what is not known.
bool IsProgramData(const void* address, size_t size);

}  // namespace utrace::ptrace_compat::client

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_PROGRAM_DATA_H_
