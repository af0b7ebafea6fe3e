// Scenes that tests of attaching and of an engine's lifetime share.
#ifndef CONFORMANCE_CLAUSES_LIFETIME_SCENES_H_
#define CONFORMANCE_CLAUSES_LIFETIME_SCENES_H_

#include <string>

#include "conformance/kit/test.h"

// A clause test with a fixture of its own, derived from ClauseTest.
#define CLAUSE_TEST_OF(fixture, clause, name)                                             \
  class ClauseTest_##clause##_##name final : public fixture {                             \
   public:                                                                                \
    static ::utrace::kit::ClauseTest* Make() { return new ClauseTest_##clause##_##name; } \
                                                                                          \
   private:                                                                               \
    void Body() override;                                                                 \
  };                                                                                      \
  [[maybe_unused]] static const bool registered_##clause##_##name =                       \
      ::utrace::kit::RegisterClauseTest(#clause, #name, __FILE__, __LINE__,               \
                                        &ClauseTest_##clause##_##name::Make);             \
  void ClauseTest_##clause##_##name::Body()

namespace utrace::kit {

// A call that no puppet makes by itself.
inline constexpr long kMarker = SYS_getppid;

// Lets a puppet exit and waits until it is a zombie that its parent has not waited for.
inline void MakeZombie(Puppet& puppet) {
  puppet.BeginExitGroup();
  puppet.AwaitDeath();
  // A tracer may see the death before the parent does; the parent's zombie is what counts.
  if (!PollUntil([&] { return puppet.nanny().HasZombie(puppet.pid()); })) {
    StepFailed("the parent does not see that '" + puppet.name() + "' died");
  }
}

// The parent's wait for a puppet that exits or has exited.
inline void AwaitReaped(Puppet& puppet) {
  const WaitResult waited = puppet.nanny().Wait(puppet.pid());
  if (waited.result != puppet.pid()) {
    StepFailed("the parent's wait for '" + puppet.name() + "' gives " + ErrnoName(waited.result));
  }
}

// Ends a puppet for good: exit, and its parent's wait.
inline void ExitAndReap(Puppet& puppet) {
  puppet.BeginExitGroup();
  AwaitReaped(puppet);
}

// The engine that a lookup without any condition finds.
inline EngineRef LookUpAny(utrace_task* task) { return AttachTask(task, 0, nullptr, nullptr); }

// Detaches an engine of which the test has only a pointer with a reference.
inline void DetachRaw(utrace_task* task, utrace_engine* engine) {
  const int result = api().utrace_control(task, engine, UTRACE_DETACH);
  if (result == -EINPROGRESS) {
    api().utrace_barrier(task, engine);
  } else if (result != 0) {
    Failed("control DETACH gives " + ErrnoName(result));
  }
}

// Attaches and drops an engine, and waits for its release. A wrong release that was under way at the
// call's beginning has happened by the end.
inline void PassBy(utrace_task* task) {
  TestEngine engine("passing by");
  if (engine.Attach(task) != 0) Failed("attaching an engine that passes by");
  engine.DetachAndWait();
  engine.Put();
  engine.Await(What::kRelease);
}

}  // namespace utrace::kit

#endif  // CONFORMANCE_CLAUSES_LIFETIME_SCENES_H_
