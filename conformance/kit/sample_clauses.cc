// Tests that end in every way, for the test of the runner.
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "conformance/kit/history_recorder.h"
#include "conformance/kit/test.h"

namespace utrace::kit {

CLAUSE_TEST(ATT_01, Passes) { EXPECT_EQ(20090421U, api().utrace_api_version()); }

CLAUSE_TEST(ATT_01, PassesWithAPuppet) {
  Puppet& puppet = Spawn();
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
}

CLAUSE_TEST(ATT_02, FailsByErrno) { ExpectOneOf(-ESRCH, {0, -EINPROGRESS}); }

CLAUSE_TEST(ATT_02, FailsByGtest) {
  const int answer = 41;
  EXPECT_EQ(42, answer);
}

CLAUSE_TEST(ATT_02, FailsBecauseThePidIsUnknown) { TaskRef task = Task(Spawn()); }

CLAUSE_TEST(ATT_03, Broken) {
  Puppet& puppet = Spawn();
  puppet.Kill(SIGKILL);
  puppet.AwaitDeath();
  puppet.Call(SYS_getpid);
}

CLAUSE_TEST(ATT_03, BrokenByException) { throw std::runtime_error("oops"); }

CLAUSE_TEST(ATT_04, Unsupported) { SkipIfDeclared("LIM-01"); }

CLAUSE_TEST(ATT_04, NotDeclared) {
  SkipIfDeclared("LIM-0");
  SkipIfDeclared("NO-SINGLESTE");
  EXPECT_TRUE(Declares("NO-SINGLESTEP"));
}

CLAUSE_TEST(ATT_08, NeedsProcessesOfLinux) { Needs("live"); }

CLAUSE_TEST(ATT_08, NeedsWhatItsCommandsNeed) {
  Puppet& puppet = Spawn();
  EXPECT_EQ(puppet.pid(), puppet.Call(SYS_getpid));
  puppet.Exec();
}

CLAUSE_TEST(ATT_09, FailsByTheOrderOfThreads) {
  std::string order;
  {
    Thread a([&] {
      Yield();
      order += 'a';
    });
    Thread b([&] {
      Yield();
      order += 'b';
    });
  }
  EXPECT_EQ("ab", order);
}

CLAUSE_TEST(ATT_05, Hangs) {
  SetStep("sleeping on purpose");
  for (;;) pause();
}

CLAUSE_TEST(ATT_05, Crashes) { abort(); }

// All that this test asserts holds; what it has recorded breaks a rule.
CLAUSE_TEST(ATT_06, BreaksARuleOfHistory) {
  history::Edge edge;
  edge.what = What::kExec;
  int place = 0;
  auto* task = reinterpret_cast<utrace_task*>(&place);
  const RecordedCallback outer = BeginRecorded(edge, nullptr, task, 1);
  const RecordedCallback inner = BeginRecorded(edge, nullptr, task, 1);
  EndRecorded(inner, UTRACE_RESUME);
  EndRecorded(outer, UTRACE_RESUME);
}

}  // namespace utrace::kit
