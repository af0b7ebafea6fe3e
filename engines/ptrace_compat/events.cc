// What happens to a task, and becomes occurrences for its links.
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "engines/ptrace_compat/tracee.h"

namespace utrace::ptrace_compat {
namespace {

constexpr unsigned long kExitSignalMask = 0xff;

// The process is there, and not as a zombie.
bool IsAlive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return false;
  const char state = text[name_end + 2];
  return state != 'Z' && state != 'X';
}

}  // namespace

siginfo_t Tracee::TrapInfo(int code) const {
  siginfo_t info{};
  info.si_signo = SIGTRAP;
  info.si_code = code;
  info.si_pid = task_.tid();
  info.si_uid = OwnUid();
  return info;
}

Tracee::Occurrence Tracee::EventOccurrence(int event, uint64_t message) const {
  Occurrence occurrence;
  occurrence.kind = Occurrence::Kind::kEvent;
  occurrence.option = 1U << event;
  occurrence.stop.code = EventCode(event);
  occurrence.stop.has_info = true;
  occurrence.stop.info = TrapInfo(occurrence.stop.code);
  occurrence.stop.message = message;
  return occurrence;
}

Tracee::Occurrence Tracee::SyscallOccurrence(bool entry) const {
  Occurrence occurrence;
  occurrence.kind = entry ? Occurrence::Kind::kEntry : Occurrence::Kind::kExit;
  occurrence.stop.kind = Stop::Kind::kSyscall;
  occurrence.stop.code = SIGTRAP;
  occurrence.stop.has_info = true;
  occurrence.stop.info = TrapInfo(SIGTRAP);
  occurrence.stop.message = entry ? PTRACE_EVENTMSG_SYSCALL_ENTRY : PTRACE_EVENTMSG_SYSCALL_EXIT;
  return occurrence;
}

Stop Tracee::GroupStop(const Link& link, int signal) {
  Stop stop;
  stop.own = true;
  stop.code = signal;
  if (!link.seized) return stop;
  stop.code = EventCode(kEventStop, signal);
  stop.has_info = true;
  stop.info.si_signo = signal;
  stop.info.si_code = stop.code;
  stop.info.si_pid = link.tid;
  stop.info.si_uid = OwnUid();
  return stop;
}

// That of PTRACE_ATTACH, which nobody sent.
Stop Tracee::AttachStop() {
  Stop stop;
  stop.own = true;
  stop.kind = Stop::Kind::kSignal;
  stop.code = SIGSTOP;
  stop.has_info = true;
  stop.info.si_signo = SIGSTOP;
  stop.info.si_code = SI_KERNEL;
  return stop;
}

// In a callback, without the lock.
void Tracee::NoteSyscallInfo(TaskView task, Stop& stop) const {
  const long size = world_.host.Ptrace(task, PTRACE_GET_SYSCALL_INFO, stop.syscall_info.size(),
                                       stop.syscall_info.data());
  if (size <= 0) return;
  stop.syscall_info_size = std::min(static_cast<size_t>(size), stop.syscall_info.size());
}

Action Tracee::OnQuiesce(QuiesceReport& report) {
  if (report.event().empty()) LookForTrap(report.task());
  const Lock lock = Enter();
  if (!report.event().empty()) return Wish();
  EnterOwn();
  Advance();
  if (!Busy()) {
    if (!introduced_.empty()) return Action::kInterrupt;
    if (MayLeave()) {
      world_.RemoveTracee(task_);
      return Action::kDetach;
    }
  }
  return Wish();
}

// ---- System calls -----------------------------------------------------------------------------------

