// EngineObject::Ref and Unref in every interleaving: release is called exactly once, after everything
// that any holder did [REF-03, REF-05].
//
// Built twice: with the core's source, where nothing may be found, and with one whose last drop has a
// weaker memory order (UTRACE_CHECK_WEAKENED), where a fault must be found.
#include <cstdlib>

#include "core/checks/relacy/search.h"
#include "core/task.h"

namespace utrace {

// The core asks for a host only where this check does not go.
Host& TheHost() { std::abort(); }

namespace {

template <int kThreads>
struct LastDropReleases : rl::test_suite<LastDropReleases<kThreads>, kThreads> {
  utrace_engine_ops ops{};
  Task* task = nullptr;
  EngineObject* engine = nullptr;
  rl::var<int> written[kThreads];
  int released = 0;

  static void Release(void* data) {
    auto* self = static_cast<LastDropReleases*>(data);
    ++self->released;
    // What each holder wrote before its drop is there, and no holder writes any more.
    for (rl::var<int>& word : self->written) RL_ASSERT(int(word(RL_INFO)) == 1);
  }

  void before() {
    ops.release = &Release;
    task = new Task(nullptr);
    engine = new EngineObject(task, &ops, this);
    engine->was_attached = true;
    for (int i = 1; i < kThreads; ++i) engine->Ref();
  }
  void thread(unsigned index) {
    // A further reference, as a lookup takes it.
    engine->Ref();
    engine->Unref();
    written[index](RL_INFO) = 1;
    engine->Unref();
  }
  void after() {
    RL_ASSERT(released == 1);
    task->Unref();
  }
};

}  // namespace
}  // namespace utrace

int main() { return utrace::checks::Explore<utrace::LastDropReleases>("last drop") ? 0 : 1; }
