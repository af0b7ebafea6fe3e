// Whole runs of the driver against fake_runner.sh, which imitates every mood of a runner and of an
// implementation.
#include "conformance/certify/certify.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "conformance/certify/check.h"
#include "conformance/certify/package.h"
#include "conformance/certify/text.h"

namespace utrace::certify {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::string_view kSpec =
    "## 3. Attaching\n- **[ATT-05]** MUST doc. A lookup.\n- **[ATT-06]** MUST doc. Exclusive.\n"
    "- **[ATT-21]** SHOULD ruling. Flags.\n## 4. Lifetime\n- **[REF-01]** MUST doc. Held.\n";

class CertifyTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(dir_.data()), nullptr);
    std::string error;
    table_ = ClauseTable::Parse(kSpec, &error);
    ASSERT_TRUE(table_) << error;
    options_.table = &*table_;
    options_.covered = {3};
    Implementations({"good.so"});
    options_.report_dir = dir_ + "/report";
    options_.runner = "conformance/certify/fake_runner.sh";
    options_.tool_version = "test";
    options_.out = Open("/out");
    options_.err = Open("/err");
  }
  void TearDown() override {
    fclose(options_.out);
    fclose(options_.err);
    std::filesystem::remove_all(dir_);
  }

  FILE* Open(const std::string& name) const { return fopen((dir_ + name).c_str(), "we"); }

  std::string Object(const std::string& name) const {
    std::string path = dir_ + "/" + name;
    std::ofstream(path) << "an object";
    return path;
  }

  void Implementations(const std::vector<std::string>& names) {
    options_.implementations.clear();
    for (const std::string& name : names) {
      options_.implementations.push_back({Object(name), "utrace certify"});
    }
  }
  std::string implementation() const { return options_.implementations[0].path; }

  // Runs the tests of `list`, which are separated by blanks.
  CertifyOutcome Run(const std::string& list) {
    setenv("FAKE_LIST", list.c_str(), 1);
    const CertifyOutcome outcome = Certify(options_);
    fflush(options_.out);
    fflush(options_.err);
    return outcome;
  }
  int Status(const std::string& list) { return Run(list).exit_status; }

  std::string out() const { return ReadFile(dir_ + "/out"); }
  std::string err() const { return ReadFile(dir_ + "/err"); }
  bool Says(const std::string& text) const { return out().find(text) != std::string::npos; }
  bool Complains(const std::string& text) const { return err().find(text) != std::string::npos; }
  json Certificate() const { return json::parse(ReadFile(dir_ + "/report/certificate.json")); }
  // The test's entry in the certificate.
  json Entry(const std::string& id) const {
    const json certificate = Certificate();
    for (const json& clause : certificate["clauses"]) {
      for (const json& test : clause["tests"]) {
        if (test["id"] == id) return test;
      }
    }
    return json::object();
  }

  std::string dir_ = testing::TempDir() + "certify_test.XXXXXX";
  std::optional<ClauseTable> table_;
  CertifyOptions options_;
};

constexpr char kAllPass[] = "ATT_05.Pass1 ATT_05.Pass2 ATT_06.Pass REF_01.Unsupported ATT_21.Fail";

TEST_F(CertifyTest, WritesACertificate) {
  EXPECT_EQ(Status(kAllPass), 0) << out() << err();
  const json certificate = Certificate();
  EXPECT_EQ(certificate["verdict"], "PASS");
  EXPECT_EQ(certificate["kind"], "certificate");
  const json& host = certificate["hosts"][0];
  EXPECT_EQ(host["implementation"]["path"], implementation());
  // Of "an object".
  EXPECT_EQ(host["implementation"]["sha256"],
            "c44b27339f507e2e4c80dd9aa9d42ef740bc8b619e717f3aa45862de27874289");
  EXPECT_EQ(host["implementation"]["api_version"], "20090421");
  EXPECT_EQ(host["implementation"]["declared_limits"].size(), 2u);
  EXPECT_EQ(host["totals"]["passed"], 3);
  EXPECT_EQ(Entry("ATT_05.Pass1")["milliseconds"], 12.5);
  EXPECT_EQ(Entry("ATT_21.Fail")["seen"], "-ESRCH");
  EXPECT_EQ(ReadFile(dir_ + "/report/logs/1/ATT_21.Fail.log"), "log of ATT_21.Fail\n");
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/report/logs/1/ATT_05.Pass1.log"));
  EXPECT_NE(ReadFile(dir_ + "/report/junit.xml").find("failures=\"0\" errors=\"0\" skipped=\"2\""),
            std::string::npos);
  EXPECT_TRUE(Complains("chapter 3 Attaching: 3 of 4 tests passed")) << err();
  EXPECT_TRUE(
      out().ends_with("\nverdict: PASS\ncertificate: " + dir_ + "/report/certificate.json\n"))
      << out();
}

