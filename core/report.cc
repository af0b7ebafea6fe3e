// Reporting passes: who is called, in which order, and what the results come to [REP-*, QUI-*].
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/signal_rules.h"
#include "core/task.h"

namespace utrace {

// One walk over a task's engines.
struct Task::Pass {
  PassKind kind;
  // The most constrained resume action so far [REP-04].
  uint32_t resume = UTRACE_RESUME;
  uint64_t number = 0;  // among those of the task
  // Who made the last change, if anybody did.
  std::array<EngineObject*, kReplaceable> changers{};
};

void Task::BeginPass() {
  in_pass_ = true;
  ++passes_;
}

void Task::EndPass() {
  std::vector<EngineObject*> removed;
  {
    MutexLock lock(mutex_);
    in_pass_ = false;
    RemoveDetached(removed);
    // Insert reserved the room.
    engines_.insert(engines_.end(), arriving_.begin(), arriving_.end());
    arriving_.clear();
  }
  DropAll(removed);
}

void Task::ApplyResult(EngineObject& engine, PassKind kind, uint32_t result) {
  uint32_t action = result & UTRACE_RESUME_MASK;
  if (action > UTRACE_DETACH) action = UTRACE_RESUME;  // [BAD-03]
  if (action == UTRACE_DETACH || engine.state == EngineObject::State::kDetaching) {
    engine.state = EngineObject::State::kDetached;
    engine.wish = UTRACE_RESUME;
    return;
  }
  if (engine.state != EngineObject::State::kAttached) return;
  if (kind == PassKind::kDeath) return;  // nothing else applies to the dead [DTH-03]
  switch (action) {
    case UTRACE_STOP:
      engine.wish = UTRACE_STOP;
      engine.stop_committed = true;
      return;
    case UTRACE_INTERRUPT:
      // REPORT from the last callback before user mode would repeat for ever; INTERRUPT leads to one
      // report_signal [REP-17]; neither does anything from report_signal itself [SIG-13].
      if (kind != PassKind::kSignal) AddPending(Pending::kInterrupt);
      break;
    case UTRACE_REPORT:
      if (kind == PassKind::kEvent || kind == PassKind::kEntry) AddPending(Pending::kReport);
      break;
    default:
      break;
  }
  if (kind == PassKind::kEntry && (action == UTRACE_INTERRUPT || action == UTRACE_REPORT)) {
    repeat_entry_ = true;
  }
  // A STOP that came by control while the callback ran is newer than its result.
  if (engine.stop_during_callback) return;
  engine.stop_committed = false;
  engine.wish = UTRACE_RESUME;
  if (action == UTRACE_SINGLESTEP || action == UTRACE_BLOCKSTEP) {
    engine.wish = static_cast<uint8_t>(action);
  }
}

// What the callback just made has changed, for those who list engines.
void Task::CountChanges(EngineObject& engine, Pass& pass, uint32_t result) {
  const Changes changed = engine.changed;
  if (changed == 0) return;
  ChangeCounts& counts = engine.counts;
  if ((changed & kSignalChanges) != 0) ++counts.signals;
  if ((changed & kCallChanges) != 0) ++counts.calls;
  if ((changed & Bit(Changed::kRegisters)) != 0) ++counts.registers;
  if ((changed & Bit(Changed::kMemory)) != 0) ++counts.memory;
  const bool aborts = (result & UTRACE_SYSCALL_MASK) == UTRACE_SYSCALL_ABORT;
  if ((changed & Bit(Changed::kCallAction)) != 0 && aborts) ++counts.aborts;
  for (size_t n = 0; n < kReplaceable; ++n) {
    if ((changed >> n & 1) == 0) continue;
    EngineObject* before = std::exchange(pass.changers[n], &engine);
    if (before == nullptr || before == &engine || before->overruled_in == pass.number) continue;
    before->overruled_in = pass.number;
    ++before->counts.overruled;
  }
}

// Calls `call` for the engine, without the lock, and applies its result. Whether it is still attached.
bool Task::CallEngine(MutexLock& lock, EngineObject& engine, Pass& pass,
                      const std::function<uint32_t(const utrace_engine_ops&)>& call) {
  engine.in_callback = true;
  engine.stop_during_callback = false;
  engine.cleared_during_callback = false;
  engine.changed = 0;
  called_ = &engine;
  const utrace_engine_ops& ops = *engine.ops;
  lock.unlock();
  uint32_t result = 0;
  {
    const CurrentTask context(this);
    const OwnerScope owner(engine.owner.get());
    result = call(ops);
  }
  lock.lock();
  engine.in_callback = false;
  ++engine.callbacks;
  called_ = nullptr;
  CountChanges(engine, pass, result);
  ApplyResult(engine, pass.kind, result);
  Notify();
  const uint32_t action = result & UTRACE_RESUME_MASK;
  pass.resume = std::min(pass.resume, action);
  return engine.state == EngineObject::State::kAttached;
}

void Task::ReportEvent(unsigned long event, PassKind kind, bool reverse, const Callback& specific) {
  {
    MutexLock lock(mutex_);
    const unsigned long interest = InterestLocked();
    // QUIESCE alone makes no report: it goes before the callbacks of somebody's event [REP-14].
    const unsigned long wanted = event != 0 ? event : UTRACE_EVENT(QUIESCE);
    const bool own_death = kind == PassKind::kDeath && event == UTRACE_EVENT(DEATH) &&
                           (interest & UTRACE_EVENT(QUIESCE)) != 0;
    if ((interest & wanted) == 0 && !own_death) return;
    BeginPass();
    Pass pass{.kind = kind, .number = passes_};
    const size_t count = engines_.size();
    for (size_t i = 0; i < count; ++i) {
      EngineObject& engine = *engines_[reverse ? count - 1 - i : i];
      if (engine.state != EngineObject::State::kAttached) continue;
      const bool quiesce = (engine.flags & UTRACE_EVENT(QUIESCE)) != 0 &&
                           engine.ops->report_quiesce != nullptr && event != UTRACE_EVENT(REAP);
      if (quiesce) {
        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, event);
        };
        if (!CallEngine(lock, engine, pass, call)) continue;
      }
      // The mask may have changed in the callback just made [EVT-13].
      if (event == 0 || (engine.flags & event) == 0) continue;
      CallEngine(lock, engine, pass,
                 [&](const utrace_engine_ops& ops) { return specific(engine, ops, pass.resume); });
    }
  }
  EndPass();
}

