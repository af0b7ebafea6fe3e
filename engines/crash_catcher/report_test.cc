#include "engines/crash_catcher/report.h"

#include <sys/user.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "gtest/gtest.h"

namespace utrace::crash {
namespace {

Frame MakeFrame(const std::string& function, const std::string& module, int line = 0) {
  Frame frame;
  frame.pc = 0x1000;
  frame.interrupted = true;
  frame.functions[0].function = function;
  if (line != 0) {
    frame.functions[0].file = "a.c";
    frame.functions[0].line = line;
  }
  frame.module = module;
  frame.module_offset = 0x1139;
  return frame;
}

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    snapshot_.pid = 100;
    snapshot_.tid = 100;
    snapshot_.name = "prog";
    siginfo_t info{};
    info.si_signo = SIGSEGV;
    info.si_code = SEGV_MAPERR;
    snapshot_.signal = info;
    snapshot_.threads.resize(1);
    ThreadState& thread = snapshot_.threads[0];
    thread.tid = 100;
    thread.name = "prog";
    thread.registers.general.resize(sizeof(user_regs_struct));
    frames().push_back(MakeFrame("f", "/bin/prog", 7));
  }
  std::vector<Frame>& frames() { return snapshot_.threads[0].frames; }
  void Abort() {
    snapshot_.signal->si_signo = SIGABRT;
    snapshot_.signal->si_code = SI_TKILL;
    snapshot_.signal->si_pid = snapshot_.pid;
  }

  Snapshot snapshot_;
};

TEST_F(ReportTest, TheSummaryNamesFunctionAndLine) {
  EXPECT_EQ(Summary(snapshot_), "100 (prog) crashed by SIGSEGV in f at a.c:7");
}

TEST_F(ReportTest, TheSummaryIsOneLine) {
  snapshot_.name = "pr\nog\x1b[2J";
  EXPECT_EQ(Summary(snapshot_), "100 (pr\\x0aog\\x1b[2J) crashed by SIGSEGV in f at a.c:7");
}

TEST_F(ReportTest, WhereThereIsNoSourceTheNearestCallerWithOneIsNamedToo) {
  frames().insert(frames().begin(), MakeFrame("strlen", "/lib/libc.so.6"));
  EXPECT_EQ(Summary(snapshot_), "100 (prog) crashed by SIGSEGV in strlen, called from f at a.c:7");
}

TEST_F(ReportTest, WithoutAnyNameThePlaceInTheModuleIsNamed) {
  frames() = {MakeFrame("", "/bin/prog")};
  EXPECT_EQ(Summary(snapshot_), "100 (prog) crashed by SIGSEGV in prog+0x1139");
  frames() = {MakeFrame("", "")};
  EXPECT_EQ(Summary(snapshot_), "100 (prog) crashed by SIGSEGV in no code, at 0x1000");
  frames().clear();
  EXPECT_EQ(Summary(snapshot_), "100 (prog) crashed by SIGSEGV");
}

TEST_F(ReportTest, TheMachineryOfEndingIsNotToBlame) {
  Abort();
  frames().insert(frames().begin(), {MakeFrame("raise", "/lib/libc.so.6", 26),
                                     MakeFrame("abort", "/lib/libc.so.6", 79),
                                     MakeFrame("std::terminate()", "/lib/libstdc++.so.6")});
  EXPECT_EQ(Summary(snapshot_), "100 (prog) crashed by SIGABRT in f at a.c:7");
  // In a static program.
  for (Frame& frame : frames()) frame.module = "/bin/prog";
  EXPECT_EQ(Summary(snapshot_), "100 (prog) crashed by SIGABRT in f at a.c:7");
}

TEST_F(ReportTest, AFunctionThatIsOnlyCalledLikeIt) {
  Abort();
  frames().insert(frames().begin(),
                  {MakeFrame("abort", "/bin/prog", 79), MakeFrame("free_list", "/bin/prog", 5)});
  EXPECT_EQ(Summary(snapshot_), "100 (prog) crashed by SIGABRT in free_list at a.c:5");
}

TEST_F(ReportTest, TheSenderIsNamed) {
  Abort();
  snapshot_.signal->si_pid = 4711;
  snapshot_.signal->si_uid = 1000;
  EXPECT_EQ(Summary(snapshot_),
            "100 (prog) crashed by SIGABRT, sent by process 4711 of user 1000, in f at a.c:7");
}

TEST_F(ReportTest, OfAnEndlessRecursionTheMiddleIsLeftOut) {
  frames().assign(1000, MakeFrame("f", "/bin/prog", 7));
  const std::string text = TextReport(snapshot_);
  EXPECT_NE(text.find("... 880 frames left out ..."), std::string::npos);
  EXPECT_NE(text.find("#99 "), std::string::npos);
  EXPECT_EQ(text.find("#100 "), std::string::npos);
  EXPECT_EQ(text.find("#979 "), std::string::npos);
  EXPECT_NE(text.find("#980 "), std::string::npos);
  EXPECT_NE(text.find("#999 "), std::string::npos);
}

TEST_F(ReportTest, TheCommandLineReadsBack) {
  snapshot_.command_line = {"prog", "-x", "two words", "it's", ""};
  EXPECT_NE(TextReport(snapshot_).find("prog -x 'two words' 'it'\\''s' ''\n"), std::string::npos);
}

TEST_F(ReportTest, JsonHoldsWhateverBytesThereAre) {
  snapshot_.command_line = {"prog", "\xff\xfe"};
  snapshot_.environment = {"A=\"quoted\""};
  const std::string text = JsonReport(snapshot_);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["kind"], "crash");
  EXPECT_EQ(json["signal"]["name"], "SIGSEGV");
  EXPECT_EQ(json["signal"]["address"], "0x0");
  EXPECT_EQ(json["command_line"].size(), 2U);
  EXPECT_EQ(json["environment"][0], "A=\"quoted\"");
  EXPECT_EQ(json["threads"][0]["frames"][0]["functions"][0]["line"], 7);
}

TEST_F(ReportTest, AnAddressThatTheProcessorDoesNotTellIsNotShown) {
  EXPECT_NE(TextReport(snapshot_).find("SEGV_MAPERR, address 0x0\n"), std::string::npos);
  snapshot_.signal->si_code = SI_KERNEL;
  EXPECT_NE(TextReport(snapshot_).find("SI_KERNEL\n"), std::string::npos);
  EXPECT_FALSE(nlohmann::json::parse(JsonReport(snapshot_))["signal"].contains("address"));
}

TEST_F(ReportTest, AHangHasNoSignal) {
  snapshot_.signal.reset();
  snapshot_.trigger = "timeout: it was watched for 30s";
  EXPECT_EQ(Summary(snapshot_), "100 (prog) was reported upon timeout: it was watched for 30s");
  const auto json = nlohmann::json::parse(JsonReport(snapshot_));
  EXPECT_EQ(json["kind"], "hang");
  EXPECT_FALSE(json.contains("signal"));
  EXPECT_EQ(json["trigger"], snapshot_.trigger);
  EXPECT_NE(TextReport(snapshot_).find("Cause:       timeout"), std::string::npos);
}

}  // namespace
}  // namespace utrace::crash