TEST_F(CertifyTest, FailsWithAFailedMustClause) {
  options_.junit = dir_ + "/copy.xml";
  EXPECT_EQ(Status("ATT_05.Pass ATT_06.Fail"), 1);
  EXPECT_TRUE(
      Says("FAIL ATT-06 Fail (MUST)\n  requirement    Exclusive.\n  expected       -ENOENT\n"
           "  seen           -ESRCH\n  message        file.cc:7 lookup\n"
           "  log            " +
           dir_ +
           "/report/logs/1/ATT_06.Fail.log\n"
           "  reproduce      utrace certify --only ATT_06.Fail\n"))
      << out();
  EXPECT_EQ(Certificate()["verdict"], "FAIL");
  EXPECT_EQ(ReadFile(options_.junit), ReadFile(dir_ + "/report/junit.xml"));
}

TEST_F(CertifyTest, CountsACrashAsAFailureAndGoesOn) {
  EXPECT_EQ(Status("ATT_05.Crash ATT_05.LateCrash ATT_06.Pass"), 1);
  EXPECT_EQ(Entry("ATT_05.Crash")["message"],
            "crashed by SIGSEGV in ATT_05.Crash. Its last output:\nlog of ATT_05.Crash");
  EXPECT_EQ(Entry("ATT_05.LateCrash")["verdict"], "FAIL");
  EXPECT_EQ(Entry("ATT_06.Pass")["verdict"], "PASS");
}

TEST_F(CertifyTest, CountsAHangAsAFailureAndGoesOn) {
  options_.test_deadline = milliseconds(1000);
  EXPECT_EQ(Status("ATT_05.Hang ATT_05.SelfHung ATT_06.Pass"), 1);
  EXPECT_EQ(Entry("ATT_05.Hang")["message"],
            "hung in ATT_05.Hang: killed after 1 s. Its last output:\nlog of ATT_05.Hang");
  EXPECT_EQ(Entry("ATT_05.SelfHung")["message"], "hung in ATT_05.SelfHung.\nhung in step 3");
  EXPECT_EQ(Entry("ATT_06.Pass")["verdict"], "PASS");
}

TEST_F(CertifyTest, GivesUpAfterThreeHangsInARow) {
  options_.jobs = 1;
  EXPECT_EQ(Status("ATT_05.SelfHung1 ATT_05.SelfHung2 ATT_05.Pass ATT_06.SelfHung3 "
                   "ATT_06.SelfHung4 ATT_06.SelfHung5 ATT_21.Pass REF_01.Pass"),
            3);
  EXPECT_EQ(Certificate()["verdict"], "UNUSABLE");
  EXPECT_EQ(Entry("ATT_06.SelfHung5")["verdict"], "FAIL");
  EXPECT_EQ(Entry("ATT_21.Pass")["verdict"], "NOT RUN");
  EXPECT_EQ(Entry("REF_01.Pass")["verdict"], "NOT RUN");
  EXPECT_TRUE(Says("verdict: UNUSABLE: the implementation hangs: 3 tests in a row")) << out();
  EXPECT_TRUE(Says("not run        2 tests")) << out();
}

