// What the judge keeps of each engine and each task.
#ifndef CONFORMANCE_HISTORY_STATE_H_
#define CONFORMANCE_HISTORY_STATE_H_

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "conformance/history/edge.h"
#include "core/utrace.h"

namespace utrace::history {

// What a pass is about: the bit of its event, the bits of all signals, or zero (no event: someone
// asked for a report).
using Kind = uint64_t;

// The two turns that an engine can have in a pass.
enum class Turn { kQuiesce, kOwn };
inline constexpr int kTurns = 2;

struct EngineState {
  bool known = false;  // its attach is in the record
  uint32_t task = 0;   // zero: not known
  Edge attaching, attached;
  int references = 0;  // that callers surely hold
  Edge referenced;     // what last made it so

  // The mask.
  uint64_t possible = 0;                               // event bits that may be on
  uint64_t certain = 0;                                // event bits that surely are
  std::array<uint64_t, UTRACE_EVENT_BITS> since = {};  // the line since which a bit is certain
  Edge events;                                         // what last determined `possible`
  bool unsettled = false;                              // the last mask was answered by -EINPROGRESS
  uint64_t unsettled_mask = 0;
  Edge unsettled_by;              // that call
  Edge settled;                   // the barrier that put it in force, if one did
  int setting = 0;                // set_events calls that are open
  uint64_t settings = 0;          // set_events calls that began
  int detaching = 0;              // DETACH calls that are open
  Edge leaving;                   // a DETACH that was answered by -EINPROGRESS
  Edge detached;                  // a DETACH that returned zero, or a result of DETACH
  bool by_result = false;         // it was a result
  bool by_barrier = false;        // it was in progress until a barrier returned zero
  Edge stop_begin, stop;          // since when the engine surely wants the task stopped
  const char* stop_clauses = "";  // of the rule that says so
  bool over = false;              // reaped, detached or released: nothing is due to it

  Edge death, reap, release;
  Edge last_specific, last_entry, last_exit;
  Edge last_quiesce;
  uint64_t last_quiesce_event = 0;
  bool quiesce_is_last = false;
  uint64_t entries_since_exit = 0;
  bool execed = false;               // report_exec came since the last entry
  std::map<uint64_t, Edge> running;  // callbacks, by operation

  // In the task's present run of passes of one kind:
  uint64_t run = 0;  // which run the rest is about
  struct Turns {
    uint64_t count = 0;
    Edge last;           // beginning of the last one
    uint64_t back = 0;   // line of its return; zero while it runs
    uint64_t place = 0;  // its number among the turns of the run
  };
  std::array<Turns, kTurns> turns = {};
};

// Whether the system call may put another program in the thread's place. The numbers are those of the
// machine that the judge is built for; a call without a number may be anything.
bool MayExec(const Edge& entry);

// A turn in the present run.
struct PassTurn {
  uint32_t engine = 0;  // zero: none
  Turn turn = Turn::kOwn;
  Edge begin, back;     // back.line zero: it runs
  bool joined = false;  // surely in the same pass as the one before
  uint64_t after = 0;   // its pass began after this line
};

// Passes of one kind that follow each other without one of another kind between. Where one ends and the
// next begins is not in the record; the rules allow for every place where it may be.
struct Run {
  uint64_t number = 0;  // zero: none yet
  Kind kind = 0;
  Edge before;              // the last return of a callback of another kind
  uint64_t first_line = 0;  // where it began
  uint64_t turns = 0;       // that began in it
  uint64_t most = 0;        // own turns of the engine that had most: so many passes there were
  Edge most_edge;           // its last one
  std::array<PassTurn, kTurns> last = {};  // the last turn of each sort
  // The last turns, oldest first, as far back as the pass that is going on can reach.
  std::vector<PassTurn> window;
  uint64_t window_place = 0;  // the oldest one's number among the turns of the run
  bool cut = false;           // there were too many to keep
};

struct TaskState {
  bool counted = false;              // among those that the history names
  std::map<uint64_t, Edge> running;  // callbacks, by operation
  std::vector<uint32_t> engines;     // known and not yet ended, in order of their attach's return
  std::vector<uint32_t> stoppers;    // those with `stop`, maybe no longer
  Edge last_return;
  Edge first_entry;
  int controlling = 0;      // control calls on its engines that are open
  uint64_t controlled = 0;  // line of the last edge of one
  Run run;
  std::set<uint64_t> bearing;  // report_clone callbacks that are open and tell of its birth
};

}  // namespace utrace::history

#endif  // CONFORMANCE_HISTORY_STATE_H_
