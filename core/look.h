// Looking at what is attached to a task, for those who list it or clean it up. In C++, and for whoever
// links the core: it is no part of the contract.
#ifndef CORE_LOOK_H_
#define CORE_LOOK_H_

#include <memory>
#include <vector>

#include "core/changes.h"
#include "core/events.h"
#include "core/handles.h"
#include "core/owner.h"

namespace utrace {

// One attachment, as somebody who lists them sees it.
struct AttachedEngine {
  EngineRef engine;
  std::shared_ptr<Owner> owner;  // null: made outside any scope
  Events events;
  bool stops = false;  // it asks for the task to be stopped
  bool in_callback = false;
  ChangeCounts changes;
};

struct TracedTask {
  TaskRef task;
  Events interest;
  bool held = false;                    // stopped by engines
  bool dead = false;                    // and not reaped
  std::vector<AttachedEngine> engines;  // in order of attachment
};

// What is attached to a task now. Any thread; borrows `task`.
TracedTask LookAt(TaskView task);

}  // namespace utrace

#endif  // CORE_LOOK_H_
