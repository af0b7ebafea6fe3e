// The way through a history, and the rules about the callbacks of one engine.
#include "conformance/history/judge.h"

#include <sys/syscall.h>

#include <algorithm>

#include "core/utrace.h"

namespace utrace::history {
namespace {

constexpr size_t kMaxOpen = 4096;
constexpr size_t kMaxNamed = 1000000;  // engines, and tasks
constexpr size_t kMaxEnded = 10000;
constexpr size_t kMaxBreaches = 100;
constexpr int kSigkill = 9;

// The events any of which allows the callback.
uint64_t Needs(What what) {
  return what == What::kSignal ? EventsOf(what) | UTRACE_EVENT(QUIESCE) : EventsOf(what);
}

std::string Name(const Edge& edge) {
  return std::string(WhatName(edge.what)) + " of engine " + std::to_string(edge.engine);
}

}  // namespace

bool MayExec(const Edge& entry) {
  // The last two are those of x86_64's programs with short pointers; no other machine has calls of these numbers.
  constexpr int64_t kExecs[] = {SYS_execve, SYS_execveat, 520, 545};
  return !entry.numbered ||
         std::find(std::begin(kExecs), std::end(kExecs), entry.call) != std::end(kExecs);
}

std::string Describe(const Breach& breach) {
  std::string text = breach.clauses + ": " + breach.sentence + "\n";
  for (const Edge& edge : breach.witness) {
    text += "  line " + std::to_string(edge.line) + ": " + Text(edge) + "\n";
  }
  return text;
}

void Judge::Convict(std::string clauses, std::string sentence, std::vector<Edge> witness) {
  ++breach_count_;
  if (breaches_.size() == kMaxBreaches) return;
  std::erase_if(witness, [](const Edge& edge) { return edge.line == 0; });
  const auto earlier = [](const Edge& a, const Edge& b) { return a.line < b.line; };
  const auto same = [](const Edge& a, const Edge& b) { return a.line == b.line; };
  std::sort(witness.begin(), witness.end(), earlier);
  witness.erase(std::unique(witness.begin(), witness.end(), same), witness.end());
  breaches_.push_back({std::move(clauses), std::move(sentence), std::move(witness)});
}

bool Judge::Fail(const Edge& edge, const std::string& why) {
  error_ = "line " + std::to_string(edge.line) + ": " + why;
  return false;
}

bool Judge::Take(const Edge& edge) {
  ++edges_;
  if (edge.begins) {
    if (open_.size() == kMaxOpen) return Fail(edge, "too many operations are open");
    if (engines_.size() >= kMaxNamed || tasks_.size() >= kMaxNamed) {
      return Fail(edge, "too many engines or tasks");
    }
    const auto [place, is_new] = open_.try_emplace(edge.id);
    if (!is_new) return Fail(edge, "an operation with this number is open");
    Open& open = place->second;
    open.edge = edge;
    TaskState& task = tasks_[edge.task];
    if (!task.counted) ++task_count_;
    task.counted = true;
    if (edge.what == What::kAttach || edge.what == What::kLookup) return true;
    EngineState& engine = engines_[edge.engine];
    // A result of DETACH is recorded before it is applied: calls may still find the engine attached.
    if (!engine.by_result) open.detached = engine.detached;
    if (IsCallback(edge.what)) {
      BeginCallback(edge);
    } else {
      BeginCall(edge, &open, &engine);
    }
    return true;
  }
  const auto found = open_.find(edge.id);
  if (found == open_.end()) return Fail(edge, "returns from an operation that did not begin");
  const Open open = found->second;
  open_.erase(found);
  if (!IsCallback(open.edge.what)) return ReturnCall(open, edge);
  ReturnCallback(open, edge);
  return true;
}

void Judge::End(uint32_t number) {
  const auto found = engines_.find(number);
  if (found == engines_.end() || found->second.over) return;
  found->second.over = true;
  const auto task = tasks_.find(found->second.task);
  if (task != tasks_.end()) std::erase(task->second.engines, number);
  ended_.push_back(number);
  while (ended_.size() > kMaxEnded) {
    const uint32_t oldest = ended_.front();
    ended_.pop_front();
    const auto engine = engines_.find(oldest);
    const auto of = tasks_.find(engine->second.task);
    engines_.erase(engine);
    if (of != tasks_.end() && of->second.engines.empty() && of->second.running.empty()) {
      tasks_.erase(of);
    }
  }
}

void Judge::BeginCallback(const Edge& edge) {
  ++callbacks_;
  EngineState& engine = engines_[edge.engine];
  if (edge.what == What::kRelease) {
    if (engine.known) BeginRelease(edge, &engine);
    return;
  }
  // What overlaps in the record did overlap: callbacks are recorded from inside.
  TaskState& task = tasks_[edge.task];
  if (!task.running.empty()) {
    Convict("REP-03", Name(edge) + " begins while another callback for the task is running",
            {task.running.begin()->second, edge});
  }
  task.running[edge.id] = edge;
  engine.running[edge.id] = edge;
  if (edge.what == What::kClone) BeginBirth(edge);
  if (engine.known) {
    CheckAlive(edge, engine);
    CheckMask(edge, engine);
    CheckQuiesce(edge, &engine);
    CheckAlternation(edge, &engine);
  }
  if (edge.what == What::kReap && engine.known && engine.death.line == 0 &&
      engine.since[UTRACE_EVENT_BIT_DEATH] != 0) {
    Convict("DTH-01, KIL-03", Name(edge) + " begins, and report_death was not made",
            {engine.events, edge});
  }
  BeginTurn(edge, &engine);
  if (edge.what == What::kDeath) engine.death = edge;
  if (edge.what == What::kReap) {
    engine.reap = edge;
    if (engine.known) End(edge.engine);
  }
}

void Judge::BeginRelease(const Edge& edge, EngineState* engine) {
  const std::string name = "release of engine " + std::to_string(edge.engine);
  if (engine->release.line != 0) {
    Convict("REF-03", name + " is called twice", {engine->release, edge});
  } else if (engine->references > 0) {
    Convict("REF-01, REF-03",
            name + " is called though callers hold " + std::to_string(engine->references) +
                (engine->references == 1 ? " reference" : " references"),
            {engine->referenced, edge});
  }
  if (!engine->running.empty()) {
    Convict("REF-05", "release is called while a callback of the engine is running",
            {engine->running.begin()->second, edge});
  }
  engine->release = edge;
  End(edge.engine);
}

void Judge::CheckAlive(const Edge& edge, const EngineState& engine) {
  if (engine.task != 0 && engine.task != edge.task) {
    Convict("CLN-06", Name(edge) + " tells of a task that the engine is not attached to",
            {engine.attaching, engine.attached, edge});
  }
  if (engine.release.line != 0) {
    Convict("REF-05", Name(edge) + " begins after the engine's release", {engine.release, edge});
  }
  if (engine.reap.line != 0) {
    Convict(edge.what == What::kDeath ? "REA-01, REA-02" : "REA-01",
            Name(edge) + " begins after the engine's report_reap", {engine.reap, edge});
  }
  if (engine.detached.line != 0) {
    if (engine.by_result) {
      Convict(edge.what == What::kReap ? "REP-09, REA-03" : "REP-09",
              Name(edge) + " begins after a callback returned DETACH", {engine.detached, edge});
    } else if (engine.by_barrier) {
      Convict("BAR-08, CTL-11",
              Name(edge) + " begins after a DETACH and a barrier that returned zero",
              {engine.leaving, engine.detached, edge});
    } else {
      Convict("CTL-10, CTL-12, CTL-15, REA-07",
              Name(edge) + " begins after a DETACH that returned zero", {engine.detached, edge});
    }
  }
  if (engine.death.line != 0 && edge.what != What::kReap) {
    Convict("DTH-01", Name(edge) + " begins after the engine's report_death", {engine.death, edge});
  }
  if (edge.what == What::kSignal && edge.dequeued && edge.signal == kSigkill) {
    Convict("SIG-14", "SIGKILL is reported by report_signal", {edge});
  }
}

void Judge::CheckMask(const Edge& edge, const EngineState& engine) {
  if ((engine.possible & Needs(edge.what)) != 0) return;
  if (engine.events.line == 0) {
    Convict("ATT-02", Name(edge) + " begins though no event was ever set", {engine.attached, edge});
    return;
  }
  const std::string sentence = Name(edge) + " begins though no event that allows it is set";
  if (engine.settled.line != 0) {
    Convict("BAR-08", sentence + " since before a barrier that returned zero",
            {engine.events, engine.settled, edge});
  } else {
    Convict(edge.what == What::kQuiesce ? "QUI-06, EVT-11" : "EVT-11, EVT-16", sentence,
            {engine.events, edge});
  }
}

void Judge::CheckQuiesce(const Edge& edge, EngineState* engine) {
  const bool specific =
      edge.what != What::kQuiesce && edge.what != What::kSignal && edge.what != What::kReap;
  if (specific) {
    // A mask that changes between an engine's turns in one report excuses the missing quiesce; one
    // that has stood since an earlier specific callback was made does not.
    const uint64_t since = engine->since[UTRACE_EVENT_BIT_QUIESCE];
    const bool stood = since != 0 && since < engine->last_specific.line;
    const bool came = engine->quiesce_is_last && engine->last_quiesce_event == EventsOf(edge.what);
    if (stood && !came) {
      Convict(edge.what == What::kDeath ? "QUI-01, QUI-04" : "QUI-01",
              Name(edge) + " is not preceded by report_quiesce with its event",
              {engine->events, engine->last_specific, engine->last_quiesce, edge});
    }
    engine->last_specific = edge;
  }
  engine->quiesce_is_last = edge.what == What::kQuiesce;
  if (edge.what == What::kQuiesce) {
    engine->last_quiesce = edge;
    engine->last_quiesce_event = edge.events;
  }
}

// Entry, exit, entry, exit: repeats of an entry aside, and whoever executes a program or dies
// [SYS-06, SYS-10, SYS-11].
void Judge::CheckAlternation(const Edge& edge, EngineState* engine) {
  const uint64_t entry_since = engine->since[UTRACE_EVENT_BIT_SYSCALL_ENTRY];
  const uint64_t exit_since = engine->since[UTRACE_EVENT_BIT_SYSCALL_EXIT];
  // Since when both have stood; zero: they do not.
  const uint64_t since =
      entry_since == 0 || exit_since == 0 ? 0 : std::max(entry_since, exit_since);
  const bool resumed = (edge.action & UTRACE_SYSCALL_RESUMED) != 0;
  if (edge.what == What::kExec) engine->execed = true;
  if (edge.what == What::kSyscallEntry) {
    const bool stood = since != 0 && since < engine->last_entry.line;
    if (!resumed && stood && engine->entries_since_exit > 0 && !engine->execed &&
        !MayExec(engine->last_entry)) {
      Convict("SYS-10, SYS-11", "two system call entries are reported without an exit between",
              {engine->events, engine->last_entry, edge});
    }
    if (resumed && since != 0 && since < engine->last_exit.line &&
        engine->entries_since_exit == 0) {
      Convict("SYS-06, SYS-11", "a system call entry is reported as repeated, and was not before",
              {engine->events, engine->last_exit, edge});
    }
    ++engine->entries_since_exit;
    engine->execed = false;
    engine->last_entry = edge;
  }
  if (edge.what == What::kSyscallExit) {
    const bool stood = since != 0 && since < engine->last_exit.line;
    if (stood && engine->entries_since_exit == 0) {
      Convict("SYS-10", "two system call exits are reported without an entry between",
              {engine->events, engine->last_exit, edge});
    }
    engine->last_exit = edge;
    engine->entries_since_exit = 0;
  }
}

void Judge::ReturnCallback(const Open& open, const Edge& edge) {
  if (open.edge.what == What::kRelease) return;
  tasks_[open.edge.task].running.erase(edge.id);
  EngineState& engine = engines_[open.edge.engine];
  engine.running.erase(edge.id);
  EndTurn(open, edge);
  if (open.edge.what == What::kClone) EndBirth(open.edge);
  const bool means = open.edge.what != What::kReap;
  const auto resume = static_cast<uint64_t>(edge.result) & UTRACE_RESUME_MASK;
  if (means && resume == UTRACE_DETACH && engine.detached.line == 0) {
    engine.detached = edge;
    engine.by_result = true;
    Leave(&engine, edge.line);
    if (engine.known) End(open.edge.engine);
  }
  if (open.edge.what == What::kDeath || !means || engine.detached.line != 0 ||
      engine.leaving.line != 0) {
    return;
  }
  // A call that is open may take the STOP back after the result was applied.
  if (resume == UTRACE_STOP && engine.known && !IsBeingControlled(open.edge.engine)) {
    Stop(open.edge, edge, &engine,
         open.edge.what == What::kSyscallEntry ? "REP-06, CTL-05, SYS-05" : "REP-06, CTL-05");
  }
}

}  // namespace utrace::history
