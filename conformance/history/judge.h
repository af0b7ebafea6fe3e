// Judges a history against the ordering clauses, edge by edge.
//
// A recorder sits inside the engine and around the calls: a callback's recorded beginning is later
// than its true one, its recorded return earlier; a call's are the other way round. The judge convicts
// only what is wrong in every execution that the record allows. Engines whose attach is not in the
// record are not judged.
#ifndef CONFORMANCE_HISTORY_JUDGE_H_
#define CONFORMANCE_HISTORY_JUDGE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "conformance/history/edge.h"
#include "conformance/history/state.h"

namespace utrace::history {

struct Breach {
  std::string clauses;        // "CTL-10, CTL-12"
  std::string sentence;       // what is wrong
  std::vector<Edge> witness;  // the lines that show it, in order
};
// "CTL-10, CTL-12: what is wrong" and a line for each line of the witness.
std::string Describe(const Breach& breach);

// Memory grows with the operations that are open and with the engines and tasks alive, not with the
// edges: of engines that have ended, the last 10,000 are remembered. One thread at a time.
class Judge {
 public:
  // False if the edge makes no sense (an id in use, a return of nothing, too many open operations);
  // error() then says why.
  bool Take(const Edge& edge);
  const std::string& error() const { return error_; }
  // At most 100 are kept; breach_count() counts all.
  const std::vector<Breach>& breaches() const { return breaches_; }
  uint64_t breach_count() const { return breach_count_; }
  uint64_t edge_count() const { return edges_; }
  uint64_t callback_count() const { return callbacks_; }
  size_t task_count() const { return task_count_; }
  size_t engine_count() const { return attached_; }
  // Engines that it knows of at present.
  size_t remembered_count() const { return engines_.size(); }

 private:
  struct Open {
    Edge edge;
    bool sole = true;          // no other set_events of the engine overlaps it
    uint64_t mask_before = 0;  // set_events: the bits that may have been on when it began
    uint64_t settings = 0;     // barrier: set_events calls of its engine that had begun
    bool setting = false;      // barrier: one was open
    Edge leaving;              // barrier: of its engine, when it began
    Edge detached;             // of its engine, when it began
    bool of_newborn = false;   // control: the task's report_clone was in progress
  };

  // judge.cc: callbacks of one engine.
  void BeginCallback(const Edge& edge);
  void BeginRelease(const Edge& edge, EngineState* engine);
  void CheckAlive(const Edge& edge, const EngineState& engine);
  void CheckMask(const Edge& edge, const EngineState& engine);
  void CheckQuiesce(const Edge& edge, EngineState* engine);
  void CheckAlternation(const Edge& edge, EngineState* engine);
  void ReturnCallback(const Open& open, const Edge& edge);

  // calls.cc
  void BeginCall(const Edge& edge, Open* open, EngineState* engine);
  bool ReturnCall(const Open& open, const Edge& edge);
  bool ReturnAttach(const Open& open, const Edge& edge);
  bool ReturnLookup(const Open& open, const Edge& edge);
  void ReturnSetEvents(const Open& open, const Edge& edge);
  void ReturnControl(const Open& open, const Edge& edge);
  void ReturnBarrier(const Open& open, const Edge& edge);
  static void Determine(EngineState* engine, uint64_t certain, uint64_t line);
  void Leave(EngineState* engine, uint64_t line);
  bool IsBeingControlled(uint32_t engine) const;
  void Stop(const Edge& begin, const Edge& since, EngineState* engine, const char* clauses);

  // passes.cc: callbacks of all engines of a task.
  void BeginTurn(const Edge& edge, EngineState* engine);
  void EndTurn(const Open& open, const Edge& edge);
  void EndRun(TaskState* task, Kind next, const Edge& edge);
  bool Joined(const Edge& edge, Turn turn, const Run& run, const EngineState& engine) const;
  void CheckOrder(const Edge& edge, const PassTurn& last, Kind kind, const EngineState& engine);
  void CheckLateAttach(const Edge& edge, const PassTurn& last, Kind kind, bool joined,
                       const EngineState& engine);
  void CheckResume(const Edge& edge, const TaskState& task, bool joined);
  void CheckLeft(const Edge& edge, const Run& run, bool joined);
  void CheckStops(const Edge& edge, TaskState* task, const EngineState& engine);
  void BeginBirth(const Edge& edge);
  void EndBirth(const Edge& clone);

  // An engine that has ended: off its task, and one of those that may be forgotten.
  void End(uint32_t number);

  void Convict(std::string clauses, std::string sentence, std::vector<Edge> witness);
  bool Fail(const Edge& edge, const std::string& why);

  std::map<uint64_t, Open> open_;
  std::map<uint32_t, EngineState> engines_;
  std::map<uint32_t, TaskState> tasks_;
  std::deque<uint32_t> ended_;
  std::vector<Breach> breaches_;
  uint64_t breach_count_ = 0;
  uint64_t edges_ = 0;
  uint64_t callbacks_ = 0;
  uint64_t runs_ = 0;
  size_t attached_ = 0;
  size_t task_count_ = 0;
  std::string error_;
};

}  // namespace utrace::history

#endif  // CONFORMANCE_HISTORY_JUDGE_H_
