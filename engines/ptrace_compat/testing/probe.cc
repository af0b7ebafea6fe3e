#include "engines/ptrace_compat/testing/probe.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>

namespace probe {
namespace {

// Names of other threads of a child are of use to the tracer alone, so a plain map will do.
std::map<pid_t, std::string>& Names() {
  static std::map<pid_t, std::string> names;
  return names;
}

const char* EventName(int event) {
  switch (event) {
    case PTRACE_EVENT_FORK:
      return "FORK";
    case PTRACE_EVENT_VFORK:
      return "VFORK";
    case PTRACE_EVENT_CLONE:
      return "CLONE";
    case PTRACE_EVENT_EXEC:
      return "EXEC";
    case PTRACE_EVENT_VFORK_DONE:
      return "VFORK_DONE";
    case PTRACE_EVENT_EXIT:
      return "EXIT";
    case PTRACE_EVENT_SECCOMP:
      return "SECCOMP";
    case PTRACE_EVENT_STOP:
      return "STOP";
    default:
      return "?";
  }
}

// Where this process says things. Tracer and tracees have a stream each, since which of them is faster is no
// matter of ptrace.
int& Stream() {
  static int stream = STDOUT_FILENO;
  return stream;
}

// What ptrace's data says for this request.
std::string DataText(long request, uint64_t data) {
  switch (request) {
    case PTRACE_CONT:
    case PTRACE_SYSCALL:
    case PTRACE_SINGLESTEP:
    case PTRACE_SINGLEBLOCK:
    case PTRACE_SYSEMU:
    case PTRACE_SYSEMU_SINGLESTEP:
    case PTRACE_DETACH:
      return data == 0 ? "" : " " + SignalName(static_cast<int>(data));
    case PTRACE_SEIZE:
    case PTRACE_SETOPTIONS: {
      char text[24];
      snprintf(text, sizeof text, " %#lx", data);
      return text;
    }
    default:
      return "";
  }
}

}  // namespace

std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}

void Say(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length > static_cast<int>(sizeof line) - 2) length = sizeof line - 2;
  line[length++] = '\n';
  if (write(Stream(), line, static_cast<size_t>(length)) != length) _exit(4);
}

void Scene(const char* what) {
  Say("SCENE: %s", what);
  _exit(3);
}

void Name(pid_t pid, const std::string& name) { Names()[pid] = name; }

std::string NameOf(pid_t pid) {
  auto found = Names().find(pid);
  if (found != Names().end()) return found->second;
  return pid <= 0 ? std::to_string(pid) : "?";
}

std::string SignalName(int number) {
  const char* name = sigabbrev_np(number & 0x7f);
  std::string text = name != nullptr ? std::string("SIG") + name : std::to_string(number & 0x7f);
  if ((number & 0x80) != 0) text += "|0x80";
  if ((number & ~0xff) != 0) text = std::to_string(number);
  return text;
}