TEST_F(CertifyTest, IsBrokenByWhatProvesNothing) {
  for (const char* name : {"Broken", "Garbage", "NoResult", "Liar", "Other", "LoadError"}) {
    EXPECT_EQ(Status(fmt::format("ATT_05.Pass ATT_06.Pass REF_01.{}", name)), 4) << name;
    EXPECT_EQ(Entry(std::string("REF_01.") + name)["verdict"], "BROKEN") << name;
    EXPECT_TRUE(Says("verdict: BROKEN: 1 test could not be carried out")) << out();
  }
}

TEST_F(CertifyTest, SurvivesResultsThatAreNoText) {
  EXPECT_EQ(Status("ATT_05.Pass ATT_06.Binary"), 4) << "a control character makes it no JSON";
  EXPECT_EQ(Entry("ATT_06.Binary")["verdict"], "BROKEN");
}

TEST_F(CertifyTest, LeavesNoProcessBehind) {
  const std::string pid_file = dir_ + "/pid";
  setenv("FAKE_PID_FILE", pid_file.c_str(), 1);
  EXPECT_EQ(Status("ATT_05.Leaves ATT_06.Pass"), 0) << out();
  const pid_t left = atoi(ReadFile(pid_file).c_str());
  ASSERT_GT(left, 1);
  EXPECT_FALSE(std::filesystem::exists(fmt::format("/proc/{}", left)));
}

TEST_F(CertifyTest, EndsInGoodOrderOnASignal) {
  options_.jobs = 1;
  setenv("FAKE_DRIVER", std::to_string(getpid()).c_str(), 1);
  const CertifyOutcome outcome = Run("ATT_05.Pass ATT_06.Term REF_01.Pass");
  EXPECT_EQ(outcome.signal, SIGTERM);
  EXPECT_EQ(outcome.exit_status, 4);
  EXPECT_EQ(Certificate()["verdict"], "INCOMPLETE");
  EXPECT_EQ(Entry("ATT_05.Pass")["verdict"], "PASS");
  EXPECT_EQ(Entry("ATT_06.Term")["verdict"], "NOT RUN");
  EXPECT_TRUE(Says("verdict: INCOMPLETE: ended by SIGTERM\n")) << out();
}

TEST_F(CertifyTest, WantsEveryMustClauseTested) {
  EXPECT_EQ(Status("ATT_05.Pass REF_01.Pass"), 1);
  EXPECT_TRUE(Says("\n  not tested     ATT-06: no test\n")) << out();
  EXPECT_TRUE(Says("verdict: PARTIAL: 1 MUST clause was tested on no host")) << out();
}

TEST_F(CertifyTest, MarksASelection) {
  options_.only = {"ATT-06", "REF"};
  EXPECT_EQ(Status(kAllPass), 0);
  EXPECT_EQ(Certificate()["kind"], "selection");
  EXPECT_EQ(Certificate()["hosts"][0]["totals"]["tests"], 2);
  EXPECT_TRUE(Says("verdict: PASS (of a selection: this is no certificate)\nreport: ")) << out();
}

TEST_F(CertifyTest, IsNoPassIfNothingRan) {
  options_.only = {"REF"};
  EXPECT_EQ(Status("ATT_05.Pass REF_01.Unsupported"), 4);
  EXPECT_TRUE(Says("no test ran")) << out();
}

TEST_F(CertifyTest, RefusesAnUnknownSelection) {
  options_.only = {"ATT-50"};
  EXPECT_EQ(Status(kAllPass), kExitUsage);
  EXPECT_TRUE(Complains("nothing is called \"ATT-50\"; did you mean ATT-05?")) << err();
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/report"));
}

TEST_F(CertifyTest, RefusesAForeignReportDirectory) {
  std::filesystem::create_directory(dir_ + "/report");
  std::ofstream(dir_ + "/report/thesis.txt") << "x";
  EXPECT_EQ(Status(kAllPass), kExitUsage);
  EXPECT_TRUE(Complains("holds \"thesis.txt\"")) << err();
}

