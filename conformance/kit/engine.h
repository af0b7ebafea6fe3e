// Engines for tests: one attachment each, whose callbacks are lambdas and whose every callback is
// recorded.
#ifndef CONFORMANCE_KIT_ENGINE_H_
#define CONFORMANCE_KIT_ENGINE_H_

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conformance/history/what.h"
#include "conformance/kit/api.h"
#include "conformance/kit/verdict.h"

namespace utrace::kit {

// ---- References --------------------------------------------------------------------------------

// Owns one reference of an API object; an encoded error owns nothing.
template <typename T, void (*Put)(T*)>
class Ref {
 public:
  Ref() = default;
  // Takes over the reference that a call returned, or the error it encoded.
  explicit Ref(T* pointer) : pointer_(pointer) {}
  ~Ref() { Reset(); }
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    if (this != &other) {
      Reset();
      pointer_ = std::exchange(other.pointer_, nullptr);
    }
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;

  T* get() const { return ok() ? pointer_ : nullptr; }
  operator T*() const { return get(); }  // NOLINT: passes to the API as a pointer does
  bool ok() const { return pointer_ != nullptr && !UTRACE_IS_ERR(pointer_); }
  // The encoded negative errno, zero if there is none.
  int error() const { return UTRACE_IS_ERR(pointer_) ? UTRACE_PTR_ERR(pointer_) : 0; }
  T* Release() { return std::exchange(pointer_, nullptr); }
  void Reset() {
    if (ok()) Put(pointer_);
    pointer_ = nullptr;
  }

 private:
  T* pointer_ = nullptr;
};

void PutEngine(utrace_engine* engine);
void PutTask(utrace_task* task);
void PutPid(utrace_pid* pid);
using EngineRef = Ref<utrace_engine, PutEngine>;
using TaskRef = Ref<utrace_task, PutTask>;
using PidRef = Ref<utrace_pid, PutPid>;

// The handle for a live thread; Failed if the implementation does not find it.
PidRef FindPid(pid_t tid);
TaskRef FindTask(pid_t tid);

// ---- What is recorded --------------------------------------------------------------------------

using history::What;
using history::WhatName;
// Callbacks; the kit records no other What here.
inline constexpr int kWhats = history::kCallbacks;

// One callback. The pointers are the callback's own arguments and live only while it runs; in the
// log they may be compared, not followed.
struct Report {
  What what = What::kQuiesce;
  uint64_t begin = 0;  // NextSequence() at its start
  uint64_t end = 0;    // and at its end; 0 while it runs
  int engine_id = 0;   // TestEngine::id()
  std::string engine_name;

  uint32_t action = 0;      // the argument of that name
  uint32_t result = 0;      // what the engine returned
  unsigned long event = 0;  // report_quiesce: the event bit or zero

  utrace_engine* engine = nullptr;
  utrace_task* task = nullptr;
  utrace_task* current = nullptr;  // utrace_current() in the callback
  pid_t tid = 0;                   // utrace_task_tid(task)
  pid_t host_tid = 0;              // the thread (threads.h) that made the callback

  utrace_regs* regs = nullptr;

  siginfo_t* info = nullptr;  // may be changed in the callback
  siginfo_t info_copy = {};   // as it came
  const utrace_sigaction* orig_ka = nullptr;
  bool has_orig_ka = false;
  utrace_sigaction orig_ka_copy = {};
  utrace_sigaction* return_ka = nullptr;

  unsigned long clone_flags = 0;
  utrace_task* child = nullptr;
  pid_t child_tid = 0;

  int jctl_type = 0;
  int jctl_notify = 0;

  std::string program_path;
  uint64_t program_entry = 0;
  pid_t former_tid = 0;

  long syscall = -1;  // entry and exit: utrace_syscall_number

  long orig_code = 0;
  long* code = nullptr;

  bool group_dead = false;
  int death_signal = 0;

  bool overlapped = false;     // another callback for the same task was running
  bool after_release = false;  // release had been called

  uint32_t resume() const { return action & UTRACE_RESUME_MASK; }
  uint32_t signal_action() const { return action & UTRACE_SIGNAL_MASK; }
  uint32_t syscall_action() const { return action & UTRACE_SYSCALL_MASK; }
  int signo() const { return info_copy.si_signo; }
};

// "3: A report_syscall_entry(getppid) action RUN|RESUME -> RUN|STOP"
std::string Describe(const Report& report);
// The same, a line each.
std::string Describe(const std::vector<Report>& log);

// Everything recorded in this test by all engines, by order of begin.
std::vector<Report> GlobalLog();
// Waits until `ready` holds for the global log; false at the deadline.
bool AwaitGlobal(const std::function<bool(const std::vector<Report>&)>& ready);

// ---- Ops tables --------------------------------------------------------------------------------

// An ops table with the kit's callbacks, from which some can be left out. Shared tables are for
// tests of MATCH_OPS. Copies share the table, which is never freed (late callbacks).
class OpsTable {
 public:
  OpsTable();  // every callback is there
  OpsTable& Without(What what);
  const utrace_engine_ops* get() const { return ops_; }

