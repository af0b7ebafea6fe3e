// Each rule: a history that breaks it, and one that nearly does.
#include <errno.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "conformance/history/check_file.h"
#include "conformance/history/judge.h"
#include "conformance/history/reader.h"
#include "core/utrace.h"

namespace utrace::history {
namespace {

constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);
constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);
constexpr unsigned long kReap = UTRACE_EVENT(REAP);
constexpr unsigned long kDeath = UTRACE_EVENT(DEATH);

// Writes histories: task 1, and engine 1 unless told otherwise.
class Script {
 public:
  Script() { text_ = "{\"format\":\"utrace-history-1\",\"implementation\":\"test\"}\n"; }

  int Begin(const std::string& what, const std::string& more = "") {
    const int id = ++last_;
    Line("{\"begin\":" + std::to_string(id) + ",\"what\":\"" + what + "\",\"task\":1" +
         (what == "attach" ? "" : ",\"engine\":1") + (more.empty() ? "" : "," + more) + "}");
    return id;
  }
  Script& Return(int id, long result = 0, const std::string& more = "") {
    Line("{\"return\":" + std::to_string(id) + ",\"result\":" + std::to_string(result) + more +
         "}");
    return *this;
  }
  Script& Attach() { return Return(Begin("attach"), 0, ",\"engine\":1"); }
  Script& Set(unsigned long events, long result = 0, const std::string& more = "") {
    return Return(BeginSet(events, more), result);
  }
  int BeginSet(unsigned long events, const std::string& more = "") {
    return Begin("set_events", "\"events\":" + std::to_string(events) + more);
  }
  Script& Control(int action, long result) {
    return Return(Begin("control", "\"action\":" + std::to_string(action)), result);
  }
  Script& Call(const std::string& what, long result = UTRACE_RESUME, const std::string& more = "") {
    return Return(Begin(what, more), result);
  }
  Script& Quiesce(unsigned long event) {
    return Call("report_quiesce", UTRACE_RESUME, "\"events\":" + std::to_string(event));
  }
  std::string Text() const { return text_ + "{\"end\":" + std::to_string(edges_) + "}\n"; }

  // The clauses of all breaches; an unreadable history gives its error.
  std::vector<std::string> Verdict() const {
    std::istringstream input(Text());
    Reader reader(&input);
    Judge judge;
    Edge edge;
    Reader::Next next;
    while ((next = reader.Read(&edge)) == Reader::Next::kEdge) {
      if (!judge.Take(edge)) return {judge.error()};
    }
    if (next == Reader::Next::kError) return {reader.error()};
    std::vector<std::string> clauses;
    for (const Breach& breach : judge.breaches()) {
      clauses.push_back(breach.clauses);
      EXPECT_FALSE(breach.witness.empty());
      for (size_t i = 1; i < breach.witness.size(); ++i) {
        EXPECT_LT(breach.witness[i - 1].line, breach.witness[i].line);
      }
    }
    return clauses;
  }

 private:
  void Line(const std::string& line) {
    text_ += line + "\n";
    ++edges_;
  }
  std::string text_;
  int last_ = 0;
  int edges_ = 0;
};

using Clauses = std::vector<std::string>;
const Clauses kNone;

Script Attached(unsigned long events) {
  Script script;
  script.Attach().Set(events);
  return script;
}

TEST(Judge, CallbacksOfATaskDoNotOverlap) {
  Script good = Attached(kEntry);
  good.Call("report_syscall_entry").Call("report_syscall_entry");
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry);
  const int first = bad.Begin("report_syscall_entry");
  const int second = bad.Begin("report_syscall_entry");
  bad.Return(first).Return(second);
  EXPECT_EQ(Clauses{"REP-03"}, bad.Verdict());
}

TEST(Judge, NothingAfterADetachThatReturnedZero) {
  Script good = Attached(kEntry);
  const int running = good.Begin("report_syscall_entry");
  good.Control(UTRACE_DETACH, -EINPROGRESS).Return(running, UTRACE_RESUME);
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry);
  bad.Control(UTRACE_DETACH, 0).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"CTL-10, CTL-12, CTL-15, REA-07"}, bad.Verdict());
  // The callback began while the call was under way: it may have come first.
  Script race = Attached(kEntry);
  const int detach = race.Begin("control", "\"action\":6");
  race.Call("report_syscall_entry").Return(detach, 0);
  EXPECT_EQ(kNone, race.Verdict());
}