TEST_F(CertifyTest, TellsOfARunnerThatCannotListItsTests) {
  options_.probe_deadline = milliseconds(1000);
  EXPECT_EQ(Status(""), 4);
  EXPECT_TRUE(Complains("fake_runner.sh --list: it holds no test")) << err();
  EXPECT_EQ(Status("FAIL"), 4);
  EXPECT_TRUE(Complains("--list: it failed. Its last output:\nno puppet")) << err();
  EXPECT_EQ(Status("HANG"), 4);
  EXPECT_TRUE(Complains("--list: it hung")) << err();
  EXPECT_EQ(Status("ATT_99.Pass"), 4);
  EXPECT_TRUE(Complains("the specification has no ATT-99")) << err();
  options_.runner = dir_ + "/none";
  EXPECT_EQ(Status(kAllPass), 4);
  EXPECT_TRUE(Complains("/none --list: it cannot be executed: No such file")) << err();
}

TEST_F(CertifyTest, TellsWhyAnImplementationCannotBeTested) {
  options_.probe_deadline = milliseconds(1000);
  const std::pair<std::string, std::string> kCases[] = {
      {"nosymbols.so", "it cannot be loaded: lacks these functions: utrace_control utrace_barrier"},
      {"crash.so", "it crashed by SIGSEGV while it was loaded or in its first call"},
      {"hang.so", "it hung: loading it and its first call did not end within 1 s"},
      {"exits.so", "its first call ended the process with status 0 and without an answer"},
      {"oldversion.so", "it is built for version \"19990101\" of the interface"},
  };
  for (const auto& [name, text] : kCases) {
    Implementations({name});
    EXPECT_EQ(Status(kAllPass), 3) << name;
    const json certificate = Certificate();
    EXPECT_EQ(certificate["verdict"], "UNUSABLE") << name;
    EXPECT_EQ(certificate["hosts"][0]["totals"]["tests"], 0) << name;
    const std::string reason = certificate["reason"];
    EXPECT_TRUE(reason.starts_with(implementation() + ": " + text)) << reason;
    EXPECT_TRUE(Says("verdict: UNUSABLE: " + reason)) << out();
  }
  options_.implementations[0].path = dir_ + "/none.so";
  EXPECT_EQ(Status(kAllPass), 3);
  EXPECT_TRUE(Says("none.so: the implementation cannot be read: No such file or directory"));
  options_.implementations[0].path = dir_;
  EXPECT_EQ(Status(kAllPass), 3);
  EXPECT_TRUE(Says("not a shared object: this is no regular file"));
}

TEST_F(CertifyTest, CertifiesSeveralHostsInOne) {
  Implementations({"good.so", "hosted.so"});
  EXPECT_EQ(Status("ATT_05.Pass ATT_06.NotHosted"), 0) << out();
  const json certificate = Certificate();
  EXPECT_EQ(certificate["hosts"][0]["name"], "live");
  EXPECT_EQ(certificate["hosts"][1]["name"], "hosted");
  EXPECT_EQ(certificate["hosts"][1]["implementation"]["capabilities"], json({"fork"}));
  EXPECT_EQ(certificate["hosts"][1]["totals"]["not_applicable"], 1);
  EXPECT_TRUE(Says("  not tested     ATT-06: needs exec\n")) << out();
  EXPECT_TRUE(Complains("hosted.so: chapter 3 Attaching: 1 of 2 tests passed")) << err();

  Implementations({"hosted.so", "hosted2.so"});
  EXPECT_EQ(Status("ATT_05.Pass ATT_06.NotHosted"), 1) << out();
  EXPECT_EQ(Certificate()["verdict"], "PARTIAL");
  EXPECT_TRUE(Says("  on no host     ATT-06: hosted 1: needs exec; hosted 2: needs exec\n"))
      << out();

  // The others are tested all the same.
  Implementations({"crash.so", "good.so"});
  EXPECT_EQ(Status(kAllPass), 3) << out();
  EXPECT_EQ(Certificate()["hosts"][0]["verdict"], "UNUSABLE");
  EXPECT_EQ(Certificate()["hosts"][1]["verdict"], "PASS");
}

