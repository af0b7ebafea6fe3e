// One attachment, as the core keeps it.
#ifndef CORE_ENGINE_OBJECT_H_
#define CORE_ENGINE_OBJECT_H_

#include <cstdint>
#include <memory>

#include "core/calls_wanted.h"
#include "core/changes.h"
#include "core/owner.h"
#include "core/sync.h"
#include "core/utrace.h"

namespace utrace {

class Task;

// Referenced by callers, by the task's engine list while attached, and by a report that calls it.
// The release callback is made when the last reference goes [REF-03].
struct EngineObject : utrace_engine {
  EngineObject(Task* engine_task, const utrace_engine_ops* engine_ops, void* engine_data);
  EngineObject(const EngineObject&) = delete;
  EngineObject& operator=(const EngineObject&) = delete;

  void Ref() { references.fetch_add(1, std::memory_order_relaxed); }
  // Must not be called with the task's lock held: release is the engine's code.
  void Unref();
  // It is in its task's list, it has left it. The owner is told of the latter: without the lock.
  void Joined();
  void Left();

  enum class State : uint8_t {
    kAttached,
    kDetaching,  // marked while a callback runs; leaves when that ends
    kDetached,
  };

  Task* const task;                    // referenced
  void (*const release)(void*);        // as it was at attach time [REF-04]
  const std::shared_ptr<Owner> owner;  // null: of nobody in particular
  Atomic<uint32_t> references{1};
  bool was_attached = false;  // written before the engine is published

  // ---- Guarded by the task's lock. ----
  State state = State::kAttached;
  // What the task shall do next as far as this engine is concerned: STOP (sticky), SINGLESTEP,
  // BLOCKSTEP (for one resumption) or RESUME. REPORT and INTERRUPT live in the task.
  uint8_t wish = UTRACE_RESUME;
  bool in_callback = false;
  // Counts callbacks, so that a barrier waits for the one that runs now and for no later one.
  uint32_t callbacks = 0;
  // The STOP was returned by a callback, or asked of a stopped task: it holds the task or is about
  // to, without a further report [EXM-08, EXM-09].
  bool stop_committed = false;
  // A STOP came by control while a callback ran: newer than that callback's result.
  bool stop_during_callback = false;
  // set_events said -EINPROGRESS about the callback that runs now [EVT-12].
  bool cleared_during_callback = false;
  CallsWanted calls_wanted;
  ChangeCounts counts;
  uint64_t overruled_in = 0;  // the last pass in which it was

  // ---- Touched by the thread that makes a callback, during it. ----
  Changes changed = 0;  // by this callback

 private:
  ~EngineObject();
};

inline EngineObject* FromPublic(utrace_engine* engine) {
  return static_cast<EngineObject*>(engine);
}

}  // namespace utrace

#endif  // CORE_ENGINE_OBJECT_H_