uint32_t Task::ReportSignal(unsigned long event, uint32_t action, siginfo_t& info,
                            const utrace_sigaction* original, utrace_sigaction& disposition) {
  {
    MutexLock lock(mutex_);
    BeginPass();
    Pass pass{.kind = PassKind::kSignal, .number = passes_};
    for (size_t i = 0, count = engines_.size(); i < count; ++i) {
      EngineObject& engine = *engines_[i];
      if (engine.state != EngineObject::State::kAttached) continue;
      if ((engine.flags & (event | UTRACE_EVENT(QUIESCE))) == 0) continue;
      if (engine.ops->report_signal == nullptr) {  // [QUI-07]
        // Its resume action counts as from any report_quiesce, its signal action does not [SYS-13].
        const auto call = [&](const utrace_engine_ops& ops) {
          return ops.report_quiesce(pass.resume, &engine, this, event);
        };
        CallEngine(lock, engine, pass, call);
        continue;
      }
      CallEngine(lock, engine, pass, [&](const utrace_engine_ops& ops) {
        // The registers are reached through the task (machine.h); the handle names it.
        auto* regs = reinterpret_cast<utrace_regs*>(this);
        const siginfo_t info_before = info;
        const utrace_sigaction disposition_before = disposition;
        const uint32_t action_before = action;
        const uint32_t result = ops.report_signal(action | pass.resume, &engine, this, regs, &info,
                                                  original, &disposition);
        action = result & (UTRACE_SIGNAL_MASK | UTRACE_SIGNAL_HOLD);
        // NOLINTBEGIN(bugprone-suspicious-memory-comparison): copies of one image each.
        if (std::memcmp(&info, &info_before, sizeof info) != 0) {
          engine.changed |= Bit(Changed::kSiginfo);
        }
        if (std::memcmp(&disposition, &disposition_before, sizeof disposition) != 0) {
          engine.changed |= Bit(Changed::kDisposition);
        }
        // NOLINTEND(bugprone-suspicious-memory-comparison)
        if (action != action_before) engine.changed |= Bit(Changed::kSignalAction);
        return result;
      });
    }
  }
  EndPass();
  return action;
}

// ---- The edge of user mode -----------------------------------------------------------------------