SyscallResult Tracee::OnSyscallEntry(SyscallEntry& report) {
  const auto result = [this](bool emulate) {
    if (emulate) return SyscallResult::Abort().With(Wish());
    return SyscallResult(Wish());
  };
  Occurrence entry = SyscallOccurrence(true);
  bool filters = false;
  {
    const Lock lock = Enter();
    if (!report.repeated()) {
      filter_told_ = false;
      sees_exit_ = false;
      in_call_ = true;
      for (const auto& link : links_) link->missed_entry = false;
      emulates_call_ = std::any_of(links_.begin(), links_.end(), [](const auto& link) {
        return link->state == Link::State::kRunning && Emulates(link->run);
      });
    }
    filters = wants_.filtered_calls && !filter_told_;
  }
  // The program's filter comes after the entry; where nobody wanted that, there is only this report.
  const auto filter = filters ? world_.host.FilterData(report.task()) : std::nullopt;
  if (!filter && !report.repeated()) {
    bool wanted = false;
    {
      const Lock lock(world_.mutex);
      wanted = AnyWants(entry);
    }
    if (wanted) NoteSyscallInfo(report.task(), entry.stop);
  }
  const Lock lock = Enter();
  if (filter) {
    filter_told_ = true;
    const Occurrence seccomp = EventOccurrence(PTRACE_EVENT_SECCOMP, *filter);
    if (AnyWants(seccomp)) occurrences_.push_back(seccomp);
  } else if (report.repeated()) {
    EnterOwn();
  } else if (AnyWants(entry)) {
    occurrences_.push_back(entry);
  }
  Advance();
  return result(emulates_call_);
}

Action Tracee::OnSyscallExit(SyscallExit& report) {
  Occurrence exit = SyscallOccurrence(false);
  bool wanted = false;
  {
    const Lock lock = Enter();
    wanted = AnyWants(exit) || !occurrences_.empty() || vfork_child_;
  }
  if (wanted) NoteSyscallInfo(report.task(), exit.stop);
  const Lock lock = Enter();
  sees_exit_ = false;
  in_call_ = false;
  if (vfork_child_) {
    const Occurrence done =
        EventOccurrence(PTRACE_EVENT_VFORK_DONE, *std::exchange(vfork_child_, std::nullopt));
    if (!occurrences_.empty() || AnyWants(done)) occurrences_.push_back(done);
  }
  // Whether a link that is in another stop wants this one is known when it goes on.
  if (!occurrences_.empty() || AnyWants(exit)) occurrences_.push_back(exit);
  Occurrence step;
  step.stop.kind = Stop::Kind::kSignal;
  step.stop.code = SIGTRAP;
  step.stop.has_info = true;
  step.stop.info = TrapInfo(TRAP_BRKPT);
  for (const auto& link : links_) {
    if (std::exchange(link->steps_over_call, false)) step.only.insert(link->id);
  }
  if (!step.only.empty()) occurrences_.push_back(step);
  if (!exec_traps_.empty()) {
    Occurrence trap;
    trap.only = std::exchange(exec_traps_, {});
    trap.stop.kind = Stop::Kind::kSignal;
    trap.stop.code = SIGTRAP;
    trap.stop.has_info = true;
    trap.stop.info = TrapInfo(SI_USER);
    occurrences_.push_back(trap);
  }
  Advance();
  return Wish();
}

// ---- Clone and exec ---------------------------------------------------------------------------------

// Attaches to the newborn, for links with `options`. In the parent's callback, without the lock.
std::shared_ptr<Tracee> Tracee::Follow(CloneReport& report, uint32_t options) {
  std::shared_ptr<AddressSpace> space;
  {
    const Lock lock(world_.mutex);
    space = space_;
  }
  const bool shares = (report.flags() & CLONE_VM) != 0;
  if (!shares) {
    auto copy = world_.MakeSpace(report.child());
    space->CopyTo(*copy);
    space = copy;
  }
  auto child = std::make_shared<Tracee>(world_, report.child(), space);
  // Fails for a child that was killed already.
  if (!child->Attach(options).ok()) return nullptr;
  return child;
}

