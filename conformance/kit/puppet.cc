// Talking to a puppet's thread.
#include "conformance/kit/puppet.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>

#include "arch/absent_calls.h"
#include "conformance/kit/needs.h"
#include "conformance/kit/puppet_host.h"
#include "conformance/kit/target.h"
#include "conformance/kit/threads.h"

namespace utrace::kit {

using puppet::Command;
using puppet::Op;
using puppet::Reply;

bool IsChannelCall(long nr) { return nr == SYS_recvfrom || nr == SYS_sendto; }

PuppetThread::PuppetThread(Nanny* nanny, int slot, std::string name, bool process)
    : nanny_(nanny), slot_(slot), name_(std::move(name)), process_(process) {}
PuppetThread::~PuppetThread() = default;

PuppetHost& PuppetThread::host() const { return *nanny_->state_->host; }
utrace_target_slot& PuppetThread::slot() const { return host().Slot(slot_); }

// ---- Commands and replies ----------------------------------------------------------------------

void PuppetThread::Send(Op op, long nr, long a0, long a1, long a2, long a3, long a4, long a5) {
  Command command = {};
  command.op = op;
  command.seq = ++seq_;
  command.nr = nr;
  const long arguments[6] = {a0, a1, a2, a3, a4, a5};
  std::copy(arguments, arguments + 6, command.arguments);
  if (const char* need = NeedOf(command)) Needs(need);
  std::string step = "'" + name_ + "' (" + std::to_string(tid_) + ")";
  const bool call =
      op == UTRACE_TARGET_SYSCALL || op == UTRACE_TARGET_TIMED || op == UTRACE_TARGET_REPEAT;
  if (call || op == UTRACE_TARGET_SPAWN) {
    step += ": system call " + std::to_string(nr);
  } else {
    step += ": command " + std::to_string(static_cast<int>(op));
  }
  SetStep(step);
  last_nr_ = call || op == UTRACE_TARGET_SPAWN ? nr : -1;
  pending_.push_back({command.seq, last_nr_, step});
  host().Send(slot_, command);
}

bool PuppetThread::Receive(Reply* reply, std::chrono::milliseconds deadline) {
  const auto end = TheThreads().Now() + deadline;
  for (int round = 0;; ++round) {
    if (host().Receive(slot_, reply)) return true;
    const auto left = end - TheThreads().Now();
    // One that died will never answer, but may have just before.
    if (left.count() <= 0 || (round > 0 && tid_ != 0 && Dead())) {
      return host().Receive(slot_, reply);
    }
    host().AwaitReply(slot_, round, left);
  }
}

bool PuppetThread::TryFinish(long* result, std::chrono::milliseconds deadline) {
  if (pending_.empty()) Broken("'" + name_ + "': Finish without Begin");
  SetStep("waiting for " + pending_.front().step);
  Reply reply;
  if (early_.empty()) {
    if (!Receive(&reply, deadline)) return false;
  } else {
    reply = early_.front();
    early_.erase(early_.begin());
  }
  const Pending done = pending_.front();
  pending_.erase(pending_.begin());
  if (reply.seq != done.seq) {
    Broken(done.step + ": answered out of turn (" + std::to_string(reply.seq) + " for " +
           std::to_string(done.seq) + ")");
  }
  last_reply_ = reply;
  *result = static_cast<long>(reply.result);
  return true;
}

long PuppetThread::Finish() {
  long result = 0;
  const std::string step = pending_.empty() ? "" : pending_.front().step;
  if (!TryFinish(&result)) {
    StepFailed(step + ": not done" + (Dead() ? ", the thread is dead" : " in time") + " (state " +
               State() + ")");
  }
  return result;
}

bool PuppetThread::Finished() {
  if (pending_.empty()) return false;
  if (!early_.empty()) return true;
  Reply reply;
  if (!Receive(&reply, std::chrono::milliseconds(0))) return false;
  early_.push_back(reply);
  return true;
}

void PuppetThread::AwaitStarted() {
  SetStep("waiting until '" + name_ + "' starts its step");
  if (!PollUntil([&] { return __atomic_load_n(&slot().started, __ATOMIC_SEQ_CST) == seq_; })) {
    StepFailed("'" + name_ + "' does not start its step (state " + State() + ")");
  }
}

void PuppetThread::ForgetPending() {
  pending_.clear();
  early_.clear();
}

void PuppetThread::Begin(long nr, long a0, long a1, long a2, long a3, long a4, long a5) {
  Send(UTRACE_TARGET_SYSCALL, nr, a0, a1, a2, a3, a4, a5);
}

long PuppetThread::Call(long nr, long a0, long a1, long a2, long a3, long a4, long a5) {
  Begin(nr, a0, a1, a2, a3, a4, a5);
  return Finish();
}

void PuppetThread::BeginRepeat(long nr, long count, long a0, long a1, long a2) {
  Send(UTRACE_TARGET_REPEAT, nr, a0, a1, a2, count);
}

long PuppetThread::Repeat(long nr, long count, long a0, long a1, long a2) {
  BeginRepeat(nr, count, a0, a1, a2);
  return Finish();
}

// ---- Blocking and spinning ---------------------------------------------------------------------

void PuppetThread::BeginRead() {
  Begin(SYS_read, slot().pipe, static_cast<long>(ScratchAddress()), 64);
}

void PuppetThread::Feed(std::string_view bytes) { host().Feed(slot_, bytes); }

void PuppetThread::BeginSpin() { Send(UTRACE_TARGET_SPIN); }
void PuppetThread::StopSpin() { __atomic_store_n(&slot().go, 1, __ATOMIC_SEQ_CST); }
uint64_t PuppetThread::SpinCount() const {
  return __atomic_load_n(&slot().spins, __ATOMIC_SEQ_CST);
}

void PuppetThread::AwaitSpinning() {
  SetStep("waiting until '" + name_ + "' runs");
  const uint64_t before = SpinCount();
  if (!PollUntil([&] { return SpinCount() != before; })) {
    StepFailed("'" + name_ + "' does not run user code (state " + State() + ")");
  }
}

long TimedOutResult(Timed call) {
  return call == Timed::kFutexWait || call == Timed::kFutexWaitBitset ? -ETIMEDOUT : 0;
}

namespace {

// Not every machine has all of the calls that do the same.
Timed OnThisMachine(Timed call) {
  if (call == Timed::kPoll && SYS_poll < 0) return Timed::kPpoll;
  if (call == Timed::kSelect && SYS_select < 0) return Timed::kPselect;
  return call;
}

}  // namespace

long ForkNumber() { return SYS_fork > 0 ? SYS_fork : SYS_clone; }
long PauseNumber() { return SYS_pause > 0 ? SYS_pause : SYS_ppoll; }

long TimedNumber(Timed call) {
  switch (OnThisMachine(call)) {
    case Timed::kNanosleep:
      return SYS_nanosleep;
    case Timed::kClockNanosleep:
    case Timed::kClockNanosleepAbsolute:
      return SYS_clock_nanosleep;
    case Timed::kPoll:
      return SYS_poll;
    case Timed::kPpoll:
      return SYS_ppoll;
    case Timed::kSelect:
      return SYS_select;
    case Timed::kPselect:
      return SYS_pselect6;
    case Timed::kEpollWait:
      return SYS_epoll_wait > 0 ? SYS_epoll_wait : SYS_epoll_pwait;
    case Timed::kFutexWait:
    case Timed::kFutexWaitBitset:
      return SYS_futex;
    case Timed::kRead:
      return SYS_read;
    case Timed::kPause:
      return PauseNumber();
  }
  return -1;
}

void PuppetThread::BeginTimed(Timed wanted, std::chrono::milliseconds timeout) {
  const Timed call = OnThisMachine(wanted);
  const auto nanoseconds = std::chrono::nanoseconds(timeout).count();
  timed_ = call;
  // Scratch memory: the timeout, then what is left, then room for results.
  timespec span = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  const long request = static_cast<long>(ScratchAddress(0));
  const long rest = static_cast<long>(ScratchAddress(16));
  const long room = static_cast<long>(ScratchAddress(64));
  timed_from_ns_ = 0;
  if (call == Timed::kClockNanosleepAbsolute || call == Timed::kFutexWaitBitset) {
    timed_from_ns_ = host().ClockNs();
    const int64_t until = timed_from_ns_ + nanoseconds;
    span = {until / 1000000000, until % 1000000000};
  }
  if (call == Timed::kSelect) span.tv_nsec /= 1000;  // struct timeval
  memcpy(Scratch(0), &span, sizeof(span));
  memset(Scratch(16), 0, sizeof(span));
  const long nr = TimedNumber(call);
  const long futex = static_cast<long>(SharedAddress(&slot().futex));
  switch (call) {
    case Timed::kNanosleep:
      return Send(UTRACE_TARGET_TIMED, nr, request, rest);
    case Timed::kClockNanosleep:
      return Send(UTRACE_TARGET_TIMED, nr, CLOCK_MONOTONIC, 0, request, rest);
    case Timed::kClockNanosleepAbsolute:
      return Send(UTRACE_TARGET_TIMED, nr, CLOCK_MONOTONIC, TIMER_ABSTIME, request, 0);
    case Timed::kPoll:
      return Send(UTRACE_TARGET_TIMED, nr, 0, 0, timeout.count());
    case Timed::kPpoll:
      return Send(UTRACE_TARGET_TIMED, nr, 0, 0, request, 0, 8);
    case Timed::kSelect:
      return Send(UTRACE_TARGET_TIMED, nr, 0, 0, 0, 0, request);
    case Timed::kPselect:
      return Send(UTRACE_TARGET_TIMED, nr, 0, 0, 0, 0, request, 0);
    case Timed::kEpollWait:
      return Send(UTRACE_TARGET_TIMED, nr, slot().epoll, room, 1, timeout.count());
    case Timed::kFutexWait:
      return Send(UTRACE_TARGET_TIMED, nr, futex, FUTEX_WAIT, 0, request);
    case Timed::kFutexWaitBitset:
      return Send(UTRACE_TARGET_TIMED, nr, futex, FUTEX_WAIT_BITSET, 0, request, 0, ~0L);
    case Timed::kRead:
      return Send(UTRACE_TARGET_TIMED, nr, slot().pipe, room, 64);
    case Timed::kPause:
      return Send(UTRACE_TARGET_TIMED, nr);
  }
}

TimedResult PuppetThread::FinishTimed() {
  TimedResult result;
  result.result = Finish();
  // With an absolute timeout, the time began when the kit read the clock.
  result.elapsed_ns =
      last_reply_.finished_ns - (timed_from_ns_ != 0 ? timed_from_ns_ : last_reply_.started_ns);
  timespec left = {};
  switch (timed_) {
    case Timed::kNanosleep:
    case Timed::kClockNanosleep:
      memcpy(&left, Scratch(16), sizeof(left));
      break;
    case Timed::kPpoll:
    case Timed::kSelect:
    case Timed::kPselect:
      memcpy(&left, Scratch(0), sizeof(left));
      if (timed_ == Timed::kSelect) left.tv_nsec *= 1000;
      break;
    default:
      result.remaining_ns = -1;
      return result;
  }
  result.remaining_ns = left.tv_sec * 1000000000L + left.tv_nsec;
  return result;
}

// ---- New threads, processes, programs ----------------------------------------------------------

PuppetThread* PuppetThread::NewChild(const char* kind, bool process) {
  Nanny::State& state = *nanny_->state_;
  const int index = state.TakeSlot();
  const std::string child_name = name_ + "." + kind + std::to_string(index);
  PuppetThread* made = process ? new Puppet(nanny_, index, child_name, true)
                               : new PuppetThread(nanny_, index, child_name, false);
  if (!process) made->pid_ = pid_;
  state.threads.emplace_back(made);
  return made;
}

PuppetThread& PuppetThread::BeginSpawnThread() {
  PuppetThread* child = NewChild("thread", false);
  // Number 0: the puppet knows the flags for a thread.
  Send(UTRACE_TARGET_SPAWN, 0, 0, 0, 0, 0, 0, child->slot_);
  return *child;
}

PuppetThread& PuppetThread::SpawnThread() {
  PuppetThread& child = BeginSpawnThread();
  const long tid = Finish();
  if (tid < 0) Broken("clone of a thread gives " + ErrnoName(tid));
  child.AwaitReady();
  return child;
}

Puppet& PuppetThread::BeginFork() {
  PuppetThread* child = NewChild("fork", true);
  Send(UTRACE_TARGET_SPAWN, ForkNumber(), SIGCHLD, 0, 0, 0, 0, child->slot_);
  return static_cast<Puppet&>(*child);
}

Puppet& PuppetThread::Fork() {
  Puppet& child = BeginFork();
  const long pid = Finish();
  if (pid < 0) Broken("fork gives " + ErrnoName(pid));
  child.AwaitReady();
  return child;
}

Puppet& PuppetThread::BeginVfork() {
  PuppetThread* child = NewChild("vfork", true);
  const long nr = SYS_vfork > 0 ? SYS_vfork : SYS_clone;
  Send(UTRACE_TARGET_SPAWN, nr, CLONE_VFORK | CLONE_VM | SIGCHLD, 0, 0, 0, 0, child->slot_);
  return static_cast<Puppet&>(*child);
}

Puppet& PuppetThread::Vfork() {
  Puppet& child = BeginVfork();
  child.AwaitReady();
  return child;
}

Puppet& PuppetThread::BeginClone(unsigned long flags) {
  if ((flags & CLONE_THREAD) != 0) Broken("Clone makes processes; see SpawnThread");
  PuppetThread* child = NewChild("clone", true);
  Send(UTRACE_TARGET_SPAWN, SYS_clone, static_cast<long>(flags), 0, 0, 0, 0, child->slot_);
  return static_cast<Puppet&>(*child);
}

Puppet& PuppetThread::Clone(unsigned long flags) {
  Puppet& child = BeginClone(flags);
  if ((flags & CLONE_VFORK) == 0) {
    const long pid = Finish();
    if (pid < 0) Broken("clone gives " + ErrnoName(pid));
  }
  child.AwaitReady();
  return child;
}

bool PuppetThread::TryAwaitReady(std::chrono::milliseconds deadline) {
  if (ready_) return true;
  SetStep("waiting until '" + name_ + "' is ready");
  Reply reply;
  if (!Receive(&reply, deadline)) return false;
  if (reply.seq != 0) Broken("'" + name_ + "': an answer before it was ready");
  pid_ = reply.pid;
  tid_ = process_ ? reply.pid : slot().tid;
  ready_ = true;
  return true;
}

void PuppetThread::AwaitReady() {
  if (!TryAwaitReady()) StepFailed("'" + name_ + "' does not get ready");
}

void PuppetThread::BeginForkBurst(long count) { Send(UTRACE_TARGET_FORK_BURST, 0, count); }
long PuppetThread::ForkBurst(long count) {
  BeginForkBurst(count);
  return Finish();
}
void PuppetThread::BeginThreadBurst(long count) { Send(UTRACE_TARGET_THREAD_BURST, 0, count); }
long PuppetThread::ThreadBurst(long count) {
  BeginThreadBurst(count);
  return Finish();
}

void PuppetThread::BeginExec() {
  Send(UTRACE_TARGET_EXEC);
  pending_.pop_back();  // the new program answers, not this command
  last_nr_ = SYS_execve;
}

void PuppetThread::FinishExec() {
  SetStep("waiting for the new program of '" + name_ + "'");
  // A thread that executes takes its leader's id: its own is gone while it is at it.
  tid_ = 0;
  Reply reply;
  if (!Receive(&reply, Deadline())) StepFailed("'" + name_ + "': no new program after execve");
  if (reply.seq != 0) StepFailed("'" + name_ + "': execve gives " + ErrnoName(reply.result));
  pid_ = reply.pid;
  tid_ = reply.pid;
}

void PuppetThread::Exec() {
  BeginExec();
  FinishExec();
}

long PuppetThread::FailingExec() {
  strcpy(static_cast<char*>(Scratch()), "/nonexistent/program");
  return Call(SYS_execve, static_cast<long>(ScratchAddress()), 0, 0);
}

void PuppetThread::BeginExit(int code) {
  Begin(SYS_exit, code);
  pending_.pop_back();
}

void PuppetThread::BeginExitGroup(int code) {
  Begin(SYS_exit_group, code);
  pending_.pop_back();
}

void Puppet::Destroy() {
  Kill(SIGKILL);
  AwaitDeath();
  ForgetPending();
}

}  // namespace utrace::kit
