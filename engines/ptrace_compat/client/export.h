// For the functions that this library puts in front of the C library's.
#ifndef ENGINES_PTRACE_COMPAT_CLIENT_EXPORT_H_
#define ENGINES_PTRACE_COMPAT_CLIENT_EXPORT_H_

#define UTRACE_INTERPOSED extern "C" __attribute__((visibility("default")))

#endif  // ENGINES_PTRACE_COMPAT_CLIENT_EXPORT_H_
