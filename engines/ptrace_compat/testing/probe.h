// What the probe cases are written with. A case is a tracer: it makes tracees, does requests, waits, and
// prints a line for each thing that it sees. Nothing that it prints depends on ids, addresses or time, so
// that the output under the kernel's ptrace and under ptrace_compat can be compared as text.
//
// Everything here is for the thread that runs the case, and its forked children; no errors but those
// printed. A scene that cannot be set prints "SCENE:" and ends the case with status 3.
#ifndef ENGINES_PTRACE_COMPAT_TESTING_PROBE_H_
#define ENGINES_PTRACE_COMPAT_TESTING_PROBE_H_

#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace probe {

struct Case {
  const char* name;
  void (*body)();
};

// All cases, in no order that means something.
std::vector<Case>& Cases();

struct Register {
  Register(const char* name, void (*body)()) { Cases().push_back({name, body}); }
};

// CASE(name) { ... } adds a case.
#define CASE(name)                                               \
  static void Case_##name();                                     \
  static const ::probe::Register reg_##name(#name, Case_##name); \
  static void Case_##name()

// One line of output, written at once: to standard output in the process that runs the case, to standard
// error in those that it forks.
void Say(const char* format, ...) __attribute__((format(printf, 1, 2)));
// The scene cannot be set: says why, ends the case.
[[noreturn]] void Scene(const char* what);

// From now on output calls thread `pid` by this name.
void Name(pid_t pid, const std::string& name);
std::string NameOf(pid_t pid);

std::string SignalName(int number);
std::string ErrorName(int error);
// "stopped SIGTRAP event FORK", "exited 3", ...
std::string StatusText(int status);
// Signal, code and sender.
std::string InfoText(const siginfo_t& info);

// ptrace's arguments are numbers or pointers.
template <class T>
uint64_t ToArgument(T value) {
  if constexpr (std::is_pointer_v<T>)
    return reinterpret_cast<uint64_t>(value);
  else if constexpr (std::is_null_pointer_v<T>)
    return 0;
  else
    return static_cast<uint64_t>(value);
}

// The request without a word about it. Minus one and errno if it fails.
long Ptrace(long request, pid_t pid, uint64_t address, uint64_t data);
long Request(const char* text, long request, pid_t pid, uint64_t address, uint64_t data);

// Makes the request and prints it with its result; what it returns is that of ptrace().
#define DO(request, pid, address, data)                                                     \
  ::probe::Request(#request, static_cast<long>(request), pid, ::probe::ToArgument(address), \
                   ::probe::ToArgument(data))

// Prints what wait4 says. Returns the status, or minus one.
int Wait(pid_t pid, int options = __WALL);
// The same with waitid.
void WaitId(idtype_t type, id_t id, int options);
// Waits without a word, and ends the case if the status is another one.
void Expect(pid_t pid, int status);
// What a wait status is for a stop.
constexpr int StopStatus(int signal, int event = 0) { return (event << 16) | (signal << 8) | 0x7f; }

// PTRACE_GETSIGINFO, printed.
void SayInfo(pid_t pid);
// PTRACE_GETEVENTMSG, which is an id that output calls `name` from now on.
pid_t EventPid(pid_t pid, const char* name);
// PTRACE_GETEVENTMSG, printed as a number.
void SayMessage(pid_t pid);

// A child that runs `body` and exits with 0; called `name` in output.
pid_t Forked(const std::function<void()>& body, const char* name = "child");
// One that asks to be traced and stops itself first; it has been waited for.
pid_t Traced(const std::function<void()>& body, const char* name = "child");
// One that is seized with these options and runs `body` after that.
pid_t Seized(long options, const std::function<void()>& body, const char* name = "child");

// What a child does that lives until it is killed.
[[noreturn]] void Forever();
// Kills a child and prints what waiting for it says.
void KillAndReap(pid_t pid);

// A way to wait for each other across fork.
class Gate {
 public:
  Gate();
  void Open();  // lets one Pass() through
  void Pass();  // waits for an Open(); not interrupted by signals
  int fd() const { return fds_[0]; }

 private:
  int fds_[2];
};

// Memory that forked children share: words that start as zero.
volatile long* SharedWords();

// Until /proc shows thread `pid` in this state ('S': it sleeps in a system call).
void UntilState(pid_t pid, char state);
char StateOf(pid_t pid);

// Blocks a signal, or another SIG_* of sigprocmask.
void Block(int how, int signal);

// Sets a handler that prints the signal, its code and sender.
void HandleLoudly(int number, int flags = 0);

}  // namespace probe

#endif  // ENGINES_PTRACE_COMPAT_TESTING_PROBE_H_