UserVerdict Task::SafePoint(bool leaving) {
  for (;;) {
    Pending pending{};
    bool with_signal = false;
    {
      MutexLock lock(mutex_);
      if (life_ != Life::kAlive) return {};
      EndHold();
      pending = pending_;
      if (pending == Pending::kNone && report_after_stop_ && !SomeoneStops()) {
        pending = Pending::kReport;
      }
      if (pending == Pending::kNone) {
        if (SomeoneStops()) {
          StartHold();
          return {.next = UserVerdict::Next::kHold, .signal = {}};
        }
        if (!leaving) return {};
        keep_info_ = false;
        Step step = Step::kNone;
        for (EngineObject* engine : engines_) {
          if (engine->wish == UTRACE_SINGLESTEP) step = std::max(step, Step::kSingle);
          if (engine->wish == UTRACE_BLOCKSTEP) step = std::max(step, Step::kBlock);
          engine->wish = UTRACE_RESUME;  // for one resumption [REP-06]
        }
        return {.next = UserVerdict::Next::kRun, .step = step, .signal = {}};
      }
      pending_ = Pending::kNone;
      report_after_stop_ = false;
      // What a report_signal left when it stopped the task is shown to the next one [SIG-11].
      with_signal = pending == Pending::kInterrupt || keep_info_;
    }
    if (!with_signal) {
      ReportEvent(0, PassKind::kUserReturn, false, {});
      continue;
    }
    siginfo_t info{};
    if (keep_info_) info = last_info_;
    // Untouched, it is whatever the program has for the number that an engine fills in.
    utrace_sigaction disposition{};
    disposition.handler = UTRACE_SIG_UNKNOWN_HANDLER;
    const uint32_t result = ReportSignal(0, UTRACE_SIGNAL_REPORT, info, nullptr, disposition);
    const SignalEffect effect = Resolve(result, nullptr, info, nullptr, disposition);
    if (effect.kind != SignalEffect::Kind::kDrop) {
      return {.next = UserVerdict::Next::kSignal, .signal = effect};
    }
  }
}

// ---- Signals ---------------------------------------------------------------------------------------

SignalEffect Task::Resolve(uint32_t result, const siginfo_t* dequeued, const siginfo_t& info,
                           const utrace_sigaction* original, const utrace_sigaction& action) {
  SignalEffect effect = ResolveSignal(result, dequeued, info, original, action);
  MutexLock lock(mutex_);
  keep_info_ = SomeoneStops();
  if (keep_info_) last_info_ = info;
  return effect;
}

SignalEffect Task::OnSignal(const siginfo_t& info, const utrace_sigaction& disposition) {
  const unsigned long event = SignalEventKind(info.si_signo, disposition.handler);
  siginfo_t changed = info;
  utrace_sigaction apply = disposition;
  uint32_t action = InitialSignalAction(info.si_signo, event);
  if ((Interest() & event) == 0) {
    SignalEffect effect;
    effect.kind = SignalEffect::Kind::kNatural;
    effect.info = info;
    return effect;
  }
  action = ReportSignal(event, action, changed, &disposition, apply);
  const SignalEffect effect = Resolve(action, &info, changed, &disposition, apply);
  const bool natural_end =
      effect.kind == SignalEffect::Kind::kNatural &&
      (event == UTRACE_EVENT(SIGNAL_TERM) || event == UTRACE_EVENT(SIGNAL_CORE));
  if (natural_end || effect.kind == SignalEffect::Kind::kTerminate ||
      effect.kind == SignalEffect::Kind::kCore) {
    OnEndingSignal();
  }
  return effect;
}

bool Task::WantsHandlerReport() { return IsDue(); }

SignalEffect Task::OnHandler() {
  {
    MutexLock lock(mutex_);
    // This report stands for the one that was asked for [SIG-09].
    pending_ = Pending::kNone;
  }
  siginfo_t info{};
  utrace_sigaction disposition{};
  disposition.handler = UTRACE_SIG_UNKNOWN_HANDLER;
  const uint32_t result = ReportSignal(0, UTRACE_SIGNAL_HANDLER, info, nullptr, disposition);
  return Resolve(result, nullptr, info, nullptr, disposition);
}

// ---- Events ----------------------------------------------------------------------------------------

EntryVerdict Task::OnSyscallEntry(Entry entry) {
  bool report = entry != Entry::kHeld;
  bool resumed = entry != Entry::kNew;
  {
    MutexLock lock(mutex_);
    if (report) {
      at_entry_ = true;
      repeat_entry_ = false;
      abort_entry_ = false;
    }
  }
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (life_ != Life::kAlive) return {};
      EndHold();
      if (!report) {
        if (SomeoneStops()) {
          StartHold();
          EntryVerdict verdict;
          verdict.hold = true;
          return verdict;
        }
        if (!repeat_entry_) {
          at_entry_ = false;
          EntryVerdict verdict;
          verdict.due = StillDue();
          verdict.abort = abort_entry_;
          return verdict;
        }
        repeat_entry_ = false;
        // The repeat is the report that INTERRUPT asked for; the call itself is not interrupted.
        if (pending_ == Pending::kInterrupt) pending_ = Pending::kReport;
        resumed = true;
      }
    }
    // Each round starts afresh [SYS-12].
    uint32_t action = UTRACE_SYSCALL_RUN;
    const uint32_t flag = resumed ? UTRACE_SYSCALL_RESUMED : 0;
    ReportEvent(UTRACE_EVENT(SYSCALL_ENTRY), PassKind::kEntry, /*reverse=*/true,
                [&](EngineObject& engine, const utrace_engine_ops& ops, uint32_t resume) {
                  auto* regs = reinterpret_cast<utrace_regs*>(this);
                  const uint32_t before = action;
                  const uint32_t result =
                      ops.report_syscall_entry(action | flag | resume, &engine, this, regs);
                  action = result & UTRACE_SYSCALL_MASK;
                  if (action != before) engine.changed |= Bit(Changed::kCallAction);
                  return result;
                });
    {
      MutexLock lock(mutex_);
      abort_entry_ = action == UTRACE_SYSCALL_ABORT;
    }
    report = false;
  }
}

