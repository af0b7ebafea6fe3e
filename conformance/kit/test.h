// How clause tests are written; see README.md for two whole examples.
//
//   #include "conformance/kit/test.h"
//   namespace utrace::kit {
//   CLAUSE_TEST(ATT_05, LookupOfNothingIsEnoent) {
//     Puppet& puppet = Spawn();
//     TaskRef task = Task(puppet);
//     ...
//   }
//   }  // namespace utrace::kit
#ifndef CONFORMANCE_KIT_TEST_H_
#define CONFORMANCE_KIT_TEST_H_

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "conformance/kit/api.h"
#include "conformance/kit/engine.h"
#include "conformance/kit/latch.h"
#include "conformance/kit/puppet.h"
#include "conformance/kit/target.h"
#include "conformance/kit/threads.h"
#include "conformance/kit/verdict.h"

namespace utrace::kit {

// The fixture of every clause test.
class ClauseTest : public ::testing::Test {
 protected:
  // What the test does; CLAUSE_TEST defines it. It may throw Abandon.
  virtual void Body() = 0;

  // A new puppet of this test's nanny.
  Puppet& Spawn(std::string name = "puppet");
  Nanny& nanny();

  // The task and the pid handle of a puppet's thread; Failed if the implementation has none.
  TaskRef Task(const PuppetThread& thread);
  PidRef Pid(const PuppetThread& thread);

  // Ends the test as UNSUPPORTED if the implementation declares this limit ("LIM-01",
  // "NO-SINGLESTEP").
  void SkipIfDeclared(const std::string& limit);
  static bool Declares(const std::string& limit);

 private:
  void TestBody() final;
  void RunOnce(const std::string& schedule);
  void RunBody();
  void EndPuppets();
  std::unique_ptr<Nanny> nanny_;
};

// The verdict, and what explains it, of the test that runs or ran last.
struct Outcome {
  Verdict verdict = Verdict::kPass;
  std::string expected;
  std::string seen;
  std::string message;
  std::string needs;     // NOT APPLICABLE: the capability that the host lacks
  std::string schedule;  // what repeats a hosted run
};
Outcome CurrentOutcome();
// What every test is run by, one run each (utrace_target_run; an empty text stands for the host's
// choice). A test ends with the first run that does not pass.
void UseSchedules(std::vector<std::string> schedules);
// For kit helpers that know what was expected; the first one of a test is kept.
void NoteExpectation(const std::string& expected, const std::string& seen);

// Checks that `value` is one of `allowed`, which are error numbers or plain numbers. Adds a failure
// with names if it is not; returns whether it is.
bool ExpectOneOf(long value, std::initializer_list<long> allowed,
                 const char* file = __builtin_FILE(), int line = __builtin_LINE());
// The same, and ends the test if it is not.
void AssertOneOf(long value, std::initializer_list<long> allowed,
                 const char* file = __builtin_FILE(), int line = __builtin_LINE());
// For resume actions in results and arguments (only the resume bits are compared).
bool ExpectResumeOneOf(uint32_t value, std::initializer_list<uint32_t> allowed,
                       const char* file = __builtin_FILE(), int line = __builtin_LINE());
// Whether `log` has exactly these callbacks in this order; a failure shows both lists.
bool ExpectLog(const std::vector<Report>& log, std::initializer_list<What> expected,
               const char* file = __builtin_FILE(), int line = __builtin_LINE());

// Registers a test; `clause` is written with an underscore (ATT_05).
bool RegisterClauseTest(const char* clause, const char* name, const char* file, int line,
                        ClauseTest* (*make)());

}  // namespace utrace::kit

#define CLAUSE_TEST(clause, name)                                                         \
  class ClauseTest_##clause##_##name final : public ::utrace::kit::ClauseTest {           \
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

#endif  // CONFORMANCE_KIT_TEST_H_
