#include "engines/ptrace_compat/client/waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engines/ptrace_compat/client/children.h"
#include "engines/ptrace_compat/client/native.h"
#include "engines/ptrace_compat/client/process.h"
#include "engines/ptrace_compat/client/signals.h"
#include "engines/ptrace_compat/client/thread.h"
#include "engines/ptrace_compat/client/usage.h"
#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat::client {
namespace {

using wire::WaitOutcome;
using wire::WaitReply;

// Waits on the connection alone after which the next one is made to stand.
constexpr int kInARow = 8;
constexpr int kKinds = WEXITED | WSTOPPED | WCONTINUED;
constexpr int kWhose = __WALL | static_cast<int>(__WCLONE) | __WNOTHREAD;

// The kernel's waitid.
long NativeWait(const WaitCall& call, int options, siginfo_t* info, rusage* usage) {
  info->si_pid = 0;
  return Raw(SYS_waitid, call.id_type, call.id, reinterpret_cast<long>(info), options,
             reinterpret_cast<long>(usage));
}

struct NativeArguments {
  const WaitCall* call;
  int options;
  siginfo_t info;
  rusage usage;
};

long CallNativeWait(void* argument) {
  auto* const arguments = static_cast<NativeArguments*>(argument);
  return NativeWait(*arguments->call, arguments->options, &arguments->info, &arguments->usage);
}

// waitid's description of an event as a wait status.
int StatusOf(const siginfo_t& info) {
  switch (info.si_code) {
    case CLD_EXITED:
      return (info.si_status & 0xff) << 8;
    case CLD_KILLED:
      return info.si_status;
    case CLD_DUMPED:
      return info.si_status | 0x80;
    case CLD_CONTINUED:
      return 0xffff;
    default:
      return info.si_status << 8 | 0x7f;
  }
}

void Tell(const siginfo_t& info, WaitResult* result) {
  result->pid = info.si_pid;
  if (info.si_pid == 0) return;
  result->uid = info.si_uid;
  result->status = StatusOf(info);
  result->trap = info.si_code == CLD_TRAPPED;
}

// The program has nothing that is traced, or no server.
long WaitNatively(const WaitCall& call, WaitResult* result) {
  NativeArguments arguments{.call = &call, .options = call.options};
  if (WhoseMemory() == Memory::kBorrowed || (call.options & WNOHANG) != 0) {
    const long status = CallNativeWait(&arguments);
    if (status < 0) return status;
    Tell(arguments.info, result);
    result->usage = arguments.usage;
    return 0;
  }
  Thread& thread = t_thread;
  const SignalsBlocked blocked;
  bool interrupted = false;
  for (;;) {
    long status = 0;
    // Looked at first: what is found while a signal handler takes the thread out of it is not lost.
    arguments.options = call.options | WNOWAIT;
    if (interrupted) {
      // What is there goes before the interruption.
      arguments.options |= WNOHANG;
      status = CallNativeWait(&arguments);
    } else {
      thread.interrupted = 0;
      const Left left = InRegion(thread, blocked.before(), CallNativeWait, &arguments, &status);
      interrupted = status == -EINTR || thread.interrupted != 0;
      if (left != Left::kReturned || interrupted) continue;
    }
    if (status < 0) return status;
    if (arguments.info.si_pid == 0) return -EINTR;
    const WaitCall found{.id_type = P_PID, .id = static_cast<id_t>(arguments.info.si_pid)};
    siginfo_t taken{};
    status = NativeWait(found, call.options | WNOHANG, &taken, &arguments.usage);
    // Another thread may have been faster.
    if (status < 0 || taken.si_pid == 0) continue;
    Tell(taken, result);
    result->usage = arguments.usage;
    return 0;
  }
}

// All children of the process are tracees.
bool HasOnlyTracees(const Thread& thread) {
  return thread.only_tracees == ChildrenGeneration() + 1;
}

// Whether nothing can have happened since the thread was told of the last event, so that it is pointless
// to look. Not twice, since somebody may have killed a tracee.
bool NothingCanBe(Thread& thread, const WaitCall& call) {
  const uint64_t since = thread.quiet_since;
  thread.quiet_since = 0;
  if (since == 0 || since != thread.connection.last_serial() || thread.events.size() != 0) {
    return false;
  }
  constexpr int kAllowed = WEXITED | WSTOPPED | WNOHANG | WNOWAIT | kWhose;
  const bool usual = call.id_type == P_ALL && (call.options & ~kAllowed) == 0 &&
                     (call.options & (WEXITED | WSTOPPED)) != 0;
  return usual && HasOnlyTracees(thread) && IsOnlyConnection();
}

class Waiter {
 public:
  Waiter(const WaitCall& call, bool wants_usage, WaitResult* result)
      : thread_(t_thread), native_(call), call_(call), usage_(wants_usage), result_(result) {}

