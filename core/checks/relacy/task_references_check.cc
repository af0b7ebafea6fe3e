// Task::TryRef and Unref against a table that holds no reference, in every interleaving: a lookup gets
// a task that stays, or none; the last drop destroys it once, after everything that any holder did.
//
// Built three times: with the core's source, where nothing may be found; with a drop of a weaker
// memory order; and with a TryRef that takes a task whose last reference is gone.
#include <cstdlib>

#include "core/checks/relacy/idle_host_task.h"
#include "core/checks/relacy/search.h"
#include "core/task.h"

namespace utrace {

// The core asks for a host only where this check does not go.
Host& TheHost() { std::abort(); }

namespace {

// Thread 0 drops the reference that there is; all others look the task up meanwhile.
template <int kThreads>
struct LookupAgainstLastDrop : rl::test_suite<LookupAgainstLastDrop<kThreads>, kThreads> {
  // As a host's task does, takes itself off the table when it goes.
  struct Listed final : checks::IdleHostTask {
    explicit Listed(LookupAgainstLastDrop* owner) : suite(owner) {}
    ~Listed() override {
      const MutexLock lock(suite->table_lock);
      suite->table = nullptr;
      ++suite->destroyed;
      // What each holder wrote before its drop is there, and no holder writes any more.
      for (int i = 0; i < kThreads; ++i) {
        if (suite->held[i]) RL_ASSERT(int(suite->written[i](RL_INFO)) == 1);
      }
    }
    LookupAgainstLastDrop* const suite;
  };

  Mutex table_lock;
  Task* table = nullptr;  // guarded by table_lock
  Task* task = nullptr;
  rl::var<int> written[kThreads];
  bool held[kThreads] = {};
  int destroyed = 0;

  void before() {
    task = new Task(std::make_unique<Listed>(this));
    table = task;
    held[0] = true;
  }
  void thread(unsigned index) {
    Task* found = task;
    if (index != 0) {
      const MutexLock lock(table_lock);
      found = table != nullptr && table->TryRef() ? table : nullptr;
      held[index] = found != nullptr;
    }
    if (found == nullptr) return;
    written[index](RL_INFO) = 1;
    RL_ASSERT(destroyed == 0);
    found->Unref();
  }
  void after() { RL_ASSERT(destroyed == 1); }
};

}  // namespace
}  // namespace utrace

int main() { return utrace::checks::Explore<utrace::LookupAgainstLastDrop>("lookup") ? 0 : 1; }
