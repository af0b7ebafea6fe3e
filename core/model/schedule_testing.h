// What the tests of the scheduler and of its strategies share.
#ifndef CORE_MODEL_SCHEDULE_TESTING_H_
#define CORE_MODEL_SCHEDULE_TESTING_H_

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <string>

#include "core/model/scheduler.h"
#include "gtest/gtest.h"

namespace utrace::model {

using End = RunResult::End;

inline RunResult RunWith(const std::string& schedule, const std::function<void()>& body) {
  std::string error;
  const auto strategy = MakeStrategy(schedule, &error);
  EXPECT_NE(strategy, nullptr) << error;
  return Explore(*strategy, body);
}

// The default schedule.
inline RunResult RunWith(const std::function<void()>& body) { return RunWith("replay:", body); }

inline void AwaitEnd(std::initializer_list<FiberId> fibers) {
  Await("the others' end", [&] { return std::all_of(fibers.begin(), fibers.end(), HasEnded); });
}

}  // namespace utrace::model

#endif  // CORE_MODEL_SCHEDULE_TESTING_H_
