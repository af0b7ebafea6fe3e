// The command line of `utrace`, and `utrace certify` with an imitated runner.
#include <signal.h>

#include "cli/program_testing.h"

namespace utrace::cli {
namespace {

class UsageTest : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    setenv("certify",
           "eval echo object >good.so; exec \"$utrace\" certify --implementation good.so "
           "--runner \"$runfiles/conformance/certify/fake_runner.sh\"",
           1);
  }
  // A certification of good.so whose runner has these tests.
  int Certify(const std::string& tests, const std::string& arguments) {
    return Status("export FAKE_LIST='" + tests + "' FAKE_DRIVER=$$; eval \"$certify " + arguments +
                  "\"");
  }
};

TEST_F(UsageTest, HelpsAndTellsItsVersion) {
  EXPECT_EQ(Status("$utrace --help"), 0);
  EXPECT_TRUE(Says("Examples:\n  utrace run -- ls")) << output_;
  EXPECT_EQ(Status("$utrace run --help"), 0);
  EXPECT_TRUE(Says("syscall_log")) << output_;
  EXPECT_EQ(Status("$utrace certify --help"), 0);
  EXPECT_TRUE(Says("Exit status: 0 certified")) << output_;
  EXPECT_EQ(Status("$utrace --version"), 0);
  EXPECT_TRUE(Says("(interface 20090421)")) << output_;
}

TEST_F(UsageTest, RefusesWrongUse) {
  for (const char* script :
       {"$utrace", "$utrace bogus", "$utrace --bogus", "$utrace run", "$utrace run --",
        "$utrace run -o", "$utrace certify --jobs 0", "$utrace certify --jobs x",
        "$utrace certify -- x", "$utrace certify --schedules 0",
        "$utrace certify --schedules 2 --schedule random:7", "$utrace certify x",
        "$utrace certify --only", "$utrace check", "$utrace check a b", "$utrace check -- a"}) {
    EXPECT_EQ(Status(script), 2) << script;
    EXPECT_TRUE(output_.starts_with("utrace")) << script << ": " << output_;
  }
}

TEST_F(UsageTest, ChecksAHistory) {
  // The end line counts the lines between itself and the header.
  const std::string write =
      "{ echo '{\"format\":\"utrace-history-1\"}'; echo "
      "'{\"begin\":1,\"what\":\"attach\",\"task\":1}'; "
      "echo '{\"return\":1,\"result\":0,\"engine\":1}'; ";
  EXPECT_EQ(Status(write + "echo '{\"end\":2}'; } >good; $utrace check good"), 0) << output_;
  EXPECT_TRUE(Says("no breach")) << output_;
  EXPECT_EQ(Status(write + "echo '{\"begin\":2,\"what\":\"report_exit\",\"task\":1,\"engine\":1}'; "
                           "echo '{\"return\":2,\"result\":5}'; echo '{\"end\":4}'; } >bad; "
                           "$utrace check bad"),
            1)
      << output_;
  EXPECT_TRUE(Says("ATT-02: report_exit of engine 1")) << output_;
  EXPECT_TRUE(Says("  line 4: {\"begin\":2")) << output_;
  EXPECT_EQ(Status("head -n 2 good >cut; $utrace check cut"), 3);
  EXPECT_TRUE(Says("cut: line 3: the file is cut off")) << output_;
  EXPECT_EQ(Status("$utrace check good >/dev/full"), 3);
  EXPECT_TRUE(Says("good: the verdict cannot be written: No space left")) << output_;
}

TEST_F(UsageTest, CertifiesIntoANewDirectoryHere) {
  EXPECT_EQ(Certify("ATT_05.Pass", "--only ATT-05"), 0) << output_;
  EXPECT_TRUE(Says("verdict: PASS (of a selection")) << output_;
  EXPECT_EQ(Status("ls utrace-certificate-2*/certificate.json"), 0) << output_;
}