void Task::OnSyscallExit() {
  ReportEvent(UTRACE_EVENT(SYSCALL_EXIT), PassKind::kEvent, false,
              [&](EngineObject& engine, const utrace_engine_ops& ops, uint32_t resume) {
                auto* regs = reinterpret_cast<utrace_regs*>(this);
                return ops.report_syscall_exit(resume, &engine, this, regs);
              });
}

Verdict Task::HoldHere(bool may_hold) {
  MutexLock lock(mutex_);
  if (may_hold && SomeoneStops()) {
    StartHold();
    return {.hold = true, .due = true};
  }
  return {.hold = false, .due = StillDue()};
}

Verdict Task::OnClone(unsigned long flags, Task& child) {
  ReportEvent(UTRACE_EVENT(CLONE), PassKind::kEvent, false,
              [&](EngineObject& engine, const utrace_engine_ops& ops, uint32_t resume) {
                return ops.report_clone(resume, &engine, this, flags, &child);
              });
  child.EndNewborn();
  // Only a vfork's parent stops here, before it waits for the child [CLN-05]; others go on to the
  // edge of user mode [REP-07].
  constexpr unsigned long kCloneVfork = 0x4000;
  return HoldHere((flags & kCloneVfork) != 0);
}

Verdict Task::OnExec(const utrace_program& program) {
  ReportEvent(UTRACE_EVENT(EXEC), PassKind::kEvent, false,
              [&](EngineObject& engine, const utrace_engine_ops& ops, uint32_t resume) {
                auto* regs = reinterpret_cast<utrace_regs*>(this);
                return ops.report_exec(resume, &engine, this, &program, regs);
              });
  return HoldHere(false);
}

Verdict Task::OnExit(long* code, bool killed) {
  {
    MutexLock lock(mutex_);
    at_entry_ = false;
    EndHold();
  }
  const long original = *code;
  ReportEvent(UTRACE_EVENT(EXIT), PassKind::kEvent, false,
              [&](EngineObject& engine, const utrace_engine_ops& ops, uint32_t resume) {
                return ops.report_exit(resume, &engine, this, original, code);
              });
  return HoldHere(!killed);
}

Verdict Task::OnJobControl(int type, int notify) {
  {
    MutexLock lock(mutex_);
    if (type == CLD_CONTINUED && job_stopped_ && SomeoneStops()) {
      // Taken over: the stop goes on for as long as an engine holds it [CTL-20].
      StartHold();
      return {.hold = true, .due = true};
    }
    EndHold();
    job_stopped_ = type == CLD_STOPPED;
    if (job_stopped_) Notify();
  }
  ReportEvent(UTRACE_EVENT(JCTL), PassKind::kEvent, false,
              [&](EngineObject& engine, const utrace_engine_ops& ops, uint32_t resume) {
                return ops.report_jctl(resume, &engine, this, type, notify);
              });
  return HoldHere(type == CLD_STOPPED);
}

void Task::OnDeath(bool group_dead, int signal) {
  {
    MutexLock lock(mutex_);
    if (life_ != Life::kAlive) return;
    life_ = Life::kDying;
    newborn_of_ = nullptr;
    EndHold();
    Notify();
  }
  ReportEvent(UTRACE_EVENT(DEATH), PassKind::kDeath, false,
              [&](EngineObject& engine, const utrace_engine_ops& ops, uint32_t) {
                return ops.report_death(&engine, this, group_dead, signal);
              });
  MutexLock lock(mutex_);
  life_ = Life::kDead;
  Notify();
}

void Task::OnReap() {
  {
    MutexLock lock(mutex_);
    if (life_ >= Life::kReaping) return;
    life_ = Life::kReaping;
    Notify();
  }
  ReportEvent(UTRACE_EVENT(REAP), PassKind::kDeath, false,
              [&](EngineObject& engine, const utrace_engine_ops& ops, uint32_t) {
                ops.report_reap(&engine, this);
                return static_cast<uint32_t>(UTRACE_RESUME);
              });
  std::vector<EngineObject*> removed;
  {
    MutexLock lock(mutex_);
    for (const auto* list : {&engines_, &arriving_}) {
      for (EngineObject* engine : *list) engine->state = EngineObject::State::kDetached;
    }
    RemoveDetached(removed);
    life_ = Life::kReaped;
    adopted_ = false;
    Notify();
  }
  DropAll(removed);
}

}  // namespace utrace
