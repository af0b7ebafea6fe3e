// How `utrace wrap` tells the preloaded library what it needs to know.
#ifndef ENGINES_PTRACE_COMPAT_WRAP_VARIABLE_H_
#define ENGINES_PTRACE_COMPAT_WRAP_VARIABLE_H_

namespace utrace::ptrace_compat {

// An environment variable: "CHILDREN FD SERVER PATIENCE DIRECTORY". CHILDREN is 1 if what the program executes is wrapped
// too, else 0. FD is an inherited descriptor of a connection that keeps the server for as long as the
// program lives, with ten digits, and ":" and the socket's inode behind it; "-" if there is none. SERVER is the server's process. PATIENCE is how many milliseconds it has for
// an answer that it owes. DIRECTORY holds the server's socket.
inline constexpr char kWrapVariable[] = "UTRACE_WRAP";
// A guard: no request takes anywhere near as long.
inline constexpr int kServerPatience = 30000;
// The file name of the library, by which it finds itself in LD_PRELOAD.
inline constexpr char kLibraryName[] = "libutrace_ptrace.so";

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_WRAP_VARIABLE_H_
