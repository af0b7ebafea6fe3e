#include "core/model/kernel/process.h"

#include <algorithm>

#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"
#include "core/signal_rules.h"

namespace utrace::model {

Process::Process(World& its_world, pid_t its_pid, Process* its_parent)
    : world(its_world),
      pid(its_pid),
      parent(its_parent),
      group(its_parent != nullptr ? its_parent->group : its_pid),
      session(its_parent != nullptr ? its_parent->session : its_pid) {}

Thread* Process::Leader() const {
  for (Thread* thread : threads) {
    if (thread->tid == pid) return thread;
  }
  return nullptr;
}

size_t Process::Alive() const {
  return static_cast<size_t>(std::count_if(threads.begin(), threads.end(),
                                           [](const Thread* thread) { return !thread->IsDead(); }));
}

// ---- Signals -------------------------------------------------------------------------------------

bool Process::Ignores(int signal) const {
  const uint64_t handler = actions[static_cast<size_t>(signal)].handler;
  if (handler == UTRACE_SIG_IGN) return true;
  const DefaultAction by_default = DefaultActionOf(signal);
  return handler == UTRACE_SIG_DFL &&
         (by_default == DefaultAction::kIgnore || by_default == DefaultAction::kContinue);
}

void Process::Send(const siginfo_t& info, Thread* only) {
  const int signal = info.si_signo;
  if (signal == SIGKILL) {
    Kill(SIGKILL, nullptr);
    return;
  }
  // Stopping and continuing take each other back.
  const bool stops = (kStopSignals & SignalBit(signal)) != 0;
  if (stops || signal == SIGCONT) {
    const SignalSet gone = stops ? SignalBit(SIGCONT) : kStopSignals;
    shared.Remove(gone);
    for (Thread* thread : threads) thread->own.Remove(gone);
  }
  if (signal == SIGCONT) Continue();
  Thread* const receiver = only != nullptr ? only : Leader();
  const bool is_blocked = receiver != nullptr && (receiver->blocked & SignalBit(signal)) != 0;
  const bool wanted = std::any_of(threads.begin(), threads.end(), [only](const Thread* thread) {
    return (only == nullptr || only == thread) && thread->WantsIgnored();
  });
  if (Ignores(signal) && !is_blocked && !wanted) return;
  if (only != nullptr) {
    only->own.Add(info);
    if (only->CanTake(signal)) only->Notify();
    return;
  }
  shared.Add(info);
  NotifySomeThread(signal);
}

void Process::NotifySomeThread(int signal) {
  Thread* const leader = Leader();
  if (leader != nullptr && leader->CanTake(signal)) {
    leader->Notify();
    return;
  }
  for (Thread* thread : threads) {
    if (thread->CanTake(signal)) {
      thread->Notify();
      return;
    }
  }
}

void Process::Kill(long with_status, Thread* except) {
  if (!ending) {
    ending = true;
    status = with_status;
  }
  for (Thread* thread : threads) {
    if (thread != except && !thread->IsDead()) thread->Kill();
  }
}

// ---- Job control -----------------------------------------------------------------------------------

void Process::BeginStop(int signal) {
  if (ending) return;
  stop_signal = signal;
  for (Thread* thread : threads) {
    if (!thread->IsExiting() && !thread->IsJobStopped()) thread->BeginJobStop();
  }
}

bool Process::CompleteStop() {
  if (stopped || stop_signal == 0 || ending) return false;
  bool any = false;
  for (const Thread* thread : threads) {
    if (thread->IsExiting()) continue;
    if (!thread->IsJobStopped()) return false;
    any = true;
  }
  if (!any) return false;
  stopped = true;
  stop_to_tell = true;
  continue_to_tell = false;
  TellParent(CLD_STOPPED, stop_signal);
  return true;
}

void Process::Continue() {
  bool any = false;
  for (Thread* thread : threads) {
    thread->CancelJobStop();
    any |= thread->IsJobStopped();
    thread->EndJobStop();
  }
  stop_signal = 0;
  if (any) first_to_continue = true;
  if (!stopped) return;
  stopped = false;
  stop_to_tell = false;
  continue_to_tell = true;
  TellParent(CLD_CONTINUED, SIGCONT);
}

bool Process::IsOrphaned() const {
  // Somebody outside the group but in the session is the parent of a member.
  for (const auto& [id, member] : world.processes()) {
    if (member->group != group || member->parent == nullptr) continue;
    if (member->parent->group != group && member->parent->session == session) return false;
  }
  return true;
}

// ---- End -------------------------------------------------------------------------------------------

void Process::TellParent(int code, int value) {
  if (parent == nullptr) return;
  const bool end = code != CLD_STOPPED && code != CLD_CONTINUED;
  const int signal = end ? exit_signal : SIGCHLD;
  if (signal == 0) return;
  if (!end && (parent->actions[SIGCHLD].flags & SA_NOCLDSTOP) != 0) return;
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = code;
  info.si_pid = pid;
  info.si_status = value;
  parent->Send(info, nullptr);
}

bool Process::ReapsItself() const {
  if (parent == nullptr) return true;
  if (exit_signal != SIGCHLD) return false;
  const utrace_sigaction& action = parent->actions[SIGCHLD];
  return action.handler == UTRACE_SIG_IGN || (action.flags & SA_NOCLDWAIT) != 0;
}

}  // namespace utrace::model
