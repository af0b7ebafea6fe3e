#include "conformance/certify/runner.h"

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

Verdict VerdictOf(const SuperviseOutcome& outcome, const std::string& told) {
  return InterpretTest(kTest, outcome, told, "the log").verdict;
}

TEST(InterpretTest, BelievesAResultThatAgreesWithTheExitStatus) {
  EXPECT_EQ(VerdictOf(Exited(0), Told("PASS")), Verdict::kPass);
  EXPECT_EQ(VerdictOf(Exited(0), Told("UNSUPPORTED")), Verdict::kUnsupported);
  EXPECT_EQ(VerdictOf(Exited(1), Told("FAIL")), Verdict::kFail);
  EXPECT_EQ(VerdictOf(Exited(2), Told("BROKEN")), Verdict::kBroken);
  EXPECT_EQ(InterpretTest(kTest, Exited(0), Told("PASS"), "").milliseconds, 7);
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
  TestResult result = InterpretTest(kTest, crashed, "", "first\nsecond\n");
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_EQ(result.message, "crashed by SIGSEGV in ATT_05.Name. Its last output:\nfirst\nsecond");
  result = InterpretTest(kTest, crashed, Told("PASS"), "");
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_EQ(result.message, "crashed by SIGSEGV in ATT_05.Name, after its result.");
}

TEST(InterpretTest, CallsAHangAFailure) {
  SuperviseOutcome killed;
  killed.timed_out = true;
  killed.milliseconds = 70'000;
  TestResult result = InterpretTest(kTest, killed, Told("PASS"), "");
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_TRUE(result.hung);
  EXPECT_EQ(result.message, "hung in ATT_05.Name: killed after 70 s.");
  result = InterpretTest(kTest, Exited(4), "", "waits for callback");
  EXPECT_TRUE(result.hung);
  EXPECT_EQ(result.message, "hung in ATT_05.Name. Its last output:\nwaits for callback");
}

TEST(InterpretTest, IsBrokenIfTheRunnerCannotRun) {
  SuperviseOutcome none;
  none.error = "it cannot be executed: Exec format error";
  const TestResult result = InterpretTest(kTest, none, "", "");
  EXPECT_EQ(result.verdict, Verdict::kBroken);
  EXPECT_EQ(result.message,
            "the runner could not be run: it cannot be executed: Exec format error");
}

}  // namespace
}  // namespace utrace::certify
