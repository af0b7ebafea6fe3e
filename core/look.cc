#include "core/look.h"

#include "core/task.h"

namespace utrace {

void Task::Look(TracedTask& seen) {
  seen.interest = Events(Interest());
  MutexLock lock(mutex_);
  seen.held = held_;
  seen.dead = life_ != Life::kAlive;
  for (const auto* list : {&engines_, &arriving_}) {
    for (EngineObject* engine : *list) {
      if (engine->state != EngineObject::State::kAttached) continue;
      engine->Ref();
      seen.engines.push_back({.engine = EngineRef::Adopt(engine),
                              .owner = engine->owner,
                              .events = Events(engine->flags),
                              .stops = engine->wish == UTRACE_STOP,
                              .in_callback = engine->in_callback,
                              .changes = engine->counts});
    }
  }
}

TracedTask LookAt(TaskView task) {
  TracedTask seen;
  seen.task = TaskRef::Share(task);
  FromPublic(task.get())->Look(seen);
  return seen;
}

}  // namespace utrace
