// EngineObject::Ref and Unref in every interleaving: release is called exactly once, after everything
// that any holder did [REF-03, REF-05].
//
// Built twice: with the core's source, where nothing may be found, and with one whose last drop has a
// weaker memory order (UTRACE_CHECK_WEAKENED), where a fault must be found.
#include <cstdio>
#include <cstdlib>
#include <iostream>

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

template <int kThreads>
bool Holds(rl::scheduler_type_e search) {
  rl::test_params params;
  params.search_type = search;
  params.context_bound = 3;
  params.output_stream = &std::cerr;
  params.progress_stream = &std::cerr;
  const bool good = rl::simulate<LastDropReleases<kThreads>>(params);
  std::printf("%d threads: %s after %llu interleavings\n", kThreads,
              good ? "nothing found" : "a fault found",
              static_cast<unsigned long long>(params.stop_iteration));
  return good;
}

}  // namespace
}  // namespace utrace

// Asked by the leak sanitizer, where there is one: relacy never frees the stacks of its fibers.
extern "C" const char* __lsan_default_suppressions() { return "leak:create_fiber"; }  // NOLINT

int main() {
  const bool two = utrace::Holds<2>(rl::fair_full_search_scheduler_type);
  const bool three = utrace::Holds<3>(rl::fair_context_bound_scheduler_type);
#ifdef UTRACE_CHECK_WEAKENED
  return !two && !three ? 0 : 1;
#else
  return two && three ? 0 : 1;
#endif
}