TEST_F(UsageTest, TakesSeveralIds) {
  EXPECT_EQ(Certify("ATT_05.Pass CTL_01.Pass REF_01.Fail", "--only ATT,6 --only EVT"), 2);
  EXPECT_TRUE(Says("no test for \"EVT\"")) << output_;
  EXPECT_EQ(Certify("ATT_05.Pass CTL_01.Pass REF_01.Fail", "--only ATT,6 --report r"), 0);
  EXPECT_TRUE(Says("all                                         2      2       2")) << output_;
}

TEST_F(UsageTest, HasAnExitStatusForEachEnd) {
  EXPECT_EQ(Certify("ATT_05.Fail", "--report r"), 1);
  EXPECT_TRUE(Says("certify --implementation " + dir_ + "/good.so --only ATT_05.Fail\n"))
      << output_;
  EXPECT_EQ(Certify("ATT_05.Pass", "--only ATT-055"), 2);
  EXPECT_TRUE(Says("did you mean ATT-05?")) << output_;
  EXPECT_EQ(Certify("ATT_05.Pass", "--report r"), 1);
  EXPECT_TRUE(Says("MUST clauses were tested on no host")) << output_;
  EXPECT_EQ(Status("FAKE_LIST=ATT_05.Pass $utrace certify --implementation none.so --report r "
                   "--runner $runfiles/conformance/certify/fake_runner.sh"),
            3);
  EXPECT_TRUE(Says("none.so: the implementation cannot be read")) << output_;
}

TEST_F(UsageTest, TakesSeveralImplementations) {
  EXPECT_EQ(
      Certify("ATT_05.Pass ATT_06.NotHosted", "--only ATT --report r --implementation none.so"), 3);
  EXPECT_TRUE(Says("host: none.so: the implementation cannot be read")) << output_;
  EXPECT_TRUE(Says("chapter, on host live ")) << output_;
}

TEST_F(UsageTest, TakesWaivers) {
  EXPECT_EQ(Certify("ATT_05.Fail", "--only ATT-05 --report r --waivers <(echo ATT-05 ticket)"), 5);
  EXPECT_TRUE(Says("verdict: PASS WITH WAIVERS: ATT-05 not kept, as declared")) << output_;
}

TEST_F(UsageTest, ChecksACertificate) {
  const std::string check =
      "FAKE_LIST=ATT_05.Pass $utrace check --runner $runfiles/conformance/certify/fake_runner.sh ";
  EXPECT_EQ(Certify("ATT_05.Pass", "--only ATT-05 --report r"), 0) << output_;
  EXPECT_EQ(Status(check + "r"), 1);
  EXPECT_TRUE(Says("r: it was made with a selection, so it certifies nothing: --only ATT-05\n"))
      << output_;
  EXPECT_TRUE(Says("the certificate is rejected\n")) << output_;
  EXPECT_EQ(Status(check + "r/certificate.json"), 1) << output_;
  EXPECT_EQ(Certify("ATT_05.Pass", "--report r"), 1) << output_;
  EXPECT_EQ(Status(check + "r"), 1);
  EXPECT_TRUE(Says("r: ATT-01 was tested on no host (no test)\n")) << output_;
  EXPECT_EQ(Status("rm r/results.jsonl; " + check + "r"), 3);
  EXPECT_TRUE(Says("r: results.jsonl is missing")) << output_;
  EXPECT_EQ(Status(check + "."), 3) << output_;
}

TEST_F(UsageTest, DiesOfTheSignalThatEndsARun) {
  Certify("ATT_05.Term", "--report r");
  EXPECT_EQ(signal_, SIGTERM) << output_;
  EXPECT_TRUE(Says("verdict: INCOMPLETE: ended by SIGTERM")) << output_;
}

TEST_F(UsageTest, WritesNoMessageIntoFilesWhenStderrIsClosed) {
  EXPECT_EQ(Certify("ATT_05.Pass", "--only ATT --report r 2>&- >&-"), 0);
  EXPECT_EQ(Status("head -c 1 r/certificate.json; head -c 5 r/junit.xml"), 0);
  EXPECT_EQ(output_, "{<?xml");
}

}  // namespace
}  // namespace utrace::cli
