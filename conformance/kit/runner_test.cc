// The runner's exit status and results, for tests that end in every way.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "conformance/history/check_file.h"
#include "core/utrace_target.h"

namespace utrace::kit {
namespace {

struct Ran {
  int status = -1;
  std::string output;
  std::vector<nlohmann::json> results;
};

const char kRunner[] = "conformance/kit/sample_runner";

Ran RunWith(const std::string& arguments, const std::string& environment = "") {
  Ran ran;
  const std::string result = ::testing::TempDir() + "/result_" + std::to_string(getpid());
  unlink(result.c_str());
  const std::string command =
      environment + " " + kRunner + " " + arguments + " --result " + result + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  while (const size_t size = fread(buffer, 1, sizeof(buffer), pipe)) {
    ran.output.append(buffer, size);
  }
  ran.status = pclose(pipe);
  std::ifstream file(result);
  for (std::string line; std::getline(file, line);) {
    ran.results.push_back(nlohmann::json::parse(line));
  }
  return ran;
}

Ran RunTest(const std::string& name, const std::string& environment = "") {
  return RunWith("--implementation conformance/kit/fake.so --gtest_filter=" + name, environment);
}

void ExpectVerdict(const std::string& name, int exit_status, const std::string& verdict,
                   const std::string& words, const std::string& environment = "") {
  SCOPED_TRACE(name);
  const Ran ran = RunTest(name, environment);
  EXPECT_EQ(exit_status, WEXITSTATUS(ran.status)) << ran.output;
  ASSERT_EQ(1U, ran.results.size()) << ran.output;
  EXPECT_EQ(name, ran.results[0]["id"]);
  EXPECT_EQ(verdict, ran.results[0]["verdict"]);
  const std::string message = ran.results[0]["message"];
  EXPECT_NE(std::string::npos, message.find(words)) << message;
}

TEST(Runner, Verdicts) {
  ExpectVerdict("ATT_01.Passes", 0, "PASS", "");
  ExpectVerdict("ATT_01.PassesWithAPuppet", 0, "PASS", "");
  ExpectVerdict("ATT_02.FailsByErrno", 1, "FAIL", "expected: 0 or -EINPROGRESS");
  ExpectVerdict("ATT_02.FailsByGtest", 1, "FAIL", "Expected equality");
  ExpectVerdict("ATT_02.FailsBecauseThePidIsUnknown", 1, "FAIL", "-ESRCH there are no tasks");
  ExpectVerdict("ATT_03.Broken", 2, "BROKEN", "the thread is dead");
  ExpectVerdict("ATT_03.BrokenByException", 2, "BROKEN", "oops");
  ExpectVerdict("ATT_04.Unsupported", 0, "UNSUPPORTED", "LIM-01");
  ExpectVerdict("ATT_04.NotDeclared", 0, "PASS", "");
}

TEST(Runner, SaysWhatWasExpected) {
  const Ran ran = RunTest("ATT_02.FailsByErrno");
  ASSERT_EQ(1U, ran.results.size());
  EXPECT_EQ("0 or -EINPROGRESS", ran.results[0]["expected"]);
  EXPECT_EQ("-ESRCH", ran.results[0]["seen"]);
  EXPECT_EQ("ATT-02", ran.results[0]["clause"]);
  EXPECT_EQ("FailsByErrno", ran.results[0]["name"]);
  EXPECT_TRUE(ran.results[0]["milliseconds"].is_number());
}

TEST(Runner, ABreachInTheHistoryFailsTheTest) {
  const std::string directory = ::testing::TempDir();
  const Ran ran = RunWith("--implementation conformance/kit/fake.so --history " + directory +
                          " --gtest_filter=ATT_06.*:ATT_01.Passes");
  EXPECT_EQ(1, WEXITSTATUS(ran.status)) << ran.output;
  ASSERT_EQ(2U, ran.results.size()) << ran.output;
  EXPECT_EQ("", ran.results[0]["witness"]);
  EXPECT_EQ("", ran.results[0]["history"]);
  const nlohmann::json& broken = ran.results[1];
  EXPECT_EQ("FAIL", broken["verdict"]);
  EXPECT_EQ("a history that keeps REP-03", broken["expected"]);
  const std::string witness = broken["witness"];
  EXPECT_EQ(0U, witness.find("REP-03: report_exec of engine 0 begins while")) << witness;
  EXPECT_NE(std::string::npos, witness.find("  line 2: {\"begin\":")) << witness;
  EXPECT_NE(std::string::npos, witness.find("  line 3: {\"begin\":")) << witness;
  EXPECT_EQ(directory + "/ATT_06.BreaksARuleOfHistory.history", broken["history"]);
  // The file says the same to `utrace check`.
  FILE* out = tmpfile();
  EXPECT_EQ(1, history::CheckFile(broken["history"], out, stderr));
  rewind(out);
  std::string said;
  for (int c; (c = fgetc(out)) != EOF;) said.push_back(static_cast<char>(c));
  fclose(out);
  EXPECT_NE(std::string::npos, said.find(witness)) << said;
}

TEST(Runner, AHistoryThatCannotBeKeptIsSaid) {
  const Ran ran = RunWith(
      "--implementation conformance/kit/fake.so --history /nonexistent --gtest_filter=ATT_06.*");
  EXPECT_EQ(1, WEXITSTATUS(ran.status));
  EXPECT_NE(std::string::npos, ran.output.find("cannot be written: No such file")) << ran.output;
  ASSERT_EQ(1U, ran.results.size());
  EXPECT_EQ("", ran.results[0]["history"]);
}

TEST(Runner, EndsATestThatHangs) {
  ExpectVerdict("ATT_05.Hangs", 4, "FAIL", "while sleeping on purpose",
                "UTRACE_KIT_WATCHDOG_MS=300");
}

TEST(Runner, ACrashIsSeenByTheDriver) {
  const Ran ran = RunTest("ATT_05.Crashes");
  EXPECT_EQ(128 + SIGABRT, WEXITSTATUS(ran.status));  // as the shell tells it
  EXPECT_TRUE(ran.results.empty());
}

TEST(Runner, SeveralTestsALineEach) {
  const Ran ran = RunTest("ATT_01.*:ATT_02.*:ATT_03.*");
  EXPECT_EQ(2, WEXITSTATUS(ran.status));
  EXPECT_EQ(7U, ran.results.size());
}

TEST(Runner, Probe) {
  const Ran ran = RunWith("--implementation conformance/kit/fake.so --probe");
  EXPECT_EQ(0, WEXITSTATUS(ran.status));
  ASSERT_EQ(1U, ran.results.size());
  EXPECT_EQ(20090421, ran.results[0]["api_version"]);
  EXPECT_EQ("-ESRCH", ran.results[0]["pid_find"]);
  EXPECT_EQ("LIM-01 no exit report\nNO-SINGLESTEP\n", ran.results[0]["declared_limits"]);
}

// ---- Hosted implementations ------------------------------------------------------------------------

const char kMinimal[] = "--implementation examples/minimal_implementation/libminimal.so ";
const char kModel[] = "--implementation core/model/libutrace_model.so ";

TEST(Runner, ProbeOfAHostedImplementation) {
  const Ran live = RunWith("--implementation conformance/kit/fake.so --probe");
  ASSERT_EQ(1U, live.results.size());
  EXPECT_EQ("live", live.results[0]["host_kind"]);
  EXPECT_FALSE(live.results[0].contains("target_version"));
  const Ran hosted = RunWith(std::string(kMinimal) + "--probe");
  ASSERT_EQ(1U, hosted.results.size()) << hosted.output;
  EXPECT_EQ("hosted", hosted.results[0]["host_kind"]);
  EXPECT_EQ(nlohmann::json({"spin", "wait"}), hosted.results[0]["capabilities"]);
  EXPECT_EQ(UTRACE_TARGET_VERSION, hosted.results[0]["target_version"]);
}

TEST(Runner, PuppetsAreTasksOfAHostedImplementation) {
  for (const char* implementation : {kMinimal, kModel}) {
    const Ran ran =
        RunWith(std::string(implementation) + "--gtest_filter=ATT_01.PassesWithAPuppet");
    EXPECT_EQ(0, WEXITSTATUS(ran.status)) << ran.output;
    ASSERT_EQ(1U, ran.results.size());
    EXPECT_EQ("PASS", ran.results[0]["verdict"]);
  }
}

TEST(Runner, WhatAHostCannotDoIsNotApplicable) {
  for (const auto& [test, needs] : {std::pair{"ATT_08.NeedsProcessesOfLinux", "live"},
                                    std::pair{"ATT_08.NeedsWhatItsCommandsNeed", "exec"}}) {
    const Ran ran = RunWith(std::string(kMinimal) + "--gtest_filter=" + test);
    EXPECT_EQ(0, WEXITSTATUS(ran.status)) << ran.output;
    ASSERT_EQ(1U, ran.results.size());
    EXPECT_EQ("NOT APPLICABLE", ran.results[0]["verdict"]);
    EXPECT_EQ(needs, ran.results[0]["needs"]);
  }
  // The same on hosts that can.
  EXPECT_EQ("PASS", RunTest("ATT_08.NeedsProcessesOfLinux").results.at(0)["verdict"]);
  const Ran model = RunWith(std::string(kModel) + "--gtest_filter=ATT_08.NeedsWhatItsCommandsNeed");
  EXPECT_EQ("PASS", model.results.at(0)["verdict"]) << model.output;
}

TEST(Runner, AFailingScheduleIsNamedAndRepeated) {
  const std::string test = std::string(kModel) + "--gtest_filter=ATT_09.FailsByTheOrderOfThreads ";
  const Ran ran = RunWith(test + "--schedules 100");
  EXPECT_EQ(1, WEXITSTATUS(ran.status)) << ran.output;
  ASSERT_EQ(1U, ran.results.size());
  EXPECT_EQ("FAIL", ran.results[0]["verdict"]);
  const std::string schedule = ran.results[0]["schedule"];
  EXPECT_EQ(0U, schedule.find("replay:")) << schedule;
  const Ran again = RunWith(test + "--schedule " + schedule);
  EXPECT_EQ(1, WEXITSTATUS(again.status)) << again.output;
  ASSERT_EQ(1U, again.results.size());
  EXPECT_EQ(ran.results[0]["message"], again.results[0]["message"]);
  EXPECT_EQ(schedule, again.results[0]["schedule"]);
}

TEST(Runner, SchedulesThatCannotBe) {
  for (const char* flags : {"--schedules 2", "--schedule random:1"}) {
    const Ran live = RunWith(std::string("--implementation conformance/kit/fake.so ") + flags);
    EXPECT_EQ(2, WEXITSTATUS(live.status));
    EXPECT_NE(std::string::npos, live.output.find("no schedule")) << live.output;
    EXPECT_EQ(2, WEXITSTATUS(RunWith(std::string(kMinimal) + flags).status));
  }
  for (const char* flags :
       {"--schedules 0", "--schedules many", "--schedules 2 --schedule random:1"}) {
    EXPECT_EQ(2, WEXITSTATUS(RunWith(std::string(kModel) + flags).status)) << flags;
  }
  const Ran wrong =
      RunWith(std::string(kModel) + "--gtest_filter=ATT_01.Passes --schedule nonsense");
  EXPECT_EQ(1, WEXITSTATUS(wrong.status));
  EXPECT_NE(std::string::npos, wrong.output.find("nonsense")) << wrong.output;
}

TEST(Runner, LoadErrors) {
  EXPECT_EQ(3, WEXITSTATUS(RunWith("--implementation /nonexistent.so").status));
  const Ran ran = RunWith("--implementation conformance/kit/fake_old.so --probe");
  EXPECT_EQ(3, WEXITSTATUS(ran.status));
  EXPECT_NE(std::string::npos, ran.output.find("20090101"));
}

TEST(Runner, BadCommandLines) {
  EXPECT_EQ(2, WEXITSTATUS(RunWith("").status));
  EXPECT_EQ(2, WEXITSTATUS(RunWith("--nonsense").status));
  const Ran ran = RunTest("NO_99.SuchTest");
  EXPECT_EQ(2, WEXITSTATUS(ran.status));
  EXPECT_NE(std::string::npos, ran.output.find("no test")) << ran.output;
}

TEST(Runner, UnwritableOutput) {
  const std::string start = std::string(kRunner) + " --implementation conformance/kit/fake.so ";
  EXPECT_EQ(2, WEXITSTATUS(system((start + "--probe --result /nonexistent/result").c_str())));
  EXPECT_EQ(2, WEXITSTATUS(system((start + "--probe >/dev/full").c_str())));
  EXPECT_EQ(2, WEXITSTATUS(system((start + "--probe --result /dev/full").c_str())));
}

TEST(Runner, List) {
  const Ran ran = RunWith("--list");
  EXPECT_EQ(0, WEXITSTATUS(ran.status));
  EXPECT_EQ(0U, ran.output.find("ATT_01.Passes\nATT_01.PassesWithAPuppet\n")) << ran.output;
}

}  // namespace
}  // namespace utrace::kit
