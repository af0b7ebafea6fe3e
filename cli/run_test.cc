// `utrace run` on real programs: they run as if nobody watched.
#include <signal.h>

#include <fstream>
#include <sstream>

#include "cli/program_testing.h"

namespace utrace::cli {
namespace {

class RunTest : public ProgramTest {
 protected:
  // The script's output and end under utrace, with $run before the command, and without.
  void ExpectSame(const std::string& script) {
    Run("run=; " + script);
    const std::string output = output_;
    const int status = status_;
    const int signal = signal_;
    Run("run='" + std::string(getenv("utrace")) + " run -o trace.log --'; " + script);
    EXPECT_EQ(output_, output) << script;
    EXPECT_EQ(status_, status) << script;
    EXPECT_EQ(signal_, signal) << script;
    EXPECT_NE(File("trace.log"), "") << script;
  }

  std::string File(const std::string& name) const {
    std::ifstream file(dir_ + "/" + name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
};

TEST_F(RunTest, EndsAsTheCommandEnds) {
  ExpectSame("exec $run true");
  ExpectSame("exec $run sh -c 'echo out; echo err >&2; exit 7'");
  for (const char* signal : {"SEGV", "TERM", "KILL", "INT", "ABRT", "USR1", "RTMIN"}) {
    ExpectSame(std::string("exec $run sh -c 'kill -") + signal + " $$'");
    EXPECT_NE(signal_, 0) << signal;
    EXPECT_FALSE(core_) << signal;
  }
}

TEST_F(RunTest, LeavesInputOutputAndEnvironmentAlone) {
  ExpectSame("echo word | $run cat");
  ExpectSame("$run env | grep -v '^_=' | sort");
  ExpectSame("$run printf '%s|' a '' -- -e '\"x' '{y}' '[z]' 'a b'");
  ExpectSame("$run grep -E '^(Sig(Blk|Ign|Cgt)|NoNewPrivs|Seccomp):' /proc/self/status");
  ExpectSame("trap '' HUP USR1; $run grep '^SigIgn' /proc/self/status");
}

TEST_F(RunTest, LeaksNoDescriptor) {
  // The directory that ls reads is the last in the list.
  ExpectSame("$run ls /proc/self/fd");
  ExpectSame("$run ls /proc/self/fd 2>&-");
  ExpectSame("$run ls /proc/self/fd <&-");
  ExpectSame("exec 7</dev/null; $run ls /proc/self/fd");
}

TEST_F(RunTest, TellsOfACommandThatCannotRun) {
  EXPECT_EQ(Status("$utrace run -- no-such-command"), 127);
  EXPECT_EQ(output_, "utrace run: no-such-command: command not found\n");
  EXPECT_EQ(Status("$utrace run -o /dev/null -- ./none"), 127);
  EXPECT_EQ(output_, "utrace run: ./none: command not found\n");
  EXPECT_EQ(Status("echo x >text; chmod 644 text; $utrace run -o /dev/null -- ./text"), 126);
  EXPECT_TRUE(Says("Permission denied")) << output_;
  EXPECT_EQ(Status("echo '#!/no/shell' >script; chmod +x script; "
                   "$utrace run -o /dev/null -- ./script"),
            127);
  EXPECT_EQ(output_,
            "utrace run: ./script: cannot be executed: the interpreter that it names is "
            "not there\n");
  EXPECT_EQ(Status("printf '\\177ELF' >elf; chmod +x elf; $utrace run -o /dev/null -- ./elf"), 126);
  EXPECT_TRUE(Says("Exec format error")) << output_;
}

TEST_F(RunTest, TellsOfAnEngineThatCannotBeMade) {
  EXPECT_EQ(Status("$utrace run -e bogus -- touch ran"), 125);
  EXPECT_TRUE(Says("-e bogus: there is no engine \"bogus\"")) << output_;
  EXPECT_EQ(Status("$utrace run -o /no/dir/log -- touch ran"), 125);
  EXPECT_TRUE(Says("/no/dir/log")) << output_;
  EXPECT_EQ(Status("$utrace run -e syscall_log -e syscall_log -o log -- touch ran"), 125);
  EXPECT_EQ(Status("test -e ran"), 1);
}

TEST_F(RunTest, UnderstandsACommandWithoutDashes) {
  EXPECT_EQ(Status("$utrace run -o log echo -n a -- b"), 0);
  EXPECT_EQ(output_, "a -- b");
}

TEST_F(RunTest, GivesTwoEnginesTheSameCallsInTheSameOrder) {
  EXPECT_EQ(Status("$utrace run -e syscall_log:output=one -e syscall_log:output=two -- "
                   "sh -c 'ls / | sort | tail -n 1 | cat'"),
            0);
  EXPECT_NE(File("one").find("execve("), std::string::npos) << File("one");
  EXPECT_NE(File("one").find("exited with 0"), std::string::npos);
  // Order is kept for each thread; those of several may interleave in either log.
  EXPECT_EQ(Status("sort -s -k1,1 one >one.sorted; sort -s -k1,1 two >two.sorted; "
                   "diff one.sorted two.sorted"),
            0)
      << output_;
}

TEST_F(RunTest, DoesNoHarmWhereTheLogCannotBeWritten) {
  EXPECT_EQ(Status("$utrace run -- sh -c 'echo ok; exit 5' 2>&-"), 5);
  EXPECT_EQ(output_, "ok\n");
  EXPECT_EQ(Status("$utrace run -o /dev/full -- sh -c 'echo ok; exit 6'"), 6);
  EXPECT_TRUE(output_.starts_with("ok\nutrace run: syscall_log:output=/dev/full: ")) << output_;
  EXPECT_TRUE(Says("No space left on device")) << output_;
  // A reader that goes away.
  EXPECT_EQ(Status("exec 3>&1; { $utrace run -- sh -c 'for n in 1 2 3 4; do ls / >/dev/null; done; "
                   "echo ok >&3; exit 7' 2>&1 >/dev/null; echo status $? >&3; } | head -n 1 "
                   ">/dev/null"),
            0);
  EXPECT_EQ(output_, "ok\nstatus 7\n");
}

TEST_F(RunTest, HandsSignalsOn) {
  EXPECT_EQ(Status("$utrace run -o log -- sh -c 'trap \"echo got it; exit 3\" TERM; "
                   "kill -TERM $PPID; while :; do sleep 0.05; done'"),
            3);
  EXPECT_EQ(output_, "got it\n");
  Run("exec $utrace run -o log -- sh -c 'kill -HUP $PPID; while :; do sleep 0.05; done'");
  EXPECT_EQ(signal_, SIGHUP);
  // What a terminal sends to both is the command's business alone.
  EXPECT_EQ(Status("$utrace run -o log -- sh -c 'kill -INT $PPID; kill -QUIT $PPID; exit 4'"), 4);
}

}  // namespace
}  // namespace utrace::cli
