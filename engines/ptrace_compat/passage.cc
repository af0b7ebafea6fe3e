// The passage of occurrences through the links of a task, and what the task does next.
#include <linux/ptrace.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engines/ptrace_compat/tracee.h"

namespace utrace::ptrace_compat {

void Tracee::EnterStop(Link& link, const Stop& stop) {
  link.stop = stop;
  link.state = Link::State::kStopped;
  link.prepared = false;
  // As in the kernel, whatever stop comes first is the one that PTRACE_INTERRUPT asked for.
  std::erase_if(link.own, [](const Stop& next) { return next.by_interrupt; });
  if (stop.kind == Stop::Kind::kSyscall) {
    const bool good = (link.options & PTRACE_O_TRACESYSGOOD) != 0;
    if (good) link.stop.code = kGoodSyscallCode;
    link.stop.info.si_code = link.stop.code;
    // The kernel tells of a call only where the stop is told from others.
    if (!good) link.stop.syscall_info_size = 0;
  }
  world_.Tell(link, link.stop.code << 8 | 0x7f);
}

// The task is held, or about to be: links may come to stops of their own.
void Tracee::EnterOwn() {
  for (const auto& link : links_) {
    const bool free =
        link->state == Link::State::kRunning || link->state == Link::State::kListening;
    if (!free || link->own.empty()) continue;
    Stop stop = link->own.front();
    link->own.pop_front();
    stop.own = true;
    EnterStop(*link, stop);
  }
}

// Brings occurrences through the links, until a link stops.
void Tracee::Advance() {
  while (!occurrences_.empty()) {
    Occurrence& occurrence = occurrences_.front();
    if (occurrence.at != nullptr) return;
    const auto next = std::find_if(links_.begin(), links_.end(),
                                   [&](const auto& link) { return link->id > occurrence.last; });
    if (next == links_.end()) {
      const bool stays = occurrence.kind == Occurrence::Kind::kSignal &&
                         (occurrence.only.empty() || occurrence.passed_on);
      if (stays) introduced_.push_back({occurrence.stop.info, occurrence.may_be_blocked});
      occurrences_.pop_front();
      continue;
    }
    Link& link = **next;
    // In a stop of its own; asked again when it goes on.
    if (link.is_stopped()) return;
    occurrence.last = link.id;
    if (!IsFor(occurrence, link)) continue;
    occurrence.at = &link;
    EnterStop(link, occurrence.stop);
    // The next link may find another state.
    occurrence.stop.syscall_info_size = 0;
    return;
  }
}

// What becomes of the stop that the link leaves.
void Tracee::GoOn(Link& link, int signal) {
  Stop& stop = link.stop;
  const bool first = !occurrences_.empty() && occurrences_.front().at == &link;
  if (first) occurrences_.front().at = nullptr;
  if (stop.kind == Stop::Kind::kSyscall && signal != 0) SendSignal(signal);
  if (stop.kind != Stop::Kind::kSignal) return;
  Occurrence* occurrence = first ? &occurrences_.front() : nullptr;
  const bool directed = first && !occurrence->only.empty();
  // It is going to run the instruction there anew: those who wait for that see it then.
  if (directed && occurrence->breakpoint && stop.registers_changed) {
    occurrences_.pop_front();
    return;
  }
  if (signal == 0) {
    // What belongs to some links is each one's own affair.
    if (first && !directed) occurrences_.pop_front();
    return;
  }
  const bool replaced = stop.info.si_signo != signal;
  if (replaced) Replace(stop.info, signal, *link.tracer);
  if (!first) {
    // Made for this link alone; now it is a signal for those behind it as well.
    Occurrence made;
    made.last = link.id;
    occurrences_.push_back(made);
    occurrence = &occurrences_.back();
  }
  occurrence->passed_on = true;
  if (replaced || stop.mask_changed) occurrence->may_be_blocked = true;
  occurrence->stop.kind = Stop::Kind::kSignal;
  occurrence->stop.code = signal;
  occurrence->stop.has_info = true;
  occurrence->stop.info = stop.info;
}

void Tracee::Resume(Link& link, Run run, int signal) {
  GoOn(link, signal);
  link.state = Link::State::kRunning;
  link.run = run;
  // Its step is the call, whose end must be seen.
  const bool at_entry =
      link.stop.kind == Stop::Kind::kSyscall && link.stop.message == PTRACE_EVENTMSG_SYSCALL_ENTRY;
  link.steps_over_call = run == Run::kStep && at_entry;
  if (link.steps_over_call) sees_exit_ = true;
  link.steps_over_no_call = run == Run::kSysemuStep && at_entry;
  link.unreported = false;
  if (Steps(run)) has_stepped_ = true;
  // The task is still held.
  EnterOwn();
  Advance();
  LetGo();
}

void Tracee::Listen(Link& link) {
  link.state = Link::State::kListening;
  link.unreported = false;
  if (!occurrences_.empty() && occurrences_.front().at == &link) occurrences_.front().at = nullptr;
  EnterOwn();
  Advance();
  LetGo();
}

// PTRACE_CONT out of a group-stop runs the task; it stays stopped for one that listens, or has no tracer.
void Tracee::ChooseJobControl() const {
  if (group_stop_ == 0) return;
  const bool runs =
      !links_.empty() && std::all_of(links_.begin(), links_.end(), [](const auto& link) {
        return link->state == Link::State::kRunning;
      });
  world_.host.RunInJobControlStop(task_, runs);
}

// If nothing keeps the task any longer.
void Tracee::LetGo() {
  if (dead_ || Busy()) return;
  leaving_ = links_.empty();
  ChooseJobControl();
  if (MayLeave()) {
    LeaveTask();
    return;
  }
  SetEventsOfHeld();
  // Fails only for a task that is dead.
  if (!introduced_.empty()) {
    Control(UTRACE_INTERRUPT);
  } else if (Control(static_cast<enum utrace_resume_action>(Wish())) == -EOPNOTSUPP) {
    Control(UTRACE_RESUME);
  }
}

void Tracee::LeaveTask() {
  Control(UTRACE_DETACH);
  world_.RemoveTracee(task_);
}

}  // namespace utrace::ptrace_compat
