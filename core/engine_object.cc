#include "core/engine_object.h"

#include "core/task.h"

namespace utrace {

EngineObject::EngineObject(Task* engine_task, const utrace_engine_ops* engine_ops,
                           void* engine_data)
    : utrace_engine{engine_ops, engine_data, 0},
      task(engine_task),
      release(engine_ops->release),
      owner(OwnerScope::Current() != nullptr ? OwnerScope::Current()->shared_from_this()
                                             : nullptr) {
  task->Ref();
}

EngineObject::~EngineObject() { task->Unref(); }

void EngineObject::Joined() {
  was_attached = true;
  if (owner != nullptr) owner->Add();
}

void EngineObject::Left() {
  if (owner != nullptr) owner->Remove();
}

void EngineObject::Unref() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  // A failed attach calls no release [REF-07].
  if (was_attached && release != nullptr) release(data);
  delete this;
}

}  // namespace utrace
