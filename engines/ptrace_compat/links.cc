// Links come to a tracee, ask for stops, and leave it.
#include <linux/ptrace.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include "core/machine.h"
#include "engines/ptrace_compat/tracee.h"

namespace utrace::ptrace_compat {
namespace {

// Whether the thread is in a system call.
bool IsInCall(pid_t tid) {
  std::ifstream file("/proc/" + std::to_string(tid) + "/syscall");
  long number = -1;
  return static_cast<bool>(file >> number) && number >= 0;
}

}  // namespace

void Tracee::Add(const std::shared_ptr<Link>& link) {
  leaving_ = false;
  link->missed_entry = in_call_;
  links_.push_back(link);
}

void Tracee::Approach(Lock& lock) {
  if (Busy()) {
    EnterOwn();
    return;
  }
  lock.unlock();
  // If it runs, these may wait for its lane, which may wait for the lock.
  const bool stopped = Control(UTRACE_STOP) == 0;
  if (!stopped) Control(UTRACE_INTERRUPT);
  lock.lock();
  if (dead_) return;
  if (!stopped) {
    // A callback may have come first, and asked for a stop: INTERRUPT has ended that, but leads to another
    // callback before the task runs on; other than in a job control stop.
    if (Busy() && group_stop_ != 0) Control(UTRACE_STOP);
    return;
  }
  // It was held by others, or by job control. Now for certain, and by us.
  if (!Busy() && Control(UTRACE_STOP) != 0) {
    Control(UTRACE_INTERRUPT);
    return;
  }
  EnterOwn();
  LetGo();
}

void Tracee::Interrupt(Lock& lock, Link& link) {
  const bool asked = std::any_of(link.own.begin(), link.own.end(),
                                 [](const Stop& stop) { return stop.is_event_stop(); });
  if (!asked) {
    Stop stop;
    stop.by_interrupt = true;
    stop.code = EventCode(kEventStop, group_stop_ != 0 ? group_stop_ : SIGTRAP);
    stop.has_info = true;
    stop.info = TrapInfo(stop.code);
    stop.info.si_signo = stop.code & 0x7f;
    link.own.push_back(stop);
  }
  // Where it is stopped already, that comes when it goes on.
  if (!link.is_stopped()) Approach(lock);
}

void Tracee::StopByTracer(Lock& lock, Link& link) {
  // One that is sent while another one waits is that one.
  const bool waits = std::any_of(link.own.begin(), link.own.end(), [](const Stop& stop) {
    return stop.kind == Stop::Kind::kSignal && stop.code == SIGSTOP;
  });
  if (!waits) {
    Stop stop = AttachStop();
    stop.info.si_code = SI_TKILL;
    stop.info.si_pid = link.tracer->process->pid;
    stop.info.si_uid = OwnUid();
    link.own.push_back(stop);
  }
  if (!link.is_stopped()) Approach(lock);
}

void Tracee::FoundStopped() { group_stop_ = SIGSTOP; }

bool Tracee::SpaceIsUsedBy(pid_t tracer, const Tracer* but) const {
  for (const auto& tracee : world_.TraceesOf(task_.tgid())) {
    if (tracee->space_ != space_) continue;
    for (const auto& link : tracee->links_) {
      if (link->tracer->process->pid == tracer && link->tracer != but) return true;
    }
  }
  return false;
}

void Tracee::ForgetBreakpoints(const Tracer& tracer) {
  const pid_t pid = tracer.process->pid;
  if (!SpaceIsUsedBy(pid, &tracer)) space_->Forget(pid);
}

void Tracee::Leave(Link& link, int signal) {
  const pid_t tracer = link.tracer->process->pid;
  const bool was_running = link.state == Link::State::kRunning;
  if (was_running && Steps(link.run) && !Busy()) step_runs_ = true;
  if (!was_running) GoOn(link, signal);
  const auto found = std::find_if(links_.begin(), links_.end(),
                                  [&](const auto& held) { return held.get() == &link; });
  const std::shared_ptr<Link> kept = *found;
  links_.erase(found);
  link.state = Link::State::kGone;
  world_.Drop(link);
  link.tracee = nullptr;
  if (!SpaceIsUsedBy(tracer)) space_->Forget(tracer);
  if (dead_) return;
  if (!was_running) {
    EnterOwn();
    Advance();
  } else if (!links_.empty()) {
    return;
  }
  LetGo();
}

void Tracee::DropDebugRegisters(Lock& lock, Link& link) {
  if (!std::exchange(link.sets_debug_registers, false)) return;
  lock.unlock();
  world_.host.DropDebugRegisters(task_, link.id);
  lock.lock();
}

void Tracee::LeaveUnasked(Lock& lock, Link& link) {
  DropDebugRegisters(lock, link);
  if (!link.is_alive()) return;
  int signal = 0;
  if (link.is_stopped() && link.stop.kind == Stop::Kind::kSignal && !link.stop.own) {
    signal = link.stop.info.si_signo;
  }
  bool at_breakpoint = false;
  // It was the tracer's affair, and would kill the program.
  if (signal == SIGTRAP) {
    signal = 0;
    const Occurrence& occurrence = occurrences_.front();
    if (occurrence.breakpoint) {
      at_breakpoint = true;
      const uint64_t address = occurrence.address;
      Access(lock, link, [&] { return StepBackTo(address); });
      if (!link.is_alive()) return;
      link.stop.registers_changed = true;
      Settle(lock);
    }
  }
  trap_may_come_ =
      !at_breakpoint && space_->HasTrapsOf(link.tracer->process->pid) && !IsInCall(task_.tid());
  const std::shared_ptr<Tracee> kept = shared_from_this();
  Leave(link, signal);
  if (dead_ || !leaving_) trap_may_come_ = false;
  if (!trap_may_come_) return;
  // Somebody must be there if a trap is still to be reported; the next report tells.
  lock.unlock();
  Control(UTRACE_INTERRUPT);
  lock.lock();
}

// From behind a breakpoint at `address`: the instruction that was there is to be run.
long Tracee::StepBackTo(uint64_t address) const {
  const Machine machine(task_.view());
  const auto pc = machine.Pc();
  if (!pc) return pc.code();
  // The tracer may have gone back by itself.
  return *pc == address + 1 ? machine.SetPc(address).code() : 0;
}

}  // namespace utrace::ptrace_compat