TEST(Judge, CallsOnADetachedEngine) {
  Script good = Attached(kEntry);
  good.Control(UTRACE_DETACH, 0).Control(UTRACE_DETACH, -ESRCH).Set(0, -ESRCH);
  EXPECT_EQ(kNone, good.Verdict());
  Script twice = Attached(kEntry);
  twice.Control(UTRACE_DETACH, 0).Control(UTRACE_DETACH, 0);
  EXPECT_EQ(Clauses{"CTL-03, CTL-17"}, twice.Verdict());
  Script set = Attached(kEntry);
  set.Control(UTRACE_DETACH, 0).Set(0, 0);
  EXPECT_EQ(Clauses{"EVT-02"}, set.Verdict());
  // A result of DETACH is recorded before it is applied.
  Script result = Attached(kEntry);
  result.Call("report_syscall_entry", UTRACE_DETACH).Control(UTRACE_RESUME, 0);
  EXPECT_EQ(kNone, result.Verdict());
}

TEST(Judge, NothingAfterAResultOfDetach) {
  Script bad = Attached(kEntry);
  bad.Call("report_syscall_entry", UTRACE_DETACH).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"REP-09"}, bad.Verdict());
  Script reap = Attached(kDeath | kReap);
  reap.Call("report_death", UTRACE_DETACH).Call("report_reap");
  EXPECT_EQ(Clauses{"REP-09, REA-03"}, reap.Verdict());
}

TEST(Judge, OnlyWhatTheMaskAllows) {
  Script none;
  none.Attach().Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"ATT-02"}, none.Verdict());
  Script other = Attached(kExit);
  other.Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"EVT-11, EVT-16"}, other.Verdict());
  Script quiesce = Attached(kExit);
  quiesce.Quiesce(kExit);
  EXPECT_EQ(Clauses{"QUI-06, EVT-11"}, quiesce.Verdict());
  Script early;
  early.Attach();
  const int set = early.BeginSet(kEntry);
  early.Call("report_syscall_entry").Return(set, 0);
  EXPECT_EQ(kNone, early.Verdict());
}

TEST(Judge, ADisabledEventIsNotReportedAfterZero) {
  Script bad = Attached(kEntry | kExit);
  bad.Set(kExit, 0).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"EVT-11, EVT-16"}, bad.Verdict());
  Script good = Attached(kEntry | kExit);
  good.Set(kExit, -EINPROGRESS).Call("report_syscall_entry");
  EXPECT_EQ(kNone, good.Verdict());
  // Only a zero with the same mask says that the old callback has ended.
  Script later = Attached(kEntry | kExit);
  later.Set(kExit, -EINPROGRESS).Set(kExit | kReap, 0).Call("report_syscall_entry");
  EXPECT_EQ(kNone, later.Verdict());
  Script same = Attached(kEntry | kExit);
  same.Set(kExit, -EINPROGRESS).Set(kExit, 0).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"EVT-11, EVT-16"}, same.Verdict());
}

TEST(Judge, OverlappingSetEventsDecideNothing) {
  Script script = Attached(kEntry);
  const int first = script.BeginSet(kEntry);
  const int second = script.BeginSet(kExit);
  script.Return(first, 0).Return(second, 0).Call("report_syscall_entry");
  EXPECT_EQ(kNone, script.Verdict());
}

TEST(Judge, WhenSetEventsMayBeInProgress) {
  Script adding = Attached(kEntry);
  adding.Set(kEntry | kExit, -EINPROGRESS);
  EXPECT_EQ(Clauses{"EVT-08"}, adding.Verdict());
  Script current = Attached(kEntry);
  current.Set(0, -EINPROGRESS, ",\"context\":1");
  EXPECT_EQ(Clauses{"EVT-09"}, current.Verdict());
  Script good = Attached(kEntry);
  good.Set(0, -EINPROGRESS);
  EXPECT_EQ(kNone, good.Verdict());
}

TEST(Judge, QuiesceComesFirst) {
  Script good = Attached(kQuiesce | kEntry);
  good.Quiesce(kEntry).Call("report_syscall_entry").Quiesce(0).Quiesce(kEntry);
  good.Call("report_syscall_entry");
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kQuiesce | kEntry);
  bad.Quiesce(kEntry).Call("report_syscall_entry").Quiesce(0).Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"QUI-01"}, bad.Verdict());
  Script death = Attached(kQuiesce | kEntry | kDeath);
  death.Quiesce(kEntry).Call("report_syscall_entry").Call("report_death");
  EXPECT_EQ(Clauses{"QUI-01, QUI-04"}, death.Verdict());
  // QUIESCE may have come between the two turns of the engine in one report.
  Script late = Attached(kEntry);
  late.Set(kQuiesce | kEntry).Call("report_syscall_entry");
  EXPECT_EQ(kNone, late.Verdict());
}

