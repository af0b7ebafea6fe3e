// Judges a history against the ordering clauses, edge by edge.
//
// A recorder sits inside the engine and around the calls: a callback's recorded beginning is later
// than its true one, its recorded return earlier; a call's are the other way round. The judge convicts
// only what is wrong in every execution that the record allows. Engines whose attach is not in the
// record are not judged.
#ifndef CONFORMANCE_HISTORY_JUDGE_H_
#define CONFORMANCE_HISTORY_JUDGE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "conformance/history/edge.h"

namespace utrace::history {

struct Breach {
  std::string clauses;        // "CTL-10, CTL-12"
  std::string sentence;       // what is wrong
  std::vector<Edge> witness;  // the lines that show it, in order
};
// "CTL-10, CTL-12: what is wrong" and a line for each line of the witness.
std::string Describe(const Breach& breach);

// Memory grows with the operations that are open and the engines and tasks named, not with the
// edges. One thread at a time.
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
  size_t task_count() const { return tasks_.size(); }
  size_t engine_count() const { return engines_.size(); }

 private:
  struct Open {
    Edge edge;
    bool sole = true;          // no other set_events of the engine overlaps it
    uint64_t mask_before = 0;  // set_events: the bits that may have been on when it began
    Edge detached;             // of its engine, when it began
  };
  struct Engine {
    bool known = false;          // its attach is in the record
    uint64_t possible = 0;       // event bits that may be on
    uint64_t certain = 0;        // event bits that surely are
    Edge events;                 // what last determined `possible`
    uint64_t quiesce_since = 0;  // the line since which QUIESCE is certain
    uint64_t pair_since = 0;     // likewise both system call events
    bool unsettled = false;      // the last mask was answered by -EINPROGRESS
    uint64_t unsettled_mask = 0;
    int setting = 0;  // set_events calls that are open
    Edge detached;    // a DETACH that returned zero, or a result of DETACH
    bool by_result = false;
    Edge death, reap, release;
    Edge last_specific, last_exit;
    Edge last_quiesce;
    uint64_t last_quiesce_event = 0;
    bool quiesce_is_last = false;
    uint64_t entries_since_exit = 0;
    std::map<uint64_t, Edge> running;  // callbacks, by operation
  };
  struct Task {
    std::map<uint64_t, Edge> running;
  };

  void BeginCallback(const Edge& edge);
  void CheckAlive(const Edge& edge, const Engine& engine);
  void CheckMask(const Edge& edge, const Engine& engine);
  void CheckSequence(const Edge& edge, Engine* engine);
  void ReturnCallback(const Open& open, const Edge& edge);
  void ReturnSetEvents(const Open& open, const Edge& edge);
  void ReturnControl(const Open& open, const Edge& edge);
  void ReturnBarrier(const Open& open, const Edge& edge);
  void Determine(Engine* engine, uint64_t certain, uint64_t line);
  void Convict(std::string clauses, std::string sentence, std::vector<Edge> witness);
  bool Fail(const Edge& edge, const std::string& why);

  std::map<uint64_t, Open> open_;
  std::map<uint32_t, Engine> engines_;
  std::map<uint32_t, Task> tasks_;
  std::vector<Breach> breaches_;
  uint64_t breach_count_ = 0;
  uint64_t edges_ = 0;
  uint64_t callbacks_ = 0;
  std::string error_;
};

}  // namespace utrace::history

#endif  // CONFORMANCE_HISTORY_JUDGE_H_
