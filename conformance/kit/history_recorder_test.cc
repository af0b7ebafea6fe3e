// What the recorder writes for an implementation that the test plays itself.
#include "conformance/kit/history_recorder.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "conformance/history/check_file.h"
#include "conformance/kit/engine.h"

namespace utrace::kit {
namespace {

using history::Edge;
using history::What;

utrace_engine the_engine;
int the_task;
int the_child;
utrace_task* Task() { return reinterpret_cast<utrace_task*>(&the_task); }
utrace_task* Child() { return reinterpret_cast<utrace_task*>(&the_child); }

// What the played implementation answers next.
int answer = 0;
void* attach_answer = &the_engine;
// What happens during its next attach.
std::function<void()> meanwhile;

Api Played() {
  Api api;
  api.utrace_attach_task = [](utrace_task*, int, const utrace_engine_ops*, void*) {
    if (meanwhile) std::exchange(meanwhile, nullptr)();
    return static_cast<utrace_engine*>(attach_answer);
  };
  api.utrace_engine_put = [](utrace_engine*) {};
  api.utrace_set_events = [](utrace_task*, utrace_engine*, unsigned long) { return answer; };
  api.utrace_set_events_pid = [](utrace_pid*, utrace_engine*, unsigned long) { return answer; };
  api.utrace_control = [](utrace_task*, utrace_engine*, enum utrace_resume_action) {
    return answer;
  };
  return api;
}

class HistoryRecorder : public ::testing::Test {
 protected:
  void SetUp() override {
    static const Api recording = RecordingApi(Played());
    api_ = recording;
    answer = 0;
    attach_answer = &the_engine;
    SetHistoryDirectory(::testing::TempDir());
    StartHistory();
  }

  utrace_engine* Attach(int flags = UTRACE_ATTACH_CREATE) {
    return api_.utrace_attach_task(Task(), flags, nullptr, this);
  }
  int Set(unsigned long events) { return api_.utrace_set_events(Task(), &the_engine, events); }
  static RecordedCallback Begin(What what, utrace_task* task = Task(), pid_t tid = 100) {
    Edge edge;
    edge.what = what;
    edge.acts = true;
    edge.action = UTRACE_RESUME;
    return BeginRecorded(edge, &the_engine, task, tid);
  }
  static void Call(What what, int64_t result = UTRACE_RESUME) { EndRecorded(Begin(what), result); }