TEST(Judge, EntryAndExitAlternate) {
  Script good = Attached(kEntry | kExit);
  good.Call("report_syscall_exit").Call("report_syscall_entry").Call("report_syscall_exit");
  EXPECT_EQ(kNone, good.Verdict());
  Script bad = Attached(kEntry | kExit);
  bad.Call("report_syscall_exit").Call("report_syscall_exit");
  EXPECT_EQ(Clauses{"SYS-10"}, bad.Verdict());
  Script changed = Attached(kEntry | kExit);
  changed.Call("report_syscall_exit").Set(kExit).Set(kEntry | kExit).Call("report_syscall_exit");
  EXPECT_EQ(kNone, changed.Verdict());
}

TEST(Judge, DeathOnceThenReapThenNothing) {
  Script good = Attached(kDeath | kReap);
  good.Call("report_death").Call("report_reap").Call("release");
  EXPECT_EQ(kNone, good.Verdict());
  Script twice = Attached(kDeath);
  twice.Call("report_death").Call("report_death");
  EXPECT_EQ(Clauses{"DTH-01"}, twice.Verdict());
  Script order = Attached(kDeath | kReap);
  order.Call("report_reap").Call("report_death");
  EXPECT_EQ(Clauses{"REA-01, REA-02"}, order.Verdict());
  Script after = Attached(kDeath | kReap);
  after.Call("report_reap").Call("report_reap");
  EXPECT_EQ(Clauses{"REA-01"}, after.Verdict());
}

TEST(Judge, ReleaseOnceAndLast) {
  Script twice = Attached(kEntry);
  twice.Call("release").Call("release");
  EXPECT_EQ(Clauses{"REF-03"}, twice.Verdict());
  Script after = Attached(kEntry);
  after.Call("release").Call("report_syscall_entry");
  EXPECT_EQ(Clauses{"REF-05"}, after.Verdict());
  Script inside = Attached(kEntry);
  const int running = inside.Begin("report_syscall_entry");
  inside.Call("release").Return(running);
  EXPECT_EQ(Clauses{"REF-05"}, inside.Verdict());
}

TEST(Judge, BarrierWaitsForWhatRan) {
  const auto barrier = [](const std::string& more, bool before) {
    Script script = Attached(kEntry);
    int running = before ? script.Begin("report_syscall_entry") : 0;
    const int call = script.Begin("barrier", more);
    if (!before) running = script.Begin("report_syscall_entry");
    script.Return(call, 0).Return(running);
    return script.Verdict();
  };
  EXPECT_EQ(Clauses{"BAR-03, BAR-10"}, barrier("", true));
  EXPECT_EQ(kNone, barrier("\"context\":1", true));
  EXPECT_EQ(kNone, barrier("", false));
}

TEST(Judge, SigkillIsNotReported) {
  const auto signal = [](int number, int dequeued) {
    Script script = Attached(kQuiesce);
    script.Call(
        "report_signal", UTRACE_RESUME,
        "\"signal\":" + std::to_string(number) + ",\"dequeued\":" + std::to_string(dequeued));
    return script.Verdict();
  };
  EXPECT_EQ(Clauses{"SIG-14"}, signal(9, 1));
  EXPECT_EQ(kNone, signal(9, 0));  // put there by an engine
  EXPECT_EQ(kNone, signal(15, 1));
}

TEST(Judge, EnginesOfUnknownOriginAreNotJudged) {
  Script script;
  script.Call("report_syscall_entry").Call("release").Call("report_syscall_entry");
  EXPECT_EQ(kNone, script.Verdict());
}

// ---- Files -------------------------------------------------------------------------------------

struct Checked {
  int code;
  std::string out;
  std::string err;
};

std::string ReadAll(FILE* file) {
  rewind(file);
  std::string text;
  for (int c; (c = fgetc(file)) != EOF;) text.push_back(static_cast<char>(c));
  fclose(file);
  return text;
}

