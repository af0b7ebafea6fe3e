#include "conformance/history/judge.h"

#include <errno.h>

#include <algorithm>

#include "core/utrace.h"

namespace utrace::history {
namespace {

constexpr size_t kMaxOpen = 4096;
constexpr size_t kMaxNamed = 1000000;  // engines, and tasks
constexpr size_t kMaxBreaches = 100;
constexpr uint64_t kPair = UTRACE_EVENT_SYSCALL;

// The events any of which allows the callback.
uint64_t Needs(What what) {
  return what == What::kSignal ? EventsOf(what) | UTRACE_EVENT(QUIESCE) : EventsOf(what);
}

std::string Name(const Edge& edge) {
  return std::string(WhatName(edge.what)) + " of engine " + std::to_string(edge.engine);
}

}  // namespace

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
  std::sort(witness.begin(), witness.end(),
            [](const Edge& a, const Edge& b) { return a.line < b.line; });
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
    if (open_.count(edge.id) != 0) return Fail(edge, "an operation with this number is open");
    Open& open = open_[edge.id];
    open.edge = edge;
    tasks_[edge.task];
    if (edge.what == What::kAttach || edge.what == What::kLookup) return true;
    Engine& engine = engines_[edge.engine];
    // A result of DETACH is recorded before it is applied: calls may still find the engine attached.
    if (!engine.by_result) open.detached = engine.detached;
    open.mask_before = engine.possible;
    if (IsCallback(edge.what)) {
      BeginCallback(edge);
    } else if (edge.what == What::kSetEvents) {
      if (engine.setting++ > 0) {
        for (auto& [id, other] : open_) {
          if (other.edge.what == What::kSetEvents && other.edge.engine == edge.engine) {
            other.sole = false;
          }
        }
      }
      engine.possible |= edge.events;
      Determine(&engine, engine.certain & edge.events, edge.line);
    }
    return true;
  }
  const auto found = open_.find(edge.id);
  if (found == open_.end()) return Fail(edge, "returns from an operation that did not begin");
  const Open open = std::move(found->second);
  open_.erase(found);
  switch (open.edge.what) {
    case What::kAttach:
      if (edge.result != 0) return true;
      if (edge.engine == 0) return Fail(edge, "an attach that succeeded names no engine");
      if (engines_[edge.engine].known) return Fail(edge, "the engine's number is in use");
      engines_[edge.engine].known = true;
      return true;
    case What::kSetEvents:
      ReturnSetEvents(open, edge);
      return true;
    case What::kControl:
      ReturnControl(open, edge);
      return true;
    case What::kBarrier:
      ReturnBarrier(open, edge);
      return true;
    case What::kLookup:
      if (edge.result == 0 && edge.engine == 0) {
        return Fail(edge, "a lookup that succeeded names no engine");
      }
      return true;
    case What::kGet:
    case What::kPut:
    case What::kPrepare:
    case What::kFinish:
      return true;
    default:
      ReturnCallback(open, edge);
      return true;
  }
}

// ---- Callbacks ---------------------------------------------------------------------------------

void Judge::BeginCallback(const Edge& edge) {
  ++callbacks_;
  Engine& engine = engines_[edge.engine];
  if (edge.what == What::kRelease) {
    if (!engine.known) return;
    if (engine.release.line != 0) {
      Convict("REF-03", "release of engine " + std::to_string(edge.engine) + " is called twice",
              {engine.release, edge});
    }
    if (!engine.running.empty()) {
      Convict("REF-05", "release is called while a callback of the engine is running",
              {engine.running.begin()->second, edge});
    }
    engine.release = edge;
    return;
  }
  // What overlaps in the record did overlap: callbacks are recorded from inside.
  Task& task = tasks_[edge.task];
  if (!task.running.empty()) {
    Convict("REP-03", Name(edge) + " begins while another callback for the task is running",
            {task.running.begin()->second, edge});
  }
  task.running[edge.id] = edge;
  engine.running[edge.id] = edge;
  if (!engine.known) return;
  CheckAlive(edge, engine);
  CheckMask(edge, engine);
  CheckSequence(edge, &engine);
}

void Judge::CheckAlive(const Edge& edge, const Engine& engine) {
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
    } else {
      Convict("CTL-10, CTL-12, CTL-15, REA-07",
              Name(edge) + " begins after a DETACH that returned zero", {engine.detached, edge});
    }
  }
  const bool ends = edge.what == What::kReap;
  if (engine.death.line != 0 && !ends) {
    Convict("DTH-01", Name(edge) + " begins after the engine's report_death", {engine.death, edge});
  }
}

void Judge::CheckMask(const Edge& edge, const Engine& engine) {
  if ((engine.possible & Needs(edge.what)) != 0) return;
  if (engine.events.line == 0) {
    Convict("ATT-02", Name(edge) + " begins though no event was ever set", {edge});
    return;
  }
  Convict(edge.what == What::kQuiesce ? "QUI-06, EVT-11" : "EVT-11, EVT-16",
          Name(edge) + " begins though no event that allows it is set", {engine.events, edge});
}

