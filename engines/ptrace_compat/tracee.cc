// The passage of occurrences through the links of a task, and what the task does next.
#include "engines/ptrace_compat/tracee.h"

#include <linux/ptrace.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <string>
#include <utility>

#include "core/calls_wanted.h"

namespace utrace::ptrace_compat {
namespace {

// Whether the thread is in a system call.
bool IsInCall(pid_t tid) {
  std::ifstream file("/proc/" + std::to_string(tid) + "/syscall");
  long number = -1;
  return static_cast<bool>(file >> number) && number >= 0;
}

}  // namespace

Tracee::Tracee(World& world, TaskView task, std::shared_ptr<AddressSpace> space)
    : world_(world), task_(TaskRef::Share(task)), space_(std::move(space)) {}

Tracee::~Tracee() = default;

Status Tracee::Attach(uint32_t options) {
  Wants wants;
  {
    const Lock lock(world_.mutex);
    wants = Wanted(options);
    wants_.events = wants.events;
  }
  Result<Attachment> attachment =
      Attachment::Attach(task_.view(), shared_from_this(), Events(wants.events));
  if (!attachment) return attachment.status();
  {
    const std::lock_guard lock(handle_mutex_);
    handle_ = attachment->handle();
  }
  // It ends by control, and needs no object.
  attachment->Leave();
  return Status();
}

void Tracee::Abandon() {
  (void)Control(UTRACE_DETACH);
  GiveUpControl();
}

EngineRef Tracee::Handle() const {
  const std::lock_guard lock(handle_mutex_);
  return handle_;
}

// The handle keeps the engine, which is this object: without this each of them would keep the other for ever.
void Tracee::GiveUpControl() {
  EngineRef last;
  const std::lock_guard lock(handle_mutex_);
  std::swap(last, handle_);
}

int Tracee::Control(enum utrace_resume_action action) const {
  const EngineRef handle = Handle();
  return handle ? utrace_control(task_.get(), handle.get(), action) : -ESRCH;
}

Lock Tracee::Enter() {
  Lock lock(world_.mutex);
  ++callbacks_;
  callback_came_.notify_all();
  return lock;
}

void Tracee::Settle(Lock& lock) {
  const EngineRef handle = Handle();
  if (!handle) return;
  for (;;) {
    const uint64_t before = callbacks_;
    lock.unlock();
    while (utrace_barrier(task_.get(), handle.get()) == -UTRACE_ERESTARTSYS) {
    }
    lock.lock();
    if (callbacks_ == before) return;
  }
}

long Tracee::Access(Lock& lock, Link& link, const std::function<long()>& work) {
  constexpr std::chrono::seconds kGuard(10);
  const uint64_t number = link.event_number;
  const auto stands = [&] { return link.is_stopped() && link.event_number == number; };
  const auto failed = [](long result) { return result == -EINVAL || result == -ESRCH; };
  if (!stands()) return -ESRCH;
  // The callback that told of the stop holds the task where it is; others, at the next safe point.
  if (link.prepared || (!link.stop.own && link.stop.kind != Stop::Kind::kOther)) {
    lock.unlock();
    const long result = work();
    lock.lock();
    if (!failed(result)) return result;
  }
  const EngineRef handle = Handle();
  if (!handle) return -ESRCH;
  for (;;) {
    Settle(lock);
    if (!stands()) return -ESRCH;
    const uint64_t before = callbacks_;
    lock.unlock();
    utrace_examiner examiner{};
    bool held = utrace_prepare_examine(task_.get(), handle.get(), &examiner) == 0;
    const long result = held ? work() : -ESRCH;
    if (held && failed(result)) {
      held = utrace_finish_examine(task_.get(), handle.get(), &examiner) == 0;
    }
    lock.lock();
    if (held) {
      if (stands()) link.prepared = true;
      return result;
    }
    // Killed, or between two holds: somebody asked for a report, and its callback holds the task again.
    const bool came =
        callback_came_.wait_for(lock, kGuard, [&] { return callbacks_ != before || !stands(); });
    if (!came) return -ESRCH;
  }
}

// ---- What is wanted -------------------------------------------------------------------------------

Tracee::Wants Tracee::Wanted(uint32_t options) const {
  bool calls = sees_exit_;
  // CLONE whatever the options say: a child made with CLONE_PTRACE is traced from its first instruction on.
  unsigned long events = UTRACE_EVENT(QUIESCE) | UTRACE_EVENT_SIGNAL_ALL | UTRACE_EVENT(JCTL) |
                         UTRACE_EVENT(CLONE) | UTRACE_EVENT(EXEC) | UTRACE_EVENT(DEATH) |
                         UTRACE_EVENT(REAP);
  // No wait tells how a leader ended that dies before its threads: this does.
  if (task_.tid() == task_.tgid()) events |= UTRACE_EVENT(EXIT);
  for (const auto& link : links_) {
    options |= link->options;
    if (!StopsAtEntry(link->run)) continue;
    events |= UTRACE_EVENT_SYSCALL;
    calls = true;
  }
  if ((options & PTRACE_O_TRACEEXIT) != 0) events |= UTRACE_EVENT(EXIT);
  if (sees_exit_) events |= UTRACE_EVENT(SYSCALL_EXIT);
  if ((options & PTRACE_O_TRACESECCOMP) == 0) return {.events = events};
  events |= UTRACE_EVENT(SYSCALL_ENTRY);
  return {.events = events, .all_calls = calls, .filtered_calls = true};
}

// Without the lock, unless the task runs no user code meanwhile. Fails only for a task that is dead.
void Tracee::Set(const Wants& wants) {
  const EngineRef handle = Handle();
  if (!handle) return;
  const CallsWanted calls{.all = wants.all_calls, .filtered = wants.filtered_calls};
  // In this order the task does not for a moment stop for all calls.
  if (!calls.all) (void)WantCalls(handle, calls);
  utrace_set_events(task_.get(), handle.get(), wants.events);
  if (calls.all) (void)WantCalls(handle, calls);
}

// Of a task that runs no user code before this returns: never waits then.
void Tracee::SetEventsOfHeld() {
  const Wants wanted = Wanted(0);
  if (wanted == wants_) return;
  Set(wanted);
  wants_ = wanted;
}

void Tracee::ChooseEvents(Lock& lock) {
  for (;;) {
    const Wants wanted = Wanted(0);
    if (wanted == wants_) return;
    lock.unlock();
    // If it runs, this may wait for its lane, which may wait for the lock.
    Set(wanted);
    lock.lock();
    wants_ = wanted;
  }
}

bool Tracee::Busy() const {
  if (!occurrences_.empty()) return true;
  return std::any_of(links_.begin(), links_.end(), [this](const auto& link) {
    // A listening link keeps a task that nothing else keeps.
    return link->is_stopped() || (link->state == Link::State::kListening && group_stop_ == 0);
  });
}

Action Tracee::Wish() const {
  if (Busy()) return Action::kStop;
  Action action = Action::kResume;
  for (const auto& link : links_) {
    if (link->state != Link::State::kRunning || !Steps(link->run)) continue;
    if (link->run != Run::kBlockStep) return Action::kSingleStep;
    action = Action::kBlockStep;
  }
  return action;
}

bool Tracee::IsFor(const Occurrence& occurrence, const Link& link) const {
  if (link.state != Link::State::kRunning) return false;
  if (!occurrence.only.empty() && occurrence.only.count(link.id) == 0) return false;
  switch (occurrence.kind) {
    case Occurrence::Kind::kSignal:
      return true;
    case Occurrence::Kind::kEntry:
      return StopsAtEntry(link.run);
    case Occurrence::Kind::kExit:
      return link.run == Run::kSyscall && !link.missed_entry;
    case Occurrence::Kind::kEvent:
      return (link.options & occurrence.option) != 0;
    case Occurrence::Kind::kHandler:
      return Steps(link.run);
  }
  return false;
}

bool Tracee::AnyWants(const Occurrence& occurrence) const {
  return std::any_of(links_.begin(), links_.end(),
                     [&](const auto& link) { return IsFor(occurrence, *link); });
}

// ---- Passage ----------------------------------------------------------------------------------------

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

// If nothing keeps the task any longer.
void Tracee::LetGo() {
  if (dead_ || Busy()) return;
  leaving_ = links_.empty();
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

// ---- Links --------------------------------------------------------------------------------------------

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