Checked Check(const std::string& text) {
  const std::string path = std::string(getenv("TEST_TMPDIR")) + "/history";
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  FILE* out = tmpfile();
  FILE* err = tmpfile();
  const int code = CheckFile(path, out, err);
  return {code, ReadAll(out), ReadAll(err)};
}

TEST(CheckFile, SaysWhatIsBrokenAndShowsTheLines) {
  Script bad = Attached(kEntry);
  bad.Control(UTRACE_DETACH, 0).Call("report_syscall_entry");
  const Checked checked = Check(bad.Text());
  EXPECT_EQ(1, checked.code);
  EXPECT_NE(std::string::npos, checked.out.find("CTL-10")) << checked.out;
  EXPECT_NE(std::string::npos, checked.out.find("line 7: {\"return\":3")) << checked.out;
  EXPECT_NE(std::string::npos, checked.out.find("line 8: {\"begin\":4")) << checked.out;
  EXPECT_EQ(0, Check(Attached(kEntry).Text()).code);
}

TEST(CheckFile, AnyCutIsSeen) {
  const std::string text = Attached(kEntry).Text();
  for (size_t size = 0; size < text.size(); ++size) {
    const Checked checked = Check(text.substr(0, size));
    EXPECT_EQ(3, checked.code) << size;
    EXPECT_NE(std::string::npos, checked.err.find("line ")) << checked.err;
  }
}

TEST(CheckFile, HostileFilesGiveALineAndAReason) {
  const std::string header = "{\"format\":\"utrace-history-1\"}\n";
  const std::vector<std::string> bodies = {
      "[]\n",
      "{\"begin\":1}\n",
      "{\"begin\":-1,\"what\":\"attach\",\"task\":1}\n",
      "{\"begin\":1,\"what\":\"attach\",\"task\":4294967296}\n",
      "{\"begin\":1,\"what\":\"attach\",\"task\":1.5}\n",
      "{\"begin\":1,\"what\":\"attach\",\"task\":1,\"colour\":2}\n",
      "{\"begin\":1,\"what\":\"walk\",\"task\":1}\n",
      "{\"return\":1,\"result\":0}\n",
      "{\"return\":1,\"result\":18446744073709551615}\n",
      "{\"end\":7}\n",
      "{\"end\":0}\nmore\n",
      std::string(3, '\0') + "\n",
      "\xff\xfe\n",
      std::string(4000, '[') + "\n",
      std::string(100000, ' ') + "\n"};
  for (const std::string& body : bodies) {
    const Checked checked = Check(header + body);
    EXPECT_EQ(3, checked.code) << body;
    EXPECT_TRUE(checked.err.find("line 2: ") != std::string::npos ||
                checked.err.find("line 3: ") != std::string::npos)
        << checked.err;
  }
  EXPECT_EQ(3, Check("{\"format\":\"something else\"}\n").code);
}

TEST(CheckFile, SaysWhatCannotBeRead) {
  for (const char* path : {"/nonexistent/history", "/"}) {
    FILE* none = tmpfile();
    EXPECT_EQ(3, CheckFile(path, none, none));
    const std::string said = ReadAll(none);
    EXPECT_NE(std::string::npos, said.find("cannot be read")) << said;
  }
}

TEST(CheckFile, AVerdictThatCannotBeWrittenIsNone) {
  const std::string path = std::string(getenv("TEST_TMPDIR")) + "/history";
  std::ofstream(path, std::ios::binary | std::ios::trunc) << Attached(kEntry).Text();
  FILE* full = fopen("/dev/full", "w");
  ASSERT_NE(nullptr, full);
  FILE* err = tmpfile();
  EXPECT_EQ(3, CheckFile(path, full, err));
  fclose(full);
  const std::string said = ReadAll(err);
  EXPECT_NE(std::string::npos, said.find("No space left on device")) << said;
}

TEST(CheckFile, NothingInAFileActsOnATerminal) {
  Script bad;
  const int call = bad.Begin("attach");
  bad.Return(call, 0, ",\"engine\":1").Call("report_syscall_entry");
  std::string text = bad.Text();
  // JSON lets blanks stand anywhere, and the header hold any text; a witness is a line as it was.
  const size_t at = text.find("\"what\":\"report_syscall_entry\"");
  ASSERT_NE(std::string::npos, at);
  text.insert(at, "\t");
  const Checked checked = Check(text);
  EXPECT_EQ(1, checked.code) << checked.err;
  EXPECT_EQ(std::string::npos, checked.out.find('\t'));
}

}  // namespace
}  // namespace utrace::history
