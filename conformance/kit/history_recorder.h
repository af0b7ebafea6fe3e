// Records what passes between a test and the implementation, and judges it: every call that engines
// and controllers make and every callback of the kit's engines, as docs/history.md describes.
//
// Calls are recorded by the functions of RecordingApi, callbacks by the kit's ops tables. Any thread
// may record. One lock orders the edges; it is never held over a call into the implementation, and
// what is recorded allocates nothing by malloc (tests make memory scarce). Beyond 65,536 edges the
// oldest are judged and leave memory.
#ifndef CONFORMANCE_KIT_HISTORY_RECORDER_H_
#define CONFORMANCE_KIT_HISTORY_RECORDER_H_

#include <cstdint>
#include <string>

#include "conformance/history/edge.h"
#include "conformance/kit/api.h"

namespace utrace::kit {

// `raw` with the calls that are recorded replaced. `raw` stays in use behind them. Once per process.
Api RecordingApi(const Api& raw);

// Which thread of control calls; the kit's threads need not be threads of the operating system.
// The default is the thread id. Before the first recording.
void SetThreadOfControl(uint64_t (*current)());

// A callback that is being recorded.
struct RecordedCallback {
  uint64_t id = 0;  // zero: nothing is recorded
  uint64_t thread = 0;
  uint32_t outer = 0;  // the context that it replaced
  const utrace_engine* engine = nullptr;
};
// Around all that a callback does. `edge` has what and its arguments; the rest is filled in. `tid` is
// the task's thread id.
RecordedCallback BeginRecorded(history::Edge edge, const utrace_engine* engine,
                               const utrace_task* task, pid_t tid);
void EndRecorded(const RecordedCallback& callback, int64_t result);
// report_clone: the child's number. A newborn whose thread id is not that of the task last known by
// this pointer is a new task.
uint32_t RecordedChild(const utrace_task* child, pid_t tid);
// Before the first RecordedChild for a child: whatever task was known by this pointer is gone, and this is another.
void RecordNewborn(const utrace_task* child);
// release names its engine by the data pointer alone. Recorded where that is not ambiguous.
void RecordRelease(const void* data);

// ---- One history per test

// Where KeepHistory writes: a directory that exists. Before the first StartHistory.
void SetHistoryDirectory(const std::string& directory);
// Forgets the last history and begins one.
void StartHistory();
// Ends it, and judges what is left. Empty if no clause is broken; else breaches and their witnesses.
// What is recorded afterwards is dropped.
std::string FinishHistory();
// The last FinishHistory's answer.
std::string HistoryWitness();
// After FinishHistory: writes the history to DIRECTORY/`name`.history and returns that path; empty if
// no directory was set. Says on stderr why it cannot be written.
std::string KeepHistory(const std::string& name);

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_HISTORY_RECORDER_H_