 private:
  utrace_engine_ops* ops_;
};

// ---- TestEngine --------------------------------------------------------------------------------

// The result of an engine that changes nothing: RESUME with the signal or syscall action that came.
uint32_t PassThrough(const Report& report);

// A result made of a signal or system call action (flags included) and a resume action, which C++
// does not let us join by `|`: Answer(UTRACE_SYSCALL_ABORT, UTRACE_STOP).
constexpr uint32_t Answer(uint32_t action, enum utrace_resume_action resume) {
  return action | static_cast<uint32_t>(resume);
}

// One engine. Callbacks without a handler record and return PassThrough.
//
//   TestEngine engine("A");
//   engine.On(What::kSyscallEntry, [](Report& r) -> uint32_t {
//     if (r.syscall != SYS_getppid) return PassThrough(r);
//     return Answer(UTRACE_SYSCALL_ABORT, UTRACE_RESUME);
//   });
//   ASSERT_EQ(0, engine.Attach(task));
//   ASSERT_EQ(0, engine.SetEvents(UTRACE_EVENT(SYSCALL_ENTRY)));
//
// Handlers run on threads of the implementation. They must not throw; gtest's EXPECT_* works in
// them. What they capture must outlive the engine object: its destructor stops calling handlers,
// opens all gates if one is running, and waits for it. It does not detach; the engine of the
// implementation lives on, with defaults, until its puppet dies.
class TestEngine {
 public:
  using Handler = std::function<uint32_t(Report&)>;

  explicit TestEngine(std::string name = "engine");
  TestEngine(std::string name, OpsTable ops);
  ~TestEngine();
  TestEngine(const TestEngine&) = delete;
  TestEngine& operator=(const TestEngine&) = delete;

  // Before Attach: use this data pointer instead of the engine's own (MATCH_DATA tests; null is
  // allowed). Releases are then counted by ReleaseCount(data).
  void UseData(void* data);

  // Sets or replaces a handler, at any time. An empty function restores the default.
  void On(What what, Handler handler);

  // Without a log, callbacks are only counted: for load tests. Log and AwaitLog then see nothing.
  void KeepLog(bool keep);

  // ---- API calls on this attachment; results are those of the API.

  // Attaches with CREATE and `flags`; 0 or the negative errno. The task reference is kept for the
  // calls below.
  int Attach(utrace_task* task, int flags = 0);
  int AttachPid(utrace_pid* pid, int flags = 0);
  // By thread id; Failed if the implementation does not know the thread.
  int AttachTid(pid_t tid, int flags = 0);

  int SetEvents(unsigned long events);
  int Control(enum utrace_resume_action action);
  int Barrier();
  int Prepare(utrace_examiner* examiner);
  int Finish(utrace_examiner* examiner);
  // Drops the caller's reference (the destructor does too).
  void Put();

  // Stops the task and waits until it is stopped: control STOP, then prepare/finish until it is
  // held. Needs a task that gets to a safe point by itself or is stopped already. If the engine has
  // QUIESCE, its event-zero callbacks return STOP until then, whatever their handlers return.
  // Failed at the deadline.
  void StopAndWait();
  // The same for a task that is blocked in a system call too: sets QUIESCE beside the engine's
  // events, and asks by INTERRUPT for the callback that returns STOP.
  void HoldNow();
  // Detach and, if it was in progress, wait for it by a barrier.
  void DetachAndWait();

  utrace_engine* get() const;
  utrace_task* task() const;
  const utrace_engine_ops* ops() const;
  void* data() const;
  int id() const;
  const std::string& name() const;

  // ---- What happened

  std::vector<Report> Log() const;  // finished and running callbacks
  std::vector<Report> Log(What what) const;
  int Count(What what) const;
  // Callbacks of `what` for system call `nr` (entry, exit).
  int CountSyscall(What what, long nr) const;
  // Callbacks of kSignal for signal `signo`, of any action.
  int CountSignal(int signo) const;

  // Wait until that many callbacks have *begun* (Await) or *ended* (AwaitEnded). They throw Abandon
  // (Failed) naming what was missing at the deadline; the Try forms return false.
  void Await(What what, int count = 1);
  void AwaitEnded(What what, int count = 1);
  bool TryAwait(What what, int count = 1, std::chrono::milliseconds deadline = Deadline());
  // Waits for a predicate on this engine's log (called with a lock held: no API calls in it).
  void AwaitLog(const std::string& name,
                const std::function<bool(const std::vector<Report>&)>& ready);
  bool TryAwaitLog(const std::function<bool(const std::vector<Report>&)>& ready,
                   std::chrono::milliseconds deadline = Deadline());

  int releases() const;
  bool Running() const;              // a callback of this engine is running now
  int overlaps() const;              // callbacks that ran beside another one of the same task
  int after_release() const;         // callbacks that began after release
  bool release_in_callback() const;  // release was called while a callback was running

  struct State;

 private:
  int TookOver(utrace_engine* engine, utrace_task* task);
  State* state_;  // leaked on purpose: the implementation may call late
  EngineRef engine_;
  TaskRef task_;
};

// Releases with that data pointer, for engines with UseData.
int ReleaseCount(void* data);

// A plain lookup or attach with everything explicit; the result owns the reference or the error.
EngineRef AttachTask(utrace_task* task, int flags, const utrace_engine_ops* ops, void* data);
EngineRef AttachPid(utrace_pid* pid, int flags, const utrace_engine_ops* ops, void* data);

// Forgets the global log and the running counts; the fixture calls it before each test.
void ResetEngines();

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_ENGINE_H_