TEST_F(CertifyTest, KeepsHistoriesAndSchedulesOfWhatFailed) {
  Implementations({"good.so", "hosted.so"});
  options_.schedules = 20;
  EXPECT_EQ(Status("ATT_05.Pass ATT_06.Breach"), 1);
  EXPECT_EQ(ReadFile(dir_ + "/report/histories/1/ATT_06.Breach.history"),
            "the history of ATT_06.Breach\n");
  const json certificate = Certificate();
  EXPECT_EQ(certificate["schedules"], "--schedules 20");
  const json& tests = certificate["clauses"][1]["tests"];
  EXPECT_EQ(tests[0]["witness"], "REP-03: two callbacks overlap");
  EXPECT_EQ(tests[0]["history"], "histories/1/ATT_06.Breach.history");
  EXPECT_FALSE(tests[0].contains("schedule")) << "a live one has none";
  EXPECT_EQ(tests[1]["history"], "histories/2/ATT_06.Breach.history");
  EXPECT_EQ(tests[1]["schedule"], "--schedules 20");
  EXPECT_TRUE(Says("  witness        REP-03: two callbacks overlap\n")) << out();
}

TEST_F(CertifyTest, ShowsWaivers) {
  options_.waivers = dir_ + "/waivers";
  std::ofstream(options_.waivers) << "ATT-06 see ticket 17\n";
  EXPECT_EQ(Status("ATT_05.Pass ATT_06.Fail"), 5) << out();
  EXPECT_TRUE(Says("WAIVED FAIL ATT-06 Fail (MUST)\n")) << out();
  EXPECT_TRUE(Says("verdict: PASS WITH WAIVERS: ATT-06 not kept, as declared\n")) << out();
  EXPECT_EQ(Certificate()["waivers"][0]["reason"], "see ticket 17");
  EXPECT_EQ(Certificate()["clauses"][1]["state"], "WAIVED");

  EXPECT_EQ(Status("ATT_05.Pass ATT_06.Pass"), 4) << out();
  std::ofstream(options_.waivers) << "ATT-66 see ticket 17\n";
  EXPECT_EQ(Status("ATT_05.Pass ATT_06.Fail"), kExitUsage);
  EXPECT_TRUE(Complains("waivers: line 1: the specification has no clause")) << err();
  options_.waivers = dir_ + "/none";
  EXPECT_EQ(Status("ATT_05.Pass ATT_06.Fail"), kExitUsage);
  EXPECT_TRUE(Complains("none cannot be read: No such file")) << err();
}

// What the run leaves is what the checker wants.
TEST_F(CertifyTest, LeavesAPackageThatCheckAccepts) {
  EXPECT_EQ(Status("ATT_05.Pass ATT_05.Crash2 ATT_06.Fail REF_01.Broken"), 1);
  Suite suite = {&*table_, options_.covered, {}};
  std::string error;
  ASSERT_TRUE(ListAllTests(options_.runner, *table_, &suite.tests, &error)) << error;
  EXPECT_EQ(CheckCertificate(suite, dir_ + "/report", options_.out, options_.err), kCheckRejected);
  fflush(options_.err);
  EXPECT_TRUE(err().ends_with("report: the verdict is FAIL: 2 tests of MUST clauses failed\n"))
      << err();
  EXPECT_EQ(Status(kAllPass), 0);
  ASSERT_TRUE(ListAllTests(options_.runner, *table_, &suite.tests, &error)) << error;
  EXPECT_EQ(CheckCertificate(suite, dir_ + "/report/certificate.json", options_.out, options_.err),
            kCheckGood);
  EXPECT_EQ(system(fmt::format("cd {}/report && sha256sum --quiet -c SHA256SUMS", dir_).c_str()),
            0);
}

TEST_F(CertifyTest, TellsOfACertificateThatCannotBeWritten) {
  options_.junit = "/dev/full/junit.xml";
  EXPECT_EQ(Status(kAllPass), 4);
  EXPECT_TRUE(Complains("cannot write /dev/full/junit.xml")) << err();
  EXPECT_TRUE(Says("verdict: PASS"));
}

}  // namespace
}  // namespace utrace::certify
