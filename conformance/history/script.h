// Writes histories for tests of the judge.
#ifndef CONFORMANCE_HISTORY_SCRIPT_H_
#define CONFORMANCE_HISTORY_SCRIPT_H_

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "conformance/history/judge.h"
#include "conformance/history/reader.h"
#include "core/utrace.h"

namespace utrace::history {

inline constexpr unsigned long kQuiesce = UTRACE_EVENT(QUIESCE);
inline constexpr unsigned long kEntry = UTRACE_EVENT(SYSCALL_ENTRY);
inline constexpr unsigned long kExit = UTRACE_EVENT(SYSCALL_EXIT);
inline constexpr unsigned long kExec = UTRACE_EVENT(EXEC);
inline constexpr unsigned long kClone = UTRACE_EVENT(CLONE);
inline constexpr unsigned long kReap = UTRACE_EVENT(REAP);
inline constexpr unsigned long kDeath = UTRACE_EVENT(DEATH);
inline constexpr unsigned long kSignals = UTRACE_EVENT_SIGNAL_ALL;

// Task 1 and engine 1 until told otherwise.
class Script {
 public:
  Script() { text_ = "{\"format\":\"utrace-history-1\",\"implementation\":\"test\"}\n"; }

  Script& On(int engine) {
    engine_ = engine;
    return *this;
  }
  Script& OfTask(int task) {
    task_ = task;
    return *this;
  }

  int Begin(const std::string& what, const std::string& more = "") {
    const int id = ++last_;
    const bool names_engine = what != "attach" && what != "lookup";
    Line("{\"begin\":" + std::to_string(id) + ",\"what\":\"" + what + "\",\"task\":" +
         std::to_string(task_) + (names_engine ? ",\"engine\":" + std::to_string(engine_) : "") +
         (more.empty() ? "" : "," + more) + "}");
    return id;
  }
  Script& Return(int id, long result = 0, const std::string& more = "") {
    Line("{\"return\":" + std::to_string(id) + ",\"result\":" + std::to_string(result) + more +
         "}");
    return *this;
  }
  Script& Call(const std::string& what, long result = UTRACE_RESUME, const std::string& more = "") {
    return Return(Begin(what, more), result);
  }

  Script& Attach() { return Attached(Begin("attach")); }
  Script& Attached(int id) { return Return(id, 0, ",\"engine\":" + std::to_string(engine_)); }
  Script& Lookup() { return Attached(Begin("lookup")); }
  Script& Set(unsigned long events, long result = 0, const std::string& more = "") {
    return Return(BeginSet(events, more), result);
  }
  int BeginSet(unsigned long events, const std::string& more = "") {
    return Begin("set_events", "\"events\":" + std::to_string(events) + more);
  }
  Script& Control(int action, long result) {
    return Return(Begin("control", "\"action\":" + std::to_string(action)), result);
  }
  Script& Quiesce(unsigned long event, long result = UTRACE_RESUME) {
    return Call("report_quiesce", result, "\"events\":" + std::to_string(event));
  }
  // With the action so far.
  Script& Entry(uint32_t action = UTRACE_RESUME, long result = UTRACE_RESUME, int call = 39) {
    return Call("report_syscall_entry", result,
                "\"action\":" + std::to_string(action) + ",\"call\":" + std::to_string(call));
  }
  Script& Exit(uint32_t action = UTRACE_RESUME, long result = UTRACE_RESUME) {
    return Call("report_syscall_exit", result, "\"action\":" + std::to_string(action));
  }
  Script& Signal(uint32_t action, long result, int signal = 10, int dequeued = 1) {
    return Call("report_signal", result,
                "\"action\":" + std::to_string(action) + ",\"signal\":" + std::to_string(signal) +
                    ",\"dequeued\":" + std::to_string(dequeued));
  }
  std::string CloneOf(int child) const { return "\"child\":" + std::to_string(child); }

  std::string Text() const { return text_ + "{\"end\":" + std::to_string(edges_) + "}\n"; }

  // The clauses of all breaches; an unreadable history gives its error.
  std::vector<std::string> Verdict() const {
    std::vector<std::string> clauses;
    Judge judge;
    const std::string error = Judged(&judge);
    if (!error.empty()) return {error};
    for (const Breach& breach : judge.breaches()) {
      clauses.push_back(breach.clauses);
      EXPECT_FALSE(breach.witness.empty());
      for (size_t i = 1; i < breach.witness.size(); ++i) {
        EXPECT_LT(breach.witness[i - 1].line, breach.witness[i].line);
      }
    }
    return clauses;
  }

  // The numbers of the lines of the only breach's witness.
  std::vector<uint64_t> Witness() const {
    Judge judge;
    EXPECT_EQ("", Judged(&judge));
    EXPECT_EQ(1U, judge.breaches().size());
    std::vector<uint64_t> lines;
    for (const Breach& breach : judge.breaches()) {
      for (const Edge& edge : breach.witness) lines.push_back(edge.line);
    }
    return lines;
  }

 private:
  std::string Judged(Judge* judge) const {
    std::istringstream input(Text());
    Reader reader(&input);
    Edge edge;
    Reader::Next next;
    while ((next = reader.Read(&edge)) == Reader::Next::kEdge) {
      if (!judge->Take(edge)) return judge->error();
    }
    return next == Reader::Next::kError ? reader.error() : "";
  }

  void Line(const std::string& line) {
    text_ += line + "\n";
    ++edges_;
  }

  std::string text_;
  int task_ = 1;
  int engine_ = 1;
  int last_ = 0;
  int edges_ = 0;
};

using Clauses = std::vector<std::string>;
using Lines = std::vector<uint64_t>;
inline const Clauses kNone;

inline Script Attached(unsigned long events) {
  Script script;
  script.Attach().Set(events);
  return script;
}
// Engines 1 to `count`, attached in that order.
inline Script Attached(unsigned long events, int count) {
  Script script;
  for (int engine = 1; engine <= count; ++engine) script.On(engine).Attach().Set(events);
  return script;
}

}  // namespace utrace::history

#endif  // CONFORMANCE_HISTORY_SCRIPT_H_
