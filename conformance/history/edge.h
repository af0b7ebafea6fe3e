// The beginning or the return of one call or callback: a line of a history (docs/history.md).
#ifndef CONFORMANCE_HISTORY_EDGE_H_
#define CONFORMANCE_HISTORY_EDGE_H_

#include <cstdint>
#include <string>

#include "conformance/history/what.h"

namespace utrace::history {

// The first line of a history names it by this.
inline constexpr const char* kFormat = "utrace-history-1";

// Plain data: copied often, and by recorders in places where nothing may be allocated.
struct Edge {
  uint64_t id = 0;  // names the operation from its beginning to its return
  bool begins = false;

  // Of a beginning:
  What what = What::kAttach;
  uint32_t task = 0;
  uint32_t engine = 0;    // also of a successful attach's or lookup's return
  uint32_t context = 0;   // the task in whose callback the caller is; zero: a controller
  uint32_t child = 0;     // report_clone: the new task
  uint64_t events = 0;    // set_events: the mask; report_quiesce: the event bit or zero
  uint32_t action = 0;    // control: the action; callbacks: the action so far
  bool acts = false;      // whether `action` says anything
  bool numbered = false;  // whether `call` does
  bool dequeued = false;  // report_signal: a signal was taken from the queue
  int signal = 0;         // report_signal: its number
  int64_t call = 0;       // report_syscall_*: the number of the system call

  int64_t result = 0;  // of a return

  uint64_t line = 0;  // in the history; zero: no edge
};

// The edge as a line, without its newline; the fields that say nothing are left out.
std::string Text(const Edge& edge);
// The end line of a history with that many edges, likewise.
std::string EndText(uint64_t edges);

}  // namespace utrace::history

#endif  // CONFORMANCE_HISTORY_EDGE_H_