std::string ErrorName(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

std::string StatusText(int status) {
  if (WIFEXITED(status)) return "exited " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return "killed " + SignalName(WTERMSIG(status));
  if (WIFCONTINUED(status)) return "continued";
  std::string text = "stopped " + SignalName(WSTOPSIG(status));
  if ((status >> 16) != 0) text += std::string(" event ") + EventName(status >> 16);
  return text;
}

std::string InfoText(const siginfo_t& info) {
  std::string text = SignalName(info.si_signo) + " code ";
  switch (info.si_code) {
    case SI_USER:
      return text + "USER from " + NameOf(info.si_pid);
    case SI_TKILL:
      return text + "TKILL from " + NameOf(info.si_pid);
    case SI_QUEUE:
      return text + "QUEUE from " + NameOf(info.si_pid) + " value " +
             std::to_string(info.si_value.sival_int);
    case SI_KERNEL:
      return text + "KERNEL";
    default:
      text += std::to_string(info.si_code);
  }
  if (info.si_signo == SIGCHLD) {
    text += " of " + NameOf(info.si_pid) + " status " + std::to_string(info.si_status);
  }
  if (info.si_signo == SIGTRAP && (info.si_code >> 8) != 0) text += " of " + NameOf(info.si_pid);
  return text;
}

long Ptrace(long request, pid_t pid, uint64_t address, uint64_t data) {
  errno = 0;
  return ptrace(static_cast<__ptrace_request>(request), pid, reinterpret_cast<void*>(address),
                reinterpret_cast<void*>(data));
}

long Request(const char* text, long request, pid_t pid, uint64_t address, uint64_t data) {
  const long result = Ptrace(request, pid, address, data);
  const int error = errno;
  if (strncmp(text, "PTRACE_", 7) == 0) text += 7;
  const std::string head = std::string(text) + " " + NameOf(pid) + DataText(request, data);
  const bool peek =
      request == PTRACE_PEEKDATA || request == PTRACE_PEEKTEXT || request == PTRACE_PEEKUSER;
  if (error != 0) {
    Say("%s: %s", head.c_str(), ErrorName(error).c_str());
  } else if (peek) {
    Say("%s: read", head.c_str());
  } else {
    Say("%s: %ld", head.c_str(), result);
  }
  errno = error;
  return error != 0 && peek ? -1 : result;
}

int Wait(pid_t pid, int options) {
  int status = 0;
  const pid_t got = wait4(pid, &status, options, nullptr);
  if (got < 0) {
    Say("wait for %s: %s", NameOf(pid).c_str(), ErrorName(errno).c_str());
    return -1;
  }
  if (got == 0) {
    Say("wait for %s: nothing", NameOf(pid).c_str());
    return 0;
  }
  Say("%s %s", NameOf(got).c_str(), StatusText(status).c_str());
  return status;
}

void WaitId(idtype_t type, id_t id, int options) {
  siginfo_t info{};
  if (waitid(type, id, &info, options) < 0) {
    Say("waitid: %s", ErrorName(errno).c_str());
  } else if (info.si_pid == 0) {
    Say("waitid: nothing");
  } else {
    Say("waitid: %s code %d status %d", NameOf(info.si_pid).c_str(), info.si_code, info.si_status);
  }
}

void Expect(pid_t pid, int status) {
  int got = 0;
  if (wait4(pid, &got, __WALL, nullptr) != pid)
    Scene(("no wait status: " + ErrorName(errno)).c_str());
  if (got != status) {
    Scene(("not " + StatusText(status) + " but " + StatusText(got)).c_str());
  }
}

void SayInfo(pid_t pid) {
  siginfo_t info{};
  if (Ptrace(PTRACE_GETSIGINFO, pid, 0, ToArgument(&info)) < 0) {
    Say("GETSIGINFO %s: %s", NameOf(pid).c_str(), ErrorName(errno).c_str());
  } else {
    Say("GETSIGINFO %s: %s", NameOf(pid).c_str(), InfoText(info).c_str());
  }
}

pid_t EventPid(pid_t pid, const char* name) {
  unsigned long message = 0;
  DO(PTRACE_GETEVENTMSG, pid, 0, &message);
  Say("the message is %s", message > 1 ? "an id" : "none");
  const auto id = static_cast<pid_t>(message);
  Name(id, name);
  return id;
}

void SayMessage(pid_t pid) {
  unsigned long message = 77;
  DO(PTRACE_GETEVENTMSG, pid, 0, &message);
  Say("the message is %#lx", message);
}

pid_t Forked(const std::function<void()>& body, const char* name) {
  const pid_t parent = getpid();
  SharedWords();  // so that the child has them too
  const pid_t pid = fork();
  if (pid < 0) Scene("fork failed");
  if (pid == 0) {
    Stream() = STDERR_FILENO;
    Name(parent, "the tracer");
    Name(getpid(), name);
    body();
    _exit(0);
  }
  Name(parent, "the tracer");
  Name(pid, name);
  return pid;
}

pid_t Traced(const std::function<void()>& body, const char* name) {
  const pid_t pid = Forked(
      [&body] {
        if (Ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) Scene("TRACEME failed");
        raise(SIGSTOP);
        body();
      },
      name);
  Expect(pid, StopStatus(SIGSTOP));
  return pid;
}

pid_t Seized(long options, const std::function<void()>& body, const char* name) {
  Gate gate;
  const pid_t pid = Forked(
      [&body, &gate] {
        gate.Pass();
        body();
      },
      name);
  if (Ptrace(PTRACE_SEIZE, pid, 0, static_cast<uint64_t>(options)) != 0) Scene("SEIZE failed");
  gate.Open();
  return pid;
}

Gate::Gate() {
  if (pipe(fds_) != 0) Scene("pipe failed");
}

void Gate::Open() {
  const char byte = 'g';
  if (write(fds_[1], &byte, 1) != 1) Scene("a gate cannot be opened");
}

void Gate::Pass() {
  char byte;
  while (read(fds_[0], &byte, 1) != 1) {
    if (errno != EINTR) Scene("a gate is broken");
  }
}

volatile long* SharedWords() {
  static auto* words = static_cast<volatile long*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  return words;
}

char StateOf(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE* file = fopen(path, "r");
  if (file == nullptr) return '-';
  char text[256] = "";
  const size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = '\0';
  const char* end = strrchr(text, ')');
  return end == nullptr ? '?' : end[2];
}

void UntilState(pid_t pid, char state) {
  while (StateOf(pid) != state) sched_yield();
}

void Forever() {
  for (;;) pause();
}

void KillAndReap(pid_t pid) {
  kill(pid, SIGKILL);
  Wait(pid);
}

void HandleLoudly(int number, int flags) {
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO | flags;
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    const int error = errno;
    Say("handler: %s", InfoText(*info).c_str());
    errno = error;
  };
  if (sigaction(number, &action, nullptr) != 0) Scene("no handler");
}

void Block(int how, int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(how, &set, nullptr);
}

}  // namespace probe