Action Tracee::OnClone(CloneReport& report) {
  const unsigned long flags = report.flags();
  const int event = (flags & CLONE_VFORK) != 0             ? PTRACE_EVENT_VFORK
                    : (flags & kExitSignalMask) == SIGCHLD ? PTRACE_EVENT_FORK
                                                           : PTRACE_EVENT_CLONE;
  Occurrence occurrence = EventOccurrence(event, static_cast<uint64_t>(report.child().tid()));
  if ((flags & CLONE_UNTRACED) != 0) occurrence.option = 0;
  const auto follows = [&](const Link& link) {
    return link.is_alive() &&
           ((link.options & occurrence.option) != 0 || (flags & CLONE_PTRACE) != 0);
  };
  bool anybody = false;
  uint32_t options = 0;
  std::map<uint64_t, uint64_t> controls;  // of debugging, by link
  {
    const Lock lock = Enter();
    for (const auto& link : links_) {
      if (!follows(*link)) continue;
      anybody = true;
      options |= link->options;
      if (link->sets_debug_registers || link->inherited_debug_control != 0) {
        controls[link->id] = link->inherited_debug_control;
      }
    }
  }
  for (auto& [id, control] : controls) {
    if (control != 0) continue;
    const unsigned index = world_.host.DebugControlRegister();
    // Fails for a task that was killed.
    (void)world_.host.GetDebugRegister(report.task(), id, index, &control);
  }
  const std::shared_ptr<Tracee> child = anybody ? Follow(report, options) : nullptr;
  Lock lock = Enter();
  if (child != nullptr) {
    world_.AddTracee(report.child(), child);
    for (const auto& link : links_) {
      if (!follows(*link)) continue;
      const auto made = world_.Connect(*link->tracer, child, link->seized, link->options);
      Stop first = AttachStop();
      if (link->seized) {
        first.kind = Stop::Kind::kOther;
        first.code = EventCode(kEventStop);
        first.info = child->TrapInfo(first.code);
      } else {
        first.info.si_code = SI_USER;  // as of a signal without a siginfo
      }
      made->own.push_back(first);
      if (const auto found = controls.find(link->id); found != controls.end()) {
        made->inherited_debug_control = found->second;
      }
    }
    // It stops before it has run an instruction.
    child->Control(UTRACE_STOP);
  }
  const bool vfork_done =
      (flags & CLONE_VFORK) != 0 && std::any_of(links_.begin(), links_.end(), [](const auto& link) {
        return (link->options & PTRACE_O_TRACEVFORKDONE) != 0;
      });
  if (vfork_done) vfork_child_ = static_cast<uint64_t>(report.child().tid());
  if (AnyWants(occurrence)) occurrences_.push_back(occurrence);
  Advance();
  if (Busy() || vfork_done) {
    // The call's end comes while the task may be held for this: it must not be missed.
    sees_exit_ = true;
    SetEventsOfHeld();
  }
  return Wish();
}

Action Tracee::OnExec(ExecReport& report) {
  const pid_t former = report.program().former_tid;
  auto space = world_.MakeSpace(report.task());
  Lock lock = Enter();
  space_ = std::move(space);
  vfork_child_.reset();
  for (const auto& link : links_) {
    link->sets_debug_registers = false;
    link->inherited_debug_control = 0;
    if (link->tid != task_.tid()) world_.Rekey(*link, task_.tid());
  }
  const Occurrence occurrence = EventOccurrence(PTRACE_EVENT_EXEC, static_cast<uint64_t>(former));
  if (AnyWants(occurrence)) occurrences_.push_back(occurrence);
  for (const auto& link : links_) {
    if (!link->seized && (link->options & PTRACE_O_TRACEEXEC) == 0) exec_traps_.insert(link->id);
  }
  Advance();
  if (Busy() || !exec_traps_.empty()) {
    sees_exit_ = true;
    SetEventsOfHeld();
  }
  return Wish();
}

// ---- Job control ------------------------------------------------------------------------------------