void Judge::CheckSequence(const Edge& edge, Engine* engine) {
  if (edge.what == What::kSignal) {
    if (edge.dequeued && edge.signal == 9) {
      Convict("SIG-14", "SIGKILL is reported by report_signal", {edge});
    }
  }
  const bool specific =
      edge.what != What::kQuiesce && edge.what != What::kSignal && edge.what != What::kReap;
  if (specific) {
    // A mask that changes between an engine's turns in one report excuses the missing quiesce; one
    // that has stood since an earlier specific callback was made does not.
    const bool stood = engine->quiesce_since != 0 && engine->last_specific.line != 0 &&
                       engine->quiesce_since < engine->last_specific.line;
    const bool came = engine->quiesce_is_last && engine->last_quiesce_event == Needs(edge.what);
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
  if (edge.what == What::kSyscallEntry) ++engine->entries_since_exit;
  if (edge.what == What::kSyscallExit) {
    const bool stood = engine->pair_since != 0 && engine->last_exit.line != 0 &&
                       engine->pair_since < engine->last_exit.line;
    if (stood && engine->entries_since_exit == 0) {
      Convict("SYS-10", "two system call exits are reported without an entry between",
              {engine->events, engine->last_exit, edge});
    }
    engine->last_exit = edge;
    engine->entries_since_exit = 0;
  }
  if (edge.what == What::kDeath) engine->death = edge;
  if (edge.what == What::kReap) engine->reap = edge;
}

void Judge::ReturnCallback(const Open& open, const Edge& edge) {
  if (open.edge.what == What::kRelease) return;
  tasks_[open.edge.task].running.erase(edge.id);
  Engine& engine = engines_[open.edge.engine];
  engine.running.erase(edge.id);
  const auto resume = static_cast<uint64_t>(edge.result) & UTRACE_RESUME_MASK;
  if (open.edge.what != What::kReap && resume == UTRACE_DETACH && engine.detached.line == 0) {
    engine.detached = edge;
    engine.by_result = true;
  }
}

// ---- Calls -------------------------------------------------------------------------------------

void Judge::Determine(Engine* engine, uint64_t certain, uint64_t line) {
  engine->certain = certain;
  if ((certain & UTRACE_EVENT(QUIESCE)) == 0) {
    engine->quiesce_since = 0;
  } else if (engine->quiesce_since == 0) {
    engine->quiesce_since = line;
  }
  if ((certain & kPair) != kPair) {
    engine->pair_since = 0;
  } else if (engine->pair_since == 0) {
    engine->pair_since = line;
  }
}

void Judge::ReturnSetEvents(const Open& open, const Edge& edge) {
  Engine& engine = engines_[open.edge.engine];
  const bool alone = open.sole && engine.setting == 1;
  --engine.setting;
  if (!engine.known) return;
  const uint64_t mask = open.edge.events;
  if (open.detached.line != 0 && edge.result != -ESRCH && edge.result != -EINVAL) {
    Convict("EVT-02", "set_events on a detached engine does not return -ESRCH",
            {open.detached, edge});
  }
  if (edge.result == -EINPROGRESS) {
    if (open.edge.context != 0 && open.edge.context == open.edge.task) {
      Convict("EVT-09", "set_events on the current task returns -EINPROGRESS", {open.edge, edge});
    }
    if (alone && (open.mask_before & ~mask) == 0) {
      Convict("EVT-08", "set_events that only adds events returns -EINPROGRESS",
              {engine.events, open.edge, edge});
    }
    // An old callback may still be about to be recorded: nothing is ruled out yet.
    engine.unsettled = true;
    engine.unsettled_mask = mask;
    if (engine.events.line == 0) engine.events = edge;
    Determine(&engine, alone ? mask : engine.certain & mask, edge.line);
    return;
  }
  if (edge.result != 0) {
    // Nothing changed, but what was certain became doubtful when the call began; it stays so.
    return;
  }
  if (engine.events.line == 0) engine.events = edge;
  if (!alone) return;
  if (!engine.unsettled || engine.unsettled_mask == mask) {
    engine.possible = mask;
    engine.events = edge;
    engine.unsettled = false;
  }
  Determine(&engine, mask, edge.line);
}

void Judge::ReturnControl(const Open& open, const Edge& edge) {
  Engine& engine = engines_[open.edge.engine];
  if (!engine.known) return;
  const bool detach = open.edge.action == UTRACE_DETACH;
  if (open.detached.line != 0 && edge.result != -ESRCH && open.edge.action <= UTRACE_DETACH) {
    Convict(detach ? "CTL-03, CTL-17" : "CTL-03",
            "control on a detached engine does not return -ESRCH", {open.detached, edge});
  }
  if (detach && edge.result == 0 && engine.detached.line == 0) engine.detached = edge;
}

void Judge::ReturnBarrier(const Open& open, const Edge& edge) {
  const Engine& engine = engines_[open.edge.engine];
  if (edge.result != 0) return;
  if (open.edge.context != 0 && open.edge.context == open.edge.task) return;  // BAR-01
  for (const auto& [id, callback] : engine.running) {
    if (callback.line > open.edge.line) continue;
    Convict("BAR-03, BAR-10", "barrier returns zero while a callback that it had to wait for runs",
            {callback, open.edge, edge});
  }
}

}  // namespace utrace::history
