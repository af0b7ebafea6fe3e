// A stand-in for an implementation of utrace.h, for unit tests of engine code: tasks are made by the
// test, and their events happen when the test says so, on the thread that says so.
//
// It keeps the rules that engine code leans on: order of attachment, masks, DETACH by result and by
// control, barrier, references and release, the outcomes of racing with death and reaping. It stops
// nothing: STOP is recorded, and the test goes on. Reports for different tasks may run at the same
// time; reports for one task must not overlap, which is the test's business.
#ifndef CORE_TESTING_FAKE_UTRACE_H_
#define CORE_TESTING_FAKE_UTRACE_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "core/actions.h"
#include "core/handles.h"
#include "core/machine_view.h"
#include "core/utrace.h"

namespace utrace::fake {

// What the results of a report came to.
struct Verdict {
  Action action = Action::kResume;  // the smallest of all
  uint32_t bits = 0;                // the signal or syscall action of the last engine called
};

// A task with the given ids that can be found by utrace_pid_find until it is reaped.
TaskRef NewTask(pid_t tid, pid_t tgid);

// ---- Its machine state, which machine.h shows.

void SetSyscall(TaskView task, long number, std::array<uint64_t, 6> arguments = {});
SyscallOutcome Outcome(TaskView task);
void SetMemory(TaskView task, uint64_t address, std::string bytes);
void SetTid(TaskView task, pid_t tid);

// ---- Its events.

Verdict ReportQuiesce(TaskView task);
Verdict ReportSyscallEntry(TaskView task, long number, std::array<uint64_t, 6> arguments = {},
                           bool repeated = false);
Verdict ReportSyscallExit(TaskView task, long error, long value);
// `event` is the signal's kind; with `action` REPORT or HANDLER no signal was dequeued.
Verdict ReportSignal(TaskView task, Events event, siginfo_t info,
                     uint32_t action = UTRACE_SIGNAL_DELIVER);
Verdict ReportClone(TaskView task, TaskView child, unsigned long flags);
Verdict ReportJctl(TaskView task, int type, int notify);
Verdict ReportExec(TaskView task, const std::string& path, pid_t former_tid);
Verdict ReportExit(TaskView task, long status);
void ReportDeath(TaskView task, bool group_dead, int signal);
void ReportReap(TaskView task);

// ---- What a test asks.

// Engines attached to the task.
int Attached(TaskView task);
// Makes the next attach fail with this negative errno.
void FailNextAttach(int error);

}  // namespace utrace::fake

#endif  // CORE_TESTING_FAKE_UTRACE_H_