  static std::vector<std::string> Lines(const std::string& path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

  Api api_;
};

// Whether one of the lines holds the text.
bool Holds(const std::vector<std::string>& lines, const std::string& text) {
  for (const std::string& line : lines) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

TEST_F(HistoryRecorder, WritesCallsAndCallbacksWithTheirArguments) {
  Attach();
  Set(UTRACE_EVENT(SIGNAL_TERM));
  Edge edge;
  edge.what = What::kSignal;
  edge.acts = edge.dequeued = true;
  edge.action = Answer(UTRACE_SIGNAL_IGN, UTRACE_RESUME);
  edge.signal = 15;
  EndRecorded(BeginRecorded(edge, &the_engine, Task(), 100), UTRACE_SIGNAL_TERM);
  answer = -ESRCH;
  EXPECT_EQ(-ESRCH, api_.utrace_control(Task(), &the_engine, UTRACE_INTERRUPT));
  attach_answer = UTRACE_ERR_PTR(-ENOENT);
  Attach(0);
  api_.utrace_engine_put(&the_engine);
  RecordRelease(this);
  FinishHistory();
  const std::string path = KeepHistory("Writes");
  const std::vector<std::string> lines = Lines(path);
  ASSERT_EQ(16U, lines.size());
  EXPECT_EQ("{\"format\":\"utrace-history-1\",\"test\":\"Writes\"}", lines[0]);
  EXPECT_TRUE(Holds(lines, ",\"what\":\"attach\",\"task\":1}"));
  EXPECT_TRUE(Holds(lines, ",\"result\":0,\"engine\":1}"));
  EXPECT_TRUE(Holds(lines, ",\"what\":\"set_events\",\"task\":1,\"engine\":1,\"events\":2048}"));
  EXPECT_TRUE(Holds(lines,
                    ",\"what\":\"report_signal\",\"task\":1,\"engine\":1,\"action\":21,"
                    "\"signal\":15,\"dequeued\":1}"));
  EXPECT_TRUE(Holds(lines, ",\"result\":32}"));
  EXPECT_TRUE(Holds(lines, ",\"what\":\"control\",\"task\":1,\"engine\":1,\"action\":1}"));
  EXPECT_TRUE(Holds(lines, ",\"result\":-3}"));
  EXPECT_TRUE(Holds(lines, ",\"what\":\"lookup\",\"task\":1}"));
  EXPECT_TRUE(Holds(lines, ",\"result\":-2}"));
  EXPECT_TRUE(Holds(lines, ",\"what\":\"put\",\"task\":1,\"engine\":1}"));
  EXPECT_TRUE(Holds(lines, ",\"what\":\"release\",\"task\":1,\"engine\":1}"));
  EXPECT_EQ("{\"end\":14}", lines[15]);
  EXPECT_EQ(0, history::CheckFile(path, stdout, stderr));
}

TEST_F(HistoryRecorder, ABreachIsToldAndKept) {
  Attach();
  Set(UTRACE_EVENT(EXEC));
  api_.utrace_control(Task(), &the_engine, UTRACE_DETACH);
  Call(What::kExec);
  const std::string witness = FinishHistory();
  EXPECT_EQ(0U, witness.find("CTL-10, CTL-12, CTL-15, REA-07: report_exec of engine 1")) << witness;
  EXPECT_EQ(witness, HistoryWitness());
  EXPECT_EQ(1, history::CheckFile(KeepHistory("Breach"), stdout, stderr));
}

TEST_F(HistoryRecorder, WhoCallsInACallbackHasItsTaskAsContext) {
  Attach();
  Set(UTRACE_EVENT(EXEC));
  const RecordedCallback callback = Begin(What::kExec);
  std::thread([&] { Set(UTRACE_EVENT(EXEC)); }).join();
  api_.utrace_set_events_pid(nullptr, &the_engine, UTRACE_EVENT(EXEC) | UTRACE_EVENT(CLONE));
  EndRecorded(callback, UTRACE_RESUME);
  Set(0);
  FinishHistory();
  int in_context = 0;
  for (const std::string& line : Lines(KeepHistory("Context"))) {
    if (line.find("\"context\"") == std::string::npos) continue;
    ++in_context;
    EXPECT_NE(std::string::npos, line.find("\"task\":1,\"engine\":1,\"context\":1,\"events\":12}"))
        << line;
  }
  EXPECT_EQ(1, in_context);
}

// Threads of control need not be threads: here all calls are made by one.
uint64_t current_fiber = 1;

TEST_F(HistoryRecorder, TheThreadOfControlCanBeTold) {
  SetThreadOfControl([] { return current_fiber; });
  Attach();
  Set(UTRACE_EVENT(EXEC));
  const RecordedCallback callback = Begin(What::kExec);
  current_fiber = 2;
  Set(UTRACE_EVENT(EXEC));
  current_fiber = 1;
  EndRecorded(callback, UTRACE_RESUME);
  FinishHistory();
  EXPECT_FALSE(Holds(Lines(KeepHistory("Fibers")), "\"context\""));
}

TEST_F(HistoryRecorder, AnEngineAtTheSameAddressIsAnotherEngine) {
  EXPECT_EQ(&the_engine, Attach());
  api_.utrace_control(Task(), &the_engine, UTRACE_DETACH);
  api_.utrace_engine_put(&the_engine);
  Attach();
  Set(UTRACE_EVENT(EXEC));
  Call(What::kExec);
  EXPECT_EQ("", FinishHistory());
  EXPECT_TRUE(
      Holds(Lines(KeepHistory("Again")), "\"what\":\"report_exec\",\"task\":1,\"engine\":2"));
}

// Before the attach of an engine returned, others may have found it, used it and dropped it.
TEST_F(HistoryRecorder, AnEngineCanBeFoundBeforeItsAttachReturned) {
  Attach();
  api_.utrace_control(Task(), &the_engine, UTRACE_DETACH);
  api_.utrace_engine_put(&the_engine);
  meanwhile = [this] {
    Attach(0);
    Set(UTRACE_EVENT(EXEC));
    api_.utrace_engine_put(&the_engine);
  };
  Attach();
  Call(What::kExec);
  EXPECT_EQ("", FinishHistory());
  const std::vector<std::string> lines = Lines(KeepHistory("Found"));
  EXPECT_TRUE(Holds(lines, "\"what\":\"set_events\",\"task\":1,\"engine\":2"));
  EXPECT_TRUE(Holds(lines, "\"what\":\"report_exec\",\"task\":1,\"engine\":2"));
}

TEST_F(HistoryRecorder, ANewbornAtTheSameAddressIsAnotherTask) {
  EXPECT_EQ(1U, RecordedChild(Child(), 200));
  EXPECT_EQ(1U, RecordedChild(Child(), 200));
  EXPECT_EQ(2U, RecordedChild(Child(), 300));
  EndRecorded(Begin(What::kExec, Child(), 301), UTRACE_RESUME);  // a thread id changes by exec
  EXPECT_EQ(2U, RecordedChild(Child(), 301));
  FinishHistory();
}

// Far more edges than are kept in memory: the file still has all of them.
TEST_F(HistoryRecorder, LongHistoriesAreComplete) {
  Attach();
  Set(UTRACE_EVENT(EXEC));
  constexpr int kCallbacks = 100000;
  for (int i = 0; i < kCallbacks; ++i) Call(What::kExec);
  api_.utrace_control(Task(), &the_engine, UTRACE_DETACH);
  Call(What::kExec);
  const std::string witness = FinishHistory();
  EXPECT_NE(std::string::npos, witness.find("  line 200008: {\"begin\":")) << witness;
  const std::string path = KeepHistory("Long");
  EXPECT_EQ(1, history::CheckFile(path, stdout, stderr));
  EXPECT_EQ("{\"end\":200008}", Lines(path).back());
}

TEST_F(HistoryRecorder, NothingOfAnOldHistoryGetsIntoANewOne) {
  const RecordedCallback late = Begin(What::kExec);
  FinishHistory();
  Call(What::kExec);  // between two
  StartHistory();
  EndRecorded(late, UTRACE_RESUME);
  EXPECT_EQ("", FinishHistory());
  EXPECT_EQ(2U, Lines(KeepHistory("New")).size());
}

}  // namespace
}  // namespace utrace::kit
