#include "arch/stepper.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>

namespace utrace::arch {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(1000);

// The C library's wrapper has another type in every C library.
long Ptrace(long request, pid_t pid, long address, void* data) {
  return syscall(SYS_ptrace, request, static_cast<long>(pid), address, data);
}

// Blocks every signal for this thread, and so for a child that it makes meanwhile: no handler of
// the program's may run in the child.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// The child's part. Other threads of the program do not exist here and may have left any lock held:
// only system calls are safe.
[[noreturn]] void BeStepped(pid_t parent) {
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0L, 0L, 0L);
  // The parent may have died before that.
  if (syscall(SYS_getppid) == parent && Ptrace(PTRACE_TRACEME, 0, 0, nullptr) == 0) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
  }
  for (;;) syscall(SYS_exit_group, 1);
}

}  // namespace

Stepper::Stepper() {
  const SignalsBlocked blocked;
  const pid_t self = getpid();
  // Not fork(), which runs the program's atfork handlers; and no exit signal, so that neither a
  // SIGCHLD handler nor an ordinary wait for any child meets this one.
  const long pid = syscall(SYS_clone, 0L, nullptr, nullptr, nullptr, 0L);
  if (pid == 0) BeStepped(self);
  if (pid < 0) return;
  pid_ = static_cast<pid_t>(pid);
  ready_ = WaitForStop(SIGSTOP);
}

Stepper::~Stepper() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  int status = 0;
  for (;;) {
    const pid_t waited = waitpid(pid_, &status, __WALL | __WNOTHREAD);
    if (waited < 0 && errno != EINTR) return;  // another thread reaped it
    if (waited == pid_ && !WIFSTOPPED(status)) return;
  }
}

bool Stepper::WaitForStop(int signal) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  // Not a wait for the stop: a step may be lost and the child loop for ever, and another thread
  // that waits for any child could catch the stop. Only of a stopped child ptrace has a siginfo.
  for (int attempt = 0; pid_ > 0; ++attempt) {
    siginfo_t info = {};
    if (Ptrace(PTRACE_GETSIGINFO, pid_, 0, &info) == 0) return info.si_signo == signal;
    int status = 0;
    const pid_t waited = waitpid(pid_, &status, __WALL | __WNOTHREAD | WNOHANG);
    const bool dead = waited == pid_ && !WIFSTOPPED(status);
    if (dead || (waited < 0 && errno == ECHILD)) pid_ = -1;  // from now on another's number
    if (std::chrono::steady_clock::now() > deadline) break;
    constexpr int kEagerAttempts = 200;
    if (attempt < kEagerAttempts) {
      sched_yield();
    } else {
      const timespec pause = {.tv_sec = 0, .tv_nsec = 200'000};
      nanosleep(&pause, nullptr);
    }
  }
  return false;
}

bool Stepper::Transfer(int request, GeneralRegisters& regs) {
  iovec vector = {.iov_base = static_cast<user_regs_struct*>(&regs),
                  .iov_len = sizeof(user_regs_struct)};
  return Ptrace(request, pid_, NT_PRSTATUS, &vector) == 0;
}

bool Stepper::Go(const char* code) {
  GeneralRegisters regs = {};
  if (!GetRegisters(regs)) return false;
  SetPc(regs, Address(code));
  // Out of the kill(2) that it stopped in.
  SetSyscallNumber(regs, -1);
  return SetRegisters(regs);
}

bool Stepper::StepEndsAt(int request, uint64_t address) {
  if (Ptrace(request, pid_, 0, nullptr) != 0 || !WaitForStop(SIGTRAP)) return false;
  GeneralRegisters regs = {};
  return GetRegisters(regs) && Pc(regs) == address;
}

}  // namespace utrace::arch
