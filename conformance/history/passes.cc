// The rules about passes: who is called in which order with what, who is left out, and that a stopped
// task does not go on.
#include <algorithm>

#include "conformance/history/judge.h"
#include "core/utrace.h"

namespace utrace::history {
namespace {

// Longer passes are not followed for what one engine leaves to the next.
constexpr size_t kMaxWindow = 64;

bool IsSignal(Kind kind) { return kind == UTRACE_EVENT_SIGNAL_ALL; }
bool IsEntry(Kind kind) { return kind == UTRACE_EVENT(SYSCALL_ENTRY); }

Kind KindOf(const Edge& edge) {
  if (edge.what == What::kSignal) return edge.dequeued ? UTRACE_EVENT_SIGNAL_ALL : 0;
  if (edge.what != What::kQuiesce) return EventsOf(edge.what);
  return (edge.events & UTRACE_EVENT_SIGNAL_ALL) != 0 ? UTRACE_EVENT_SIGNAL_ALL : edge.events;
}

// For a signal or without an event, report_quiesce stands in report_signal's place [QUI-03, QUI-07].
Turn TurnOf(const Edge& edge, Kind kind) {
  const bool first = edge.what == What::kQuiesce && kind != 0 && !IsSignal(kind);
  return first ? Turn::kQuiesce : Turn::kOwn;
}

// Whether the engine surely has that turn in every pass that begins after `line`.
bool Due(const EngineState& engine, Turn turn, Kind kind, uint64_t line) {
  if (!engine.known || engine.over || engine.leaving.line != 0) return false;
  const auto stands = [&](uint64_t events) {
    for (int bit = 0; bit < UTRACE_EVENT_BITS; ++bit) {
      if ((events >> bit & 1) == 0) continue;
      if (engine.since[bit] == 0 || engine.since[bit] >= line) return false;
    }
    return true;
  };
  if (turn == Turn::kQuiesce || kind == 0) return stands(UTRACE_EVENT(QUIESCE));
  return stands(kind) || (IsSignal(kind) && stands(UTRACE_EVENT(QUIESCE)));
}

// Whether `a` surely has its turn before `b` in a pass of that kind [REP-01, REP-02].
bool Precedes(const EngineState& a, const EngineState& b, Kind kind) {
  if (!a.known || !b.known) return false;
  return IsEntry(kind) ? b.attached.line < a.attaching.line : a.attached.line < b.attaching.line;
}

std::string Name(const Edge& edge) {
  return std::string(WhatName(edge.what)) + " of engine " + std::to_string(edge.engine);
}

// How much a result constrains the task [REP-04, BAD-03].
uint32_t Constraint(const Edge& back) {
  const auto action = static_cast<uint32_t>(back.result) & UTRACE_RESUME_MASK;
  return std::min<uint32_t>(action, UTRACE_RESUME);
}

const char* LostClauses(Kind kind) {
  switch (kind) {
    case UTRACE_EVENT(CLONE):
      return "CLN-01";
    case UTRACE_EVENT(EXEC):
      return "EXE-01";
    case UTRACE_EVENT(EXIT):
      return "EXI-01";
    case UTRACE_EVENT(JCTL):
      return "JCT-01";
    case UTRACE_EVENT_SIGNAL_ALL:
      return "SIG-04, SIG-19";
    default:
      return "SYS-11";
  }
}

}  // namespace

void Judge::BeginTurn(const Edge& edge, EngineState* engine) {
  TaskState& task = tasks_[edge.task];
  if (edge.what == What::kReap) return;
  const Kind kind = KindOf(edge);
  const Turn turn = TurnOf(edge, kind);
  if (task.run.number == 0 || task.run.kind != kind) {
    EndRun(&task, kind, edge);
    task.run = Run();
    task.run.number = ++runs_;
    task.run.kind = kind;
    task.run.before = task.last_return;
    task.run.first_line = edge.line;
  }
  Run& run = task.run;
  if (engine->run != run.number) {
    engine->run = run.number;
    engine->turns = {};
  }
  const bool first_entry =
      edge.what == What::kSyscallEntry && (edge.action & UTRACE_SYSCALL_RESUMED) == 0;
  if (first_entry) {
    if (task.first_entry.line == 0) task.first_entry = edge;
    CheckStops(edge, &task, *engine);
  }
  engine->stop = Edge();  // the result decides
  const bool joined = Joined(edge, turn, run, *engine);
  if (!run.window.empty()) CheckLateAttach(edge, run.window.back(), kind, joined, *engine);
  CheckOrder(edge, run.last[static_cast<int>(turn)], kind, *engine);

  // What surely belongs to an earlier pass: turns up to the engine's own last one.
  EngineState::Turns& mine = engine->turns[static_cast<int>(turn)];
  for (const EngineState::Turns& each : engine->turns) {
    const bool reaches = &each == &mine || turn == Turn::kQuiesce;
    if (!reaches || each.count == 0 || each.place < run.window_place) continue;
    const size_t gone = std::min(run.window.size(), each.place + 1 - run.window_place);
    run.window.erase(run.window.begin(), run.window.begin() + static_cast<ptrdiff_t>(gone));
    run.window_place += gone;
  }
  if (!run.cut) {
    CheckResume(edge, task, joined);
    CheckLeft(edge, run, joined);
  }
  PassTurn now;
  now.engine = edge.engine;
  now.turn = turn;
  now.begin = edge;
  now.joined = joined;
  now.after = std::max(run.before.line, mine.back);
  if (run.window.size() == kMaxWindow) {
    run.cut = true;
    run.window_place += run.window.size();
    run.window.clear();
  }
  run.window.push_back(now);
  run.last[static_cast<int>(turn)] = now;
  ++mine.count;
  mine.last = edge;
  mine.back = 0;
  mine.place = run.turns++;
  if (turn == Turn::kOwn && mine.count > run.most) {
    run.most = mine.count;
    run.most_edge = edge;
  }
}

void Judge::EndTurn(const Open& open, const Edge& edge) {
  TaskState& task = tasks_[open.edge.task];
  task.last_return = edge;
  EngineState& engine = engines_[open.edge.engine];
  if (engine.run != task.run.number || open.edge.what == What::kReap) return;
  const Turn turn = TurnOf(open.edge, KindOf(open.edge));
  engine.turns[static_cast<int>(turn)].back = edge.line;
  for (auto it = task.run.window.rbegin(); it != task.run.window.rend(); ++it) {
    if (it->begin.line != open.edge.line) continue;
    it->back = edge;
    break;
  }
}

// A pass that does not begin with `edge` surely contains the turn before it: a new one would have given
// that turn's engine its own first.
bool Judge::Joined(const Edge& edge, Turn turn, const Run& run, const EngineState& engine) const {
  if (run.window.empty()) return false;
  const PassTurn& last = run.window.back();
  if (last.engine == edge.engine) return last.turn == Turn::kQuiesce && turn == Turn::kOwn;
  const auto before = engines_.find(last.engine);
  return before != engines_.end() && Precedes(before->second, engine, run.kind) &&
         Due(before->second, turn, run.kind, last.begin.line);
}

// `last` is the turn of the same sort before this one.
void Judge::CheckOrder(const Edge& edge, const PassTurn& last, Kind kind,
                       const EngineState& engine) {
  if (last.engine == 0 || last.engine == edge.engine) return;
  const auto other = engines_.find(last.engine);
  if (other == engines_.end() || !Precedes(engine, other->second, kind)) return;
  const Turn turn = TurnOf(edge, kind);
  const EngineState::Turns& mine = engine.turns[static_cast<int>(turn)];
  // It was due in the other's pass before the other, and had no turn in it.
  if (!Due(engine, turn, kind, last.after)) return;
  if (mine.count > 0 && mine.last.line > last.after) return;
  const bool entry = IsEntry(kind);
  Convict(entry ? "REP-02" : "REP-01",
          Name(edge) + " comes after that of engine " + std::to_string(last.engine) +
              ", which was attached " + (entry ? "earlier" : "later"),
          {engine.attaching, engine.attached, other->second.attaching, other->second.attached,
           engine.events, last.begin, edge});
}

// An engine that attached during a pass has no turn in it [ATT-14]. `last` is the turn before.
void Judge::CheckLateAttach(const Edge& edge, const PassTurn& last, Kind kind, bool joined,
                            const EngineState& engine) {
  if (!engine.known || last.engine == edge.engine) return;
  if (last.begin.line >= engine.attaching.line) return;
  bool same = joined;
  if (IsEntry(kind) && edge.what == What::kSyscallEntry) {
    // A new engine is first in the next entry's pass; but that comes after the call's exit.
    const auto before = engines_.find(last.engine);
    same = (edge.action & UTRACE_SYSCALL_RESUMED) == 0 && last.begin.numbered && edge.numbered &&
           before != engines_.end() && Due(before->second, Turn::kOwn, kind, last.begin.line) &&
           Due(before->second, Turn::kOwn, UTRACE_EVENT(SYSCALL_EXIT), last.begin.line) &&
           !before->second.execed && !MayExec(last.begin);
  }
  if (!same) return;
  Convict("ATT-14, REP-10", Name(edge) + " is made in a pass that began before the engine attached",
          {last.begin, engine.attaching, engine.attached, edge});
}

// The resume action passed is the most constrained so far in the pass [REP-04]: of all results, or of
// each engine's last one.
void Judge::CheckResume(const Edge& edge, const TaskState& task, bool joined) {
  const std::vector<PassTurn>& window = task.run.window;
  if (!edge.acts || task.run.kind == UTRACE_EVENT(DEATH)) return;
  const uint32_t passed = edge.action & UTRACE_RESUME_MASK;
  if (window.empty() || !joined) {
    if (passed == UTRACE_RESUME) return;
  }
  uint32_t all = UTRACE_RESUME;
  uint32_t latest = UTRACE_RESUME;
  std::vector<Edge> witness = {edge};
  for (size_t i = window.size(); i-- > 0;) {
    const PassTurn& each = window[i];
    if (each.back.line == 0) return;  // an overlap: another rule's affair
    // Calls of controllers may count.
    if (task.controlling > 0 || task.controlled > each.begin.line) return;
    const uint32_t constraint = Constraint(each.back);
    const bool superseded =
        std::any_of(window.begin() + static_cast<ptrdiff_t>(i) + 1, window.end(),
                    [&](const PassTurn& later) { return later.engine == each.engine; });
    if (constraint < all) witness = {each.begin, each.back, edge};
    all = std::min(all, constraint);
    if (!superseded) latest = std::min(latest, constraint);
    const bool may_be_first = !each.joined || i == 0;
    if (may_be_first && (passed == all || passed == latest)) return;
  }
  Convict("REP-04", Name(edge) + " is passed a resume action that the results so far do not make",
          witness);
}

// The system call or signal action passed is what the engine before left [SYS-04, SIG-03].
void Judge::CheckLeft(const Edge& edge, const Run& run, bool joined) {
  if (!edge.acts) return;
  const bool entry = edge.what == What::kSyscallEntry;
  if (!entry && edge.what != What::kSignal) return;
  const uint32_t mask = entry ? UTRACE_SYSCALL_MASK : UTRACE_SIGNAL_MASK;
  uint32_t most = UTRACE_SIGNAL_HANDLER;
  if (entry) most = UTRACE_SYSCALL_ABORT;
  const uint32_t passed = edge.action & mask;
  bool surely = joined;
  for (size_t i = run.window.size(); i-- > 0;) {
    const PassTurn& each = run.window[i];
    if (each.back.line == 0) return;
    if (each.begin.what == edge.what) {
      const uint32_t left = static_cast<uint32_t>(each.back.result) & mask;
      if (passed == left || left > most) return;
      // It may be the first of its pass.
      if (!surely && (!entry || passed == UTRACE_SYSCALL_RUN)) return;
      Convict(entry ? "SYS-04" : "SIG-03",
              Name(edge) + " is not passed the " + (entry ? "system call" : "signal") +
                  " action that the engine before it left",
              {each.begin, each.back, edge});
      return;
    }
    surely = surely && each.joined;
  }
  if (entry && passed != UTRACE_SYSCALL_RUN) {
    Convict("SYS-04, SYS-12", Name(edge) + " is the first of its pass, and is not passed RUN",
            {edge});
  }
}

// A new system call shows that the task ran: it must not while an engine holds it.
void Judge::CheckStops(const Edge& edge, TaskState* task, const EngineState& engine) {
  // The pass of this entry began after that line.
  const uint64_t after =
      std::max(task->run.first_line, engine.turns[static_cast<int>(Turn::kOwn)].last.line);
  std::erase_if(task->stoppers, [&](uint32_t number) {
    const auto found = engines_.find(number);
    if (found == engines_.end() || found->second.stop.line == 0) return true;
    EngineState& holder = found->second;
    const bool own_entry = number == edge.engine && holder.stop_begin.what == What::kSyscallEntry;
    if (holder.stop.line >= after && !own_entry) return false;
    Convict(holder.stop_clauses,
            Name(edge) + " tells of a new system call while engine " + std::to_string(number) +
                " holds the task stopped",
            {holder.stop_begin, holder.stop, edge});
    holder.stop = Edge();  // said once
    return true;
  });
}

// Nobody is left out of a pass: what one engine with an event got, each with that event did.
void Judge::EndRun(TaskState* task, Kind next, const Edge& edge) {
  const Run& run = task->run;
  if (run.number == 0 || run.kind == 0 || run.most == 0 || run.before.line == 0) return;
  // A task that is killed may leave a pass unfinished.
  if (run.kind == UTRACE_EVENT(DEATH) || next == UTRACE_EVENT(DEATH) ||
      next == UTRACE_EVENT(EXIT)) {
    return;
  }
  for (const uint32_t number : task->engines) {
    const auto found = engines_.find(number);
    if (found == engines_.end()) continue;
    const EngineState& engine = found->second;
    const auto had = [&](Turn turn) {
      return engine.run == run.number ? engine.turns[static_cast<int>(turn)].count : 0;
    };
    const auto lost = [&](const char* clauses, const std::string& what) {
      Convict(clauses,
              "engine " + std::to_string(number) + " does not get " + what + " that engine " +
                  std::to_string(run.most_edge.engine) + "'s " + WhatName(run.most_edge.what) +
                  " tells of",
              {engine.attached, engine.events, run.before, run.most_edge, edge});
    };
    if (Due(engine, Turn::kOwn, run.kind, run.before.line) && had(Turn::kOwn) < run.most) {
      lost(LostClauses(run.kind), "the event");
    }
    if (!IsSignal(run.kind) && Due(engine, Turn::kQuiesce, run.kind, run.before.line) &&
        had(Turn::kQuiesce) < run.most) {
      lost("QUI-01", "report_quiesce for the event");
    }
  }
}

// A newborn has not run yet [CLN-01].
void Judge::BeginBirth(const Edge& edge) {
  if (edge.child == 0) return;
  TaskState& child = tasks_[edge.child];
  if (child.first_entry.line != 0) {
    Convict("CLN-01", Name(edge) + " tells of a child that has made a system call",
            {child.first_entry, edge});
  }
  child.bearing.insert(edge.id);
}

void Judge::EndBirth(const Edge& clone) {
  const auto child = tasks_.find(clone.child);
  if (clone.child == 0 || child == tasks_.end()) return;
  child->second.bearing.erase(clone.id);
  const TaskState& state = child->second;
  if (state.engines.empty() && state.running.empty() && state.bearing.empty()) tasks_.erase(child);
}

}  // namespace utrace::history