Action Tracee::OnJctl(JctlReport& report) {
  const bool stopped = report.type() == CLD_STOPPED;
  int signal = SIGSTOP;
  siginfo_t info{};
  if (stopped && world_.host.Ptrace(report.task(), PTRACE_GETSIGINFO, 0, &info) == 0 &&
      info.si_signo != 0) {
    signal = info.si_signo;
  }
  const Lock lock = Enter();
  if (stopped) {
    group_stop_ = signal;
    for (const auto& link : links_) link->own.push_back(GroupStop(*link, signal));
  } else {
    group_stop_ = 0;
    for (const auto& link : links_) {
      continued_told_ = true;
      if (!link->seized || link->is_stopped()) continue;
      Stop stop = GroupStop(*link, SIGTRAP);
      link->own.push_back(stop);
    }
  }
  EnterOwn();
  // Of both, the kernel tells the stop first.
  if (!stopped && report.notify() != 0) {
    for (const auto& link : links_) world_.TellContinued(*link);
  }
  return Wish();
}

// ---- Exit, death, reap ------------------------------------------------------------------------------

// The task was killed: it is in none of its stops any more.
void Tracee::Dissolve() {
  occurrences_.clear();
  introduced_.clear();
  exec_traps_.clear();
  for (const auto& link : links_) {
    link->own.clear();
    if (link->state == Link::State::kRunning) continue;
    link->state = Link::State::kRunning;
    link->run = Run::kContinue;
    link->unreported = false;
  }
}

Action Tracee::OnExit(ExitReport& report) {
  const long number = report.machine().SyscallNumber().value_or(-1);
  const bool ends_group = number == SYS_exit_group || (report.original() & 0x7f) != 0;
  const Lock lock = Enter();
  Dissolve();
  exit_status_ = static_cast<int>(report.original());
  if (ends_group) {
    // What a leader that is dead already ends with, too.
    for (const auto& tracee : world_.TraceesOf(task_.tgid())) {
      if (tracee->dead_) tracee->exit_status_ = exit_status_;
    }
  }
  const Occurrence occurrence =
      EventOccurrence(PTRACE_EVENT_EXIT, static_cast<uint64_t>(report.original()));
  if (AnyWants(occurrence)) occurrences_.push_back(occurrence);
  Advance();
  return Wish();
}

void Tracee::TellOfDeath(int status) {
  for (const auto& link : std::exchange(links_, {})) {
    link->tracee = nullptr;
    // Its tracer may have ended meanwhile.
    if (link->state == Link::State::kGone) continue;
    link->state = Link::State::kDead;
    world_.Tell(*link, status);
  }
  world_.RemoveTracee(task_);
}

Action Tracee::OnDeath(DeathReport& report) {
  constexpr int kLeaderBeforeThreads = -2;
  const auto status = world_.host.DeathStatus(report.task());
  const Lock lock = Enter();
  dead_ = true;
  Dissolve();
  if (report.signal() != kLeaderBeforeThreads) {
    TellOfDeath(status.value_or(exit_status_));
    return Action::kResume;
  }
  // Told when the threads are dead as well, as by the kernel.
  for (const auto& link : links_) link->state = Link::State::kDelayed;
  world_.WatchGroup(shared_from_this());
  return Action::kResume;
}

void Tracee::GroupIsDead() {
  const auto status = world_.host.DeathStatus(task_);
  const Lock lock(world_.mutex);
  if (!links_.empty()) TellOfDeath(status.value_or(exit_status_));
}

void Tracee::OnReap(ReapReport& report) {
  const bool replaced = !world_.host.DeathStatus(report.task()) && IsAlive(report.task().tgid());
  if (!replaced) {
    GroupIsDead();
    return;
  }
  // An exec by another thread took its id: nobody is told of its end.
  const Lock lock(world_.mutex);
  for (const auto& link : std::exchange(links_, {})) {
    link->tracee = nullptr;
    if (std::exchange(link->state, Link::State::kGone) != Link::State::kGone) world_.Drop(*link);
  }
  world_.RemoveTracee(task_);
}

}  // namespace utrace::ptrace_compat