  long Run();

 private:
  // What a step came to: the call is over, or the next step is due.
  enum class Step : uint8_t { kOver, kGoOn };

  Step Kept();
  Step AwaitStanding();
  bool MayStand() const;
  bool Stands() const;
  Step AskServer(uint32_t flags);
  Step AwaitServer();
  Step ProbeNative();
  Step AwaitNative();
  Step OnNative(const siginfo_t& info);
  Step Deliver(const WaitReply& reply);
  Step Finish(long status) {
    status_ = status;
    return Step::kOver;
  }
  bool OnlyTracees() const { return HasOnlyTracees(thread_); }
  void StopRing();
  bool MayWait() const { return (call_.options & WNOHANG) == 0; }
  void NoteInterruption(long result);
  bool Matches(pid_t pid) const;

  Thread& thread_;
  const WaitCall& native_;
  WaitCall call_;  // a pidfd turned into what it stands for
  const bool usage_;
  WaitResult* const result_;
  const SignalsBlocked blocked_;
  bool non_blocking_pidfd_ = false;
  bool interrupted_ = false;
  WaitOutcome outcome_ = WaitOutcome::kNothing;  // as the server said last
  uint64_t ring_ = 0;                            // the request by which the ring was asked for
  long status_ = 0;
};

bool Waiter::Matches(pid_t pid) const {
  switch (call_.id_type) {
    case P_PID:
      return pid == static_cast<pid_t>(call_.id);
    case P_PGID:
      return Raw(SYS_getpgid, pid) ==
             (call_.id != 0 ? static_cast<long>(call_.id) : Raw(SYS_getpgid, 0));
    default:
      return true;
  }
}

Waiter::Step Waiter::Kept() {
  for (size_t n = 0; n < thread_.events.size(); ++n) {
    const WaitReply reply = thread_.events[n];
    if (!Matches(reply.pid)) continue;
    if ((call_.options & WNOWAIT) == 0) thread_.events.Remove(n);
    return Deliver(reply);
  }
  return Step::kGoOn;
}

Waiter::Step Waiter::Deliver(const WaitReply& reply) {
  result_->pid = reply.pid;
  result_->uid = reply.uid;
  result_->status = reply.status;
  result_->trap = WIFSTOPPED(reply.status);
  if (reply.stopped != 0) {
    KnowStop(thread_, reply.pid, reply.detail);
  } else {
    ForgetStop(thread_, reply.pid);
  }
  thread_.quiet_since = reply.quiet != 0 ? thread_.connection.last_serial() : 0;
  const bool takes = (call_.options & WNOWAIT) == 0;
  if (reply.reap_natively != 0 && takes) {
    // What lets go of the dead has done so, or is about to.
    NativeArguments arguments{};
    const WaitCall dead{.id_type = P_PID, .id = static_cast<id_t>(reply.pid)};
    arguments.call = &dead;
    arguments.options = WEXITED | __WALL;
    if (CallNativeWait(&arguments) == 0) result_->usage = arguments.usage;
  } else if (usage_) {
    UsageOf(reply.tgid, &result_->usage);
  }
  return Finish(0);
}

Waiter::Step Waiter::AskServer(uint32_t flags) {
  WaitReply reply;
  const int status = AskToWait(thread_, call_, flags, &reply);
  if ((flags & wire::kRing) != 0) ring_ = thread_.connection.last_serial();
  if (status == -ENOTCONN) return Step::kGoOn;
  if (status != 0) return Finish(status);
  outcome_ = reply.outcome;
  return outcome_ == WaitOutcome::kEvent ? Deliver(reply) : Step::kGoOn;
}

long ReceiveAnswer(void* argument) {
  auto* const thread = static_cast<Thread*>(argument);
  return Raw(SYS_recvfrom, thread->connection.fd(), reinterpret_cast<long>(&thread->answer),
             sizeof(thread->answer), MSG_TRUNC);
}

// A wait for all, that is the only one of its kind.
bool Waiter::MayStand() const {
  return call_.id_type == P_ALL && (call_.options & (WNOWAIT | __WNOTHREAD)) == 0 &&
         (call_.options & WEXITED) != 0;
}

// The server tells of what this call waits for without being asked.
bool Waiter::Stands() const {
  return thread_.standing != 0 && MayStand() &&
         ((call_.options ^ thread_.standing_options) & WCONTINUED) == 0;
}

// After a region, in which a call came to `result` unless it was left. A handler without SA_RESTART ends the
// wait; but like the kernel the thread first looks once more, and what is there goes before that.
void Waiter::NoteInterruption(long result) {
  if (result != -EINTR && thread_.interrupted == 0) return;
  interrupted_ = true;
  call_.options |= WNOHANG;
}

// The next answer of the standing wait; no other child can have anything to tell.
Waiter::Step Waiter::AwaitStanding() {
  thread_.answer.reply.serial = 0;
  thread_.interrupted = 0;
  long received = 0;
  const Left left =
      InRegion(thread_, blocked_.before() | Only(RingSignal()), ReceiveAnswer, &thread_, &received);
  NoteInterruption(received);
  if (left == Left::kReturned && received != -EINTR &&
      thread_.connection.Judge(received, thread_.standing, thread_.answer.reply,
                               sizeof(thread_.answer.wait)) != 0) {
    return Step::kGoOn;
  }
  return TakeReceived(thread_) == 0 ? Kept() : Step::kGoOn;
}

// On the connection alone: no other child can have anything to tell.
Waiter::Step Waiter::AwaitServer() {
  Thread& thread = thread_;
  const uint64_t serial = thread.connection.NextSerial();
  thread.answer.reply.serial = 0;
  // Who waits so again and again is told from now on without asking.
  // Other threads would not find what this one is told.
  const bool stands = MayStand() && ++thread.in_a_row > kInARow && IsOnlyConnection();
  if (SendWait(thread, call_, stands ? uint32_t{wire::kStanding} : 0, serial) != 0) {
    return Step::kGoOn;
  }
  if (stands) {
    thread.standing = serial;
    thread.standing_options = call_.options;
    return Step::kGoOn;
  }
  thread.pending = serial;
  thread.interrupted = 0;
  long received = 0;
  const Left left =
      InRegion(thread, blocked_.before() | Only(RingSignal()), ReceiveAnswer, &thread, &received);
  NoteInterruption(received);
  if (left != Left::kReturned || received == -EINTR) return Step::kGoOn;
  thread.pending = 0;
  const WaitAnswer& answer = thread.answer;
  if (thread.connection.Judge(received, serial, answer.reply, sizeof(answer.wait)) != 0 ||
      CheckWait(thread, answer.reply, answer.wait) != 0) {
    return Step::kGoOn;
  }
  if (answer.reply.error != 0) return Finish(-answer.reply.error);
  outcome_ = answer.wait.outcome;
  if (outcome_ == WaitOutcome::kEvent) return Deliver(answer.wait);
  // Tracees that there were are gone.
  thread.only_tracees = 0;
  return Step::kGoOn;
}

Waiter::Step Waiter::ProbeNative() {
  siginfo_t info{};
  rusage usage{};
  const long status = NativeWait(native_, call_.options | WNOHANG | WNOWAIT, &info, &usage);
  if (status == -ECHILD && outcome_ != WaitOutcome::kNoTracee) {
    thread_.only_tracees = ChildrenGeneration() + 1;
    return Finish(0);
  }
  if (status < 0) return Finish(status);
  if (info.si_pid == 0) return Finish(0);
  return OnNative(info);
}

Waiter::Step Waiter::AwaitNative() {
  NativeArguments arguments{.call = &native_, .options = call_.options | WNOWAIT};
  long status = 0;
  thread_.interrupted = 0;
  const Left left = InRegion(thread_, blocked_.before() & ~Only(RingSignal()), CallNativeWait,
                             &arguments, &status);
  if (left == Left::kRung) return Step::kGoOn;
  NoteInterruption(status);
  if (left == Left::kDisturbed || status == -EINTR) return Step::kGoOn;
  if (status == -ECHILD && outcome_ != WaitOutcome::kNoTracee) {
    thread_.only_tracees = ChildrenGeneration() + 1;
    return Step::kGoOn;
  }
  if (status < 0) return Finish(status);
  return OnNative(arguments.info);
}

// The kernel has something to tell of a child, which it still keeps. Of what is traced the server tells.
Waiter::Step Waiter::OnNative(const siginfo_t& info) {
  const WaitCall child{.id_type = P_PID, .id = static_cast<id_t>(info.si_pid)};
  if (info.si_code != CLD_CONTINUED) {
    WaitCall traced = child;
    traced.options = (call_.options & WNOWAIT) | kKinds | __WALL | WNOHANG;
    WaitReply reply;
    const int status = AskToWait(thread_, traced, 0, &reply);
    if (status == 0 && reply.outcome == WaitOutcome::kEvent) return Deliver(reply);
    if (status == 0 && reply.outcome == WaitOutcome::kNothing && info.si_code == CLD_STOPPED) {
      // Its job control stop, which a tracer sees as a stop of the tracee.
      siginfo_t taken{};
      rusage usage{};
      NativeWait(child, WSTOPPED | WNOHANG | __WALL, &taken, &usage);
      return Step::kGoOn;
    }
  }
  siginfo_t taken{};
  rusage usage{};
  const int options = (call_.options & (kKinds | kWhose | WNOWAIT)) | WNOHANG;
  // Another thread may have been faster.
  if (NativeWait(child, options, &taken, &usage) != 0 || taken.si_pid == 0) return Step::kGoOn;
  if (taken.si_code != CLD_STOPPED && taken.si_code != CLD_CONTINUED) ForgetMixed(thread_);
  Tell(taken, result_);
  result_->usage = usage;
  return Finish(0);
}

// The wait is over: a ring that comes now would interrupt something else.
void Waiter::StopRing() {
  if (ring_ == 0 || !thread_.connection.open()) return;
  wire::PlainRequest cancel;
  cancel.header = {
      .op = wire::Op::kCancel, .flags = wire::kNoReply, .serial = thread_.connection.NextSerial()};
  cancel.target = ring_;
  thread_.connection.Send(&cancel, sizeof(cancel), nullptr, 0);
  const Mask ring = Only(RingSignal());
  const timespec now{};
  Raw(SYS_rt_sigtimedwait, reinterpret_cast<long>(&ring), 0, reinterpret_cast<long>(&now),
      sizeof(ring));
}

long Waiter::Run() {
  if (call_.id_type == P_PIDFD) {
    const int fd = static_cast<int>(call_.id);
    const long flags = Raw(SYS_fcntl, fd, F_GETFL);
    call_ = {
        .id_type = P_PID, .id = static_cast<id_t>(PidOfDescriptor(fd)), .options = native_.options};
    non_blocking_pidfd_ = flags >= 0 && (flags & O_NONBLOCK) != 0;
    if (non_blocking_pidfd_) call_.options |= WNOHANG;
  }
  const uint32_t losses = thread_.connection.losses();
  for (;;) {
    if (thread_.connection.losses() != losses || Connected(thread_) != 0) {
      // It died while we waited: what it traced is none of ours any more.
      WaitCall rest = native_;
      if (interrupted_) rest.options |= WNOHANG;
      const Mask before = SetMask(blocked_.before());
      const long status = WaitNatively(rest, result_);
      SetMask(before);
      return status == 0 && result_->pid == 0 && interrupted_ ? -EINTR : status;
    }
    if (Kept() == Step::kOver) break;
    if (Stands() && OnlyTracees()) {
      if (!MayWait()) {
        const bool taken = TakePushed(thread_) == 0;
        if (Kept() == Step::kOver) break;
        // Unless it has just ended.
        if (!taken || thread_.standing == 0) continue;
        Finish(0);
        break;
      }
      if (AwaitStanding() == Step::kOver) break;
      continue;
    }
    if (thread_.standing != 0) {
      EndStanding(thread_);
      continue;
    }
    if (MayWait() && call_.id_type == P_ALL && OnlyTracees()) {
      if (AwaitServer() == Step::kOver) break;
      continue;
    }
    if (MayWait()) ExpectRing();
    if (AskServer(MayWait() ? uint32_t{wire::kRing} : 0) == Step::kOver) break;
    if (!thread_.connection.open()) continue;
    const bool nothing = outcome_ == WaitOutcome::kNothing;
    if (!MayWait()) {
      if (nothing && OnlyTracees()) {
        Finish(0);
        break;
      }
      if (ProbeNative() == Step::kOver) break;
      continue;
    }
    if (nothing && (call_.id_type == P_PID || AllChildrenAreTraced(thread_))) {
      if (AwaitServer() == Step::kOver) break;
      continue;
    }
    if (AwaitNative() == Step::kOver) break;
  }
  StopRing();
  if (status_ == 0 && result_->pid == 0 && interrupted_) return -EINTR;
  if (status_ == 0 && result_->pid == 0 && non_blocking_pidfd_) {
    return (native_.options & WNOHANG) != 0 ? 0 : -EAGAIN;
  }
  return status_;
}

}  // namespace

long Wait(const WaitCall& call, bool wants_usage, WaitResult* result) {
  *result = {};
  Thread& thread = t_thread;
  if (ServerDirectory() == nullptr) return WaitNatively(call, result);
  if ((call.options & WNOHANG) != 0 && !IsUnknownFork() && NothingCanBe(thread, call)) return 0;
  if (WhoseMemory() == Memory::kBorrowed) return WaitNatively(call, result);
  if (!thread.connection.open()) {
    siginfo_t info{};
    rusage usage{};
    const long status = NativeWait(call, call.options | WNOHANG | WNOWAIT, &info, &usage);
    const bool childless = status == -ECHILD;
    if (childless ? !HasConnections() : status < 0) return status;
    if (thread.in_vain) return WaitNatively(call, result);
  }
  return Waiter(call, wants_usage, result).Run();
}

}  // namespace utrace::ptrace_compat::client
