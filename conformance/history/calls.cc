// The rules about calls, and what they tell of an engine's mask, wishes and end.
#include <errno.h>

#include <algorithm>

#include "conformance/history/judge.h"
#include "core/utrace.h"

namespace utrace::history {
namespace {

bool OnItsOwnTask(const Edge& call) { return call.context != 0 && call.context == call.task; }

}  // namespace

void Judge::BeginCall(const Edge& edge, Open* open, EngineState* engine) {
  TaskState& task = tasks_[edge.task];
  switch (edge.what) {
    case What::kSetEvents:
      open->mask_before = engine->possible;
      if (engine->setting++ > 0) {
        for (auto& [id, other] : open_) {
          if (other.edge.what == What::kSetEvents && other.edge.engine == edge.engine) {
            other.sole = false;
          }
        }
      }
      ++engine->settings;
      engine->possible |= edge.events;
      Determine(engine, engine->certain & edge.events, edge.line);
      break;
    case What::kControl:
      ++task.controlling;
      task.controlled = edge.line;
      open->of_newborn = !task.bearing.empty();
      if (edge.action != UTRACE_STOP) engine->stop = Edge();
      if (edge.action == UTRACE_DETACH) {
        ++engine->detaching;
        Leave(engine, edge.line);
      }
      break;
    case What::kBarrier:
      open->settings = engine->settings;
      open->setting = engine->setting > 0;
      open->leaving = engine->leaving;
      break;
    case What::kPut:
      if (engine->references > 0) --engine->references;
      break;
    default:
      break;
  }
}

bool Judge::ReturnCall(const Open& open, const Edge& edge) {
  switch (open.edge.what) {
    case What::kAttach:
      return ReturnAttach(open, edge);
    case What::kLookup:
      return ReturnLookup(open, edge);
    case What::kGet: {
      EngineState& engine = engines_[open.edge.engine];
      ++engine.references;
      engine.referenced = edge;
      return true;
    }
    case What::kSetEvents:
      ReturnSetEvents(open, edge);
      return true;
    case What::kControl:
      ReturnControl(open, edge);
      return true;
    case What::kBarrier:
      ReturnBarrier(open, edge);
      return true;
    default:
      return true;
  }
}

bool Judge::ReturnAttach(const Open& open, const Edge& edge) {
  if (edge.result != 0) return true;
  if (edge.engine == 0) return Fail(edge, "an attach that succeeded names no engine");
  EngineState& engine = engines_[edge.engine];
  if (engine.known) return Fail(edge, "the engine's number is in use");
  engine.known = true;
  engine.task = open.edge.task;
  engine.attaching = open.edge;
  engine.attached = edge;
  ++engine.references;
  engine.referenced = edge;
  ++attached_;
  tasks_[engine.task].engines.push_back(edge.engine);
  return true;
}

bool Judge::ReturnLookup(const Open& open, const Edge& edge) {
  if (edge.result != 0) return true;
  if (edge.engine == 0) return Fail(edge, "a lookup that succeeded names no engine");
  EngineState& engine = engines_[edge.engine];
  if (engine.known && engine.detached.line != 0 && !engine.by_result &&
      engine.detached.line < open.edge.line) {
    Convict("ATT-12", "a lookup finds a detached engine", {engine.detached, open.edge, edge});
  }
  ++engine.references;
  engine.referenced = edge;
  return true;
}

void Judge::Determine(EngineState* engine, uint64_t certain, uint64_t line) {
  engine->certain = certain;
  for (int bit = 0; bit < UTRACE_EVENT_BITS; ++bit) {
    uint64_t& since = engine->since[bit];
    if ((certain >> bit & 1) == 0) {
      since = 0;
    } else if (since == 0) {
      since = line;
    }
  }
}

// Nothing is due to it any more.
void Judge::Leave(EngineState* engine, uint64_t line) {
  Determine(engine, 0, line);
  engine->stop = Edge();
}

void Judge::ReturnSetEvents(const Open& open, const Edge& edge) {
  EngineState& engine = engines_[open.edge.engine];
  const bool alone = open.sole && engine.setting == 1;
  if (engine.setting > 0) --engine.setting;
  if (!engine.known) return;
  const uint64_t mask = open.edge.events;
  if (open.detached.line != 0 && edge.result != -ESRCH && edge.result != -EINVAL) {
    Convict("EVT-02", "set_events on a detached engine does not return -ESRCH",
            {open.detached, open.edge, edge});
  }
  // A DETACH that is still open may have been done just after this.
  const bool leaving =
      engine.detaching > 0 || engine.leaving.line != 0 || engine.detached.line != 0;
  if (edge.result == -EINPROGRESS) {
    if (OnItsOwnTask(open.edge)) {
      Convict("EVT-09", "set_events on the current task returns -EINPROGRESS", {open.edge, edge});
    }
    if (alone && (open.mask_before & ~mask) == 0) {
      Convict("EVT-08", "set_events that only adds events returns -EINPROGRESS",
              {engine.events, open.edge, edge});
    }
    // An old callback may still be about to be recorded: nothing is ruled out yet.
    engine.unsettled = true;
    engine.unsettled_mask = alone ? mask : engine.possible;
    engine.unsettled_by = open.edge;
    if (engine.events.line == 0) engine.events = open.edge;
    if (!leaving) Determine(&engine, alone ? mask : engine.certain & mask, edge.line);
    return;
  }
  // On an error nothing changed, but what was certain became doubtful when the call began; it stays so.
  if (edge.result != 0) return;
  if (engine.events.line == 0) engine.events = open.edge;
  if (!alone) {
    engine.unsettled_mask = engine.possible;
    return;
  }
  if (!engine.unsettled || engine.unsettled_mask == mask) {
    engine.possible = mask;
    engine.events = open.edge;
    engine.settled = Edge();
    engine.unsettled = false;
  } else {
    // This is what a barrier puts in force.
    engine.unsettled_mask = mask;
    engine.unsettled_by = open.edge;
  }
  if (!leaving) Determine(&engine, mask, edge.line);
}

bool Judge::IsBeingControlled(uint32_t engine) const {
  return std::any_of(open_.begin(), open_.end(), [engine](const auto& entry) {
    const Edge& call = entry.second.edge;
    return call.what == What::kControl && call.engine == engine;
  });
}

void Judge::Stop(const Edge& begin, const Edge& since, EngineState* engine, const char* clauses) {
  const uint32_t number = begin.engine;
  std::vector<uint32_t>& stoppers = tasks_[engine->task].stoppers;
  if (std::find(stoppers.begin(), stoppers.end(), number) == stoppers.end()) {
    stoppers.push_back(number);
  }
  engine->stop_begin = begin;
  engine->stop = since;
  engine->stop_clauses = clauses;
}

void Judge::ReturnControl(const Open& open, const Edge& edge) {
  TaskState& task = tasks_[open.edge.task];
  if (task.controlling > 0) --task.controlling;
  task.controlled = edge.line;
  EngineState& engine = engines_[open.edge.engine];
  const bool detach = open.edge.action == UTRACE_DETACH;
  if (detach && engine.detaching > 0) --engine.detaching;
  if (!engine.known) return;
  if (open.detached.line != 0 && edge.result != -ESRCH && open.edge.action <= UTRACE_DETACH) {
    Convict(detach ? "CTL-03, CTL-17" : "CTL-03",
            "control on a detached engine does not return -ESRCH",
            {open.detached, open.edge, edge});
  }
  if (detach && edge.result == 0 && engine.detached.line == 0) {
    engine.detached = edge;
    End(open.edge.engine);
  }
  if (detach && edge.result == -EINPROGRESS) engine.leaving = edge;
  // Another call may have taken the STOP back before this one returned.
  const bool stands = task.controlling == 0 && open.sole && engine.leaving.line == 0;
  if (open.edge.action != UTRACE_STOP || !stands || engine.detached.line != 0) return;
  if (open.of_newborn && !task.bearing.empty() &&
      (edge.result == 0 || edge.result == -EINPROGRESS)) {
    Stop(open.edge, edge, &engine, "CLN-02");
  } else if (edge.result == 0) {
    Stop(open.edge, edge, &engine, "CTL-20, CTL-05");
  }
}

void Judge::ReturnBarrier(const Open& open, const Edge& edge) {
  EngineState& engine = engines_[open.edge.engine];
  if (edge.result != 0 || OnItsOwnTask(open.edge)) return;  // BAR-01
  for (const auto& [id, callback] : engine.running) {
    if (callback.line > open.edge.line) continue;
    Convict("BAR-03, BAR-10", "barrier returns zero while a callback that it had to wait for runs",
            {callback, open.edge, edge});
  }
  if (!engine.known) return;
  // What was set before it is in force [BAR-08].
  if (engine.unsettled && !open.setting && open.settings == engine.settings) {
    engine.unsettled = false;
    engine.possible = engine.unsettled_mask;
    engine.events = engine.unsettled_by;
    engine.settled = edge;
  }
  if (open.leaving.line != 0 && engine.detached.line == 0) {
    engine.detached = edge;
    engine.by_barrier = true;
    End(open.edge.engine);
  }
}

}  // namespace utrace::history
