// How a check is explored, and what counts as its verdict.
#ifndef CORE_CHECKS_RELACY_SEARCH_H_
#define CORE_CHECKS_RELACY_SEARCH_H_

#include <algorithm>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <iostream>

#include "core/sync.h"

namespace utrace::checks {

// Freed memory stays unusable to the end of an interleaving, so that every use of it is found. Relacy
// would also try, at each single free, what happens if it is handed out again at once; the core's
// lock-free parts compare no addresses, and those choices would multiply with all others.
template <typename Search>
struct WithoutReuse : Search {
  using Search::Search;
  unsigned rand(unsigned limit, rl::sched_type choice) {
    constexpr unsigned kKeep = 0;
    return choice == rl::sched_type_mem_realloc ? kKeep : Search::rand(limit, choice);
  }
};

template <typename Suite, typename Search>
bool Holds(const char* name, int threads, rl::scheduler_type_e kind) {
  using Explorer = WithoutReuse<Search>;
  rl::test_params params;
  params.search_type = kind;  // of `Search`
  params.context_bound = 3;
  params.output_stream = &std::cerr;
  params.progress_stream = &std::cerr;
  rl::ostringstream state;
  const rl::test_result_e result = rl::run_test<Suite, Explorer>(params, state, false);
  const bool good = result == rl::test_result_success;
  std::printf("%s, %d threads: %s after %llu interleavings\n", name, threads,
              good ? "nothing found" : rl::test_result_str(result),
              static_cast<unsigned long long>(params.stop_iteration));
  std::fflush(stdout);
  if (!good) {
    // The last interleaving again, step by step.
    params.initial_state = state.str();
    params.collect_history = true;
    rl::ostringstream unused;
    rl::run_test<Suite, Explorer>(params, unused, true);
  }
  return good;
}

// Explores `Suite` with two threads in full, and with three up to three preemptions. Whether neither
// found a fault or, in a build with a weakened source (UTRACE_CHECK_WEAKENED), both did.
template <template <int> class Suite>
bool Explore(const char* name) {
  const bool two = Holds<Suite<2>, rl::full_search_scheduler<2>>(name, 2, rl::sched_full);
  const bool three = Holds<Suite<3>, rl::context_bound_scheduler<3>>(name, 3, rl::sched_bound);
#ifdef UTRACE_CHECK_WEAKENED
  return !two && !three;
#else
  return two && three;
#endif
}

// The verdict on several scenes: a weakened source need not show in each.
inline bool Judge(std::initializer_list<bool> scenes) {
#ifdef UTRACE_CHECK_WEAKENED
  return std::any_of(scenes.begin(), scenes.end(), std::identity());
#else
  return std::all_of(scenes.begin(), scenes.end(), std::identity());
#endif
}

}  // namespace utrace::checks

#endif  // CORE_CHECKS_RELACY_SEARCH_H_
