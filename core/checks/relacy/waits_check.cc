// Task::WaitForChange and Notify in every interleaving, through the three calls that wait: no wake is
// lost (a thread that waits for ever is a deadlock, which the search reports), and what the call waited
// for is so when it returns.
//
// Built three times: with the core's source, where nothing may be found; with a wait that looks at the
// count of changes too late; and with a change that is not counted.
#include "core/checks/relacy/futex_host.h"
#include "core/checks/relacy/idle_host_task.h"
#include "core/checks/relacy/search.h"
#include "core/task.h"

namespace utrace {
namespace {

Host* the_host = nullptr;

// A task with one engine. Thread 0 is the task's, all others are controllers.
struct TracedTask {
  struct AdoptedTask final : checks::IdleHostTask {
    int Adopt(std::string*) override {
      core->MarkAdopted();
      return 0;
    }
    Task* core = nullptr;
  };

  void Make(void* data, uint32_t (*at_exit)(void* data)) {
    the_host = &host;
    ops.report_syscall_exit = &OnExit;
    callback = at_exit;
    callback_data = data;
    auto adopted = std::make_unique<AdoptedTask>();
    AdoptedTask* const raw = adopted.get();
    task = new Task(std::move(adopted));
    raw->core = task;
  }
  EngineObject* Attach() {
    int status = 0;
    std::string error;
    return task->Attach(UTRACE_ATTACH_CREATE, &ops, this, &status, &error);
  }
  void Drop(EngineObject* engine) {
    engine->Unref();
    task->OnDeath(true, 0);
    task->OnReap();
    task->Unref();
  }
  static uint32_t OnExit(uint32_t, utrace_engine* engine, utrace_task*, utrace_regs*) {
    auto* self = static_cast<TracedTask*>(engine->data);
    return self->callback(self->callback_data);
  }

  checks::FutexHost host;
  utrace_engine_ops ops{};
  uint32_t (*callback)(void*) = nullptr;
  void* callback_data = nullptr;
  Task* task = nullptr;
};

// [BAR-03]
template <int kThreads>
struct BarrierWaitsForCallback : rl::test_suite<BarrierWaitsForCallback<kThreads>, kThreads> {
  TracedTask traced;
  EngineObject* engine = nullptr;
  // When it began is not what is explored: an ordinary variable serves, since only one thread runs at
  // a time.
  bool began = false;
  rl::var<int> done;

  static uint32_t Callback(void* data) {
    auto* self = static_cast<BarrierWaitsForCallback*>(data);
    self->began = true;
    self->done(RL_INFO) = 1;
    return UTRACE_RESUME;
  }
  void before() {
    traced.Make(this, &Callback);
    engine = traced.Attach();
    traced.task->SetEvents(*engine, UTRACE_EVENT(SYSCALL_EXIT));
  }
  void thread(unsigned index) {
    if (index == 0) {
      traced.task->OnSyscallExit();
      return;
    }
    const bool has_begun = began;
    RL_ASSERT(traced.task->Barrier(*engine) == 0);
    // A race with the callback's write, if it did not wait.
    if (has_begun) RL_ASSERT(int(done(RL_INFO)) == 1);
  }
  void after() { traced.Drop(engine); }
};

// [EXM-08]
template <int kThreads>
struct ExamineWaitsForStop : rl::test_suite<ExamineWaitsForStop<kThreads>, kThreads> {
  TracedTask traced;
  EngineObject* engine = nullptr;
  rl::var<int> arrived;

  static uint32_t Callback(void*) { return UTRACE_STOP; }
  void before() {
    traced.Make(this, &Callback);
    engine = traced.Attach();
    traced.task->SetEvents(*engine, UTRACE_EVENT(SYSCALL_EXIT));
    traced.task->OnSyscallExit();
  }
  void thread(unsigned index) {
    if (index == 0) {
      arrived(RL_INFO) = 1;
      RL_ASSERT(traced.task->OnUserReturn().next == UserVerdict::Next::kHold);
      return;
    }
    utrace_examiner examiner{};
    RL_ASSERT(traced.task->PrepareExamine(*engine, examiner) == 0);
    RL_ASSERT(int(arrived(RL_INFO)) == 1);
  }
  void after() { traced.Drop(engine); }
};

// [ATT-16]
template <int kThreads>
struct AttachWaitsForBirth : rl::test_suite<AttachWaitsForBirth<kThreads>, kThreads> {
  TracedTask traced;
  EngineObject* first = nullptr;
  EngineObject* engines[kThreads] = {};
  rl::var<int> announced;

  void before() {
    traced.Make(this, nullptr);
    first = traced.Attach();
    // Whatever is not the caller's current task serves as its parent.
    traced.task->MarkNewborn(traced.task);
  }
  void thread(unsigned index) {
    if (index == 0) {
      announced(RL_INFO) = 1;
      traced.task->EndNewborn();
      return;
    }
    engines[index] = traced.Attach();
    RL_ASSERT(engines[index] != nullptr);
    RL_ASSERT(int(announced(RL_INFO)) == 1);
  }
  void after() {
    for (int i = 1; i < kThreads; ++i) engines[i]->Unref();
    traced.Drop(first);
  }
};

}  // namespace

Host& TheHost() { return *the_host; }

}  // namespace utrace

int main() {
  using namespace utrace;
  return checks::Judge({checks::Explore<BarrierWaitsForCallback>("barrier"),
                        checks::Explore<ExamineWaitsForStop>("examine"),
                        checks::Explore<AttachWaitsForBirth>("attach")})
             ? 0
             : 1;
}
