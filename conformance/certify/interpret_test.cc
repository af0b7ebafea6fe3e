#include "conformance/certify/interpret.h"

#include <gtest/gtest.h>

#include <string>

namespace utrace::certify {
namespace {

const TestId kTest = {"ATT_05.Name", "ATT-05", "Name"};

SuperviseOutcome Exited(int status) {
  SuperviseOutcome outcome;
  outcome.wait_status = status << 8;
  outcome.milliseconds = 40;
  return outcome;
}

std::string Told(const std::string& verdict) {
  return R"({"id":"ATT_05.Name","verdict":")" + verdict + R"(","milliseconds":7})";
}

TestResult Interpret(const SuperviseOutcome& end, const std::string& told,
                     const std::string& output) {
  Evidence evidence;
  evidence.test = kTest.id;
  evidence.end = end;
  evidence.result = told;
  evidence.output = output;
  return InterpretTest(kTest, evidence);
}

Verdict VerdictOf(const SuperviseOutcome& outcome, const std::string& told) {
  return Interpret(outcome, told, "the log").verdict;
}

TEST(InterpretTest, BelievesAResultThatAgreesWithTheExitStatus) {
  EXPECT_EQ(VerdictOf(Exited(0), Told("PASS")), Verdict::kPass);
  EXPECT_EQ(VerdictOf(Exited(0), Told("UNSUPPORTED")), Verdict::kUnsupported);
  EXPECT_EQ(VerdictOf(Exited(1), Told("FAIL")), Verdict::kFail);
  EXPECT_EQ(VerdictOf(Exited(2), Told("BROKEN")), Verdict::kBroken);
  EXPECT_EQ(Interpret(Exited(0), Told("PASS"), "").milliseconds, 7);
}

TEST(InterpretTest, IsBrokenWhereTheyDisagreeOrTheResultIsUseless) {
  for (int status : {0, 1, 2, 3, 5, 66}) {
    for (const char* verdict : {"PASS", "FAIL", "BROKEN", "UNSUPPORTED", "NOT RUN", "NONSENSE"}) {
      const std::string name = verdict;
      const bool agrees = (status == 0 && (name == "PASS" || name == "UNSUPPORTED")) ||
                          (status == 1 && name == "FAIL");
      if (!agrees) {
        EXPECT_EQ(VerdictOf(Exited(status), Told(name)), Verdict::kBroken) << status << name;
      }
    }
    EXPECT_EQ(VerdictOf(Exited(status), ""), Verdict::kBroken) << status;
    EXPECT_EQ(VerdictOf(Exited(status), "not { json"), Verdict::kBroken) << status;
    EXPECT_EQ(VerdictOf(Exited(status), "[]"), Verdict::kBroken) << status;
    EXPECT_EQ(VerdictOf(Exited(status), R"({"id":"ATT_05.Other","verdict":"PASS"})"),
              Verdict::kBroken);
    EXPECT_EQ(VerdictOf(Exited(status), R"({"id":["ATT_05.Name"],"verdict":7})"), Verdict::kBroken);
  }
}

TEST(InterpretTest, CallsACrashAFailureWhateverTheResultSays) {
  SuperviseOutcome crashed;
  crashed.wait_status = 11;
  TestResult result = Interpret(crashed, "", "first\nsecond\n");
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_EQ(result.message, "crashed by SIGSEGV in ATT_05.Name. Its last output:\nfirst\nsecond");
  result = Interpret(crashed, Told("PASS"), "");
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_EQ(result.message, "crashed by SIGSEGV in ATT_05.Name, after its result.");
}

TEST(InterpretTest, CallsAHangAFailure) {
  SuperviseOutcome killed;
  killed.timed_out = true;
  killed.milliseconds = 70'000;
  TestResult result = Interpret(killed, Told("PASS"), "");
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_TRUE(result.hung);
  EXPECT_EQ(result.message, "hung in ATT_05.Name: killed after 70 s.");
  result = Interpret(Exited(4), "", "waits for callback");
  EXPECT_TRUE(result.hung);
  EXPECT_EQ(result.message, "hung in ATT_05.Name. Its last output:\nwaits for callback");
}

TEST(InterpretTest, IsBrokenIfTheRunnerCannotRun) {
  SuperviseOutcome none;
  none.error = "it cannot be executed: Exec format error";
  const TestResult result = Interpret(none, "", "");
  EXPECT_EQ(result.verdict, Verdict::kBroken);
  EXPECT_EQ(result.message,
            "the runner could not be run: it cannot be executed: Exec format error");
}

TEST(InterpretTest, KnowsTestsThatAreNotForAHost) {
  const std::string told =
      R"({"id":"ATT_05.Name","verdict":"NOT APPLICABLE","needs":"exec","message":"no exec"})";
  const TestResult result = Interpret(Exited(0), told, "");
  EXPECT_EQ(result.verdict, Verdict::kNotApplicable);
  EXPECT_EQ(result.needs, "exec");
  EXPECT_EQ(VerdictOf(Exited(1), told), Verdict::kBroken);
  EXPECT_EQ(VerdictOf(Exited(0), Told("NOT APPLICABLE")), Verdict::kBroken) << "it needs nothing";
}

TEST(InterpretTest, KeepsWhatTheTestToldOfItsHistory) {
  const TestResult result = Interpret(
      Exited(1),
      R"({"id":"ATT_05.Name","verdict":"FAIL","schedule":"random:7","witness":"two exits"})", "");
  EXPECT_EQ(result.schedule, "random:7");
  EXPECT_EQ(result.witness, "two exits");
}

// What implementations print reaches this code, and a nested value without end must not end it.
TEST(InterpretTest, StandsDeepNesting) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  EXPECT_EQ(VerdictOf(Exited(0), R"({"id":"ATT_05.Name","verdict":"PASS","seen":)" + deep + "}"),
            Verdict::kPass);
  EXPECT_EQ(VerdictOf(Exited(0), deep), Verdict::kBroken);
}

TEST(ReadFacts, KnowsBothKindsOfHost) {
  const Facts live =
      ReadFacts(R"({"api_version":20090421,"declared_limits":"LIM-01 late\nLIM-02"})");
  EXPECT_EQ(live.kind, "live");
  EXPECT_EQ(live.api_version, "20090421");
  ASSERT_EQ(live.declared_limits.size(), 2u);
  EXPECT_EQ(live.declared_limits[0].second, "late");
  const Facts hosted =
      ReadFacts(R"({"host_kind":"hosted","capabilities":["fork","exec"],"target_version":1})");
  EXPECT_EQ(hosted.kind, "hosted");
  EXPECT_EQ(hosted.capabilities, (std::vector<std::string>{"fork", "exec"}));
  EXPECT_EQ(hosted.target_version, "1");
  EXPECT_EQ(ReadFacts("no JSON").kind, "");
}

}  // namespace
}  // namespace utrace::certify
