#include "conformance/kit/engine.h"

#include <errno.h>
#include <gtest/gtest.h>

#include "conformance/kit/engine_state.h"
#include "conformance/kit/latch.h"

namespace utrace::kit {

// ---- References --------------------------------------------------------------------------------

void PutEngine(utrace_engine* engine) { api().utrace_engine_put(engine); }
void PutTask(utrace_task* task) { api().utrace_task_put(task); }
void PutPid(utrace_pid* pid) { api().utrace_pid_put(pid); }

PidRef FindPid(pid_t tid) {
  PidRef pid(api().utrace_pid_find(tid));
  if (!pid.ok()) {
    Failed("utrace_pid_find(" + std::to_string(tid) + ") of a live thread gives " +
           ErrnoName(pid.error()) + " " + api().utrace_last_error_text());
  }
  return pid;
}

TaskRef FindTask(pid_t tid) {
  const PidRef pid = FindPid(tid);
  TaskRef task(api().utrace_pid_task(pid));
  if (!task.ok()) {
    Failed("utrace_pid_task of live thread " + std::to_string(tid) + " gives " +
           ErrnoName(task.error()) + " " + api().utrace_last_error_text());
  }
  return task;
}

EngineRef AttachTask(utrace_task* task, int flags, const utrace_engine_ops* ops, void* data) {
  EngineRef engine(api().utrace_attach_task(task, flags, ops, data));
  if (engine.ok()) MarkTraced();
  return engine;
}

EngineRef AttachPid(utrace_pid* pid, int flags, const utrace_engine_ops* ops, void* data) {
  EngineRef engine(api().utrace_attach_pid(pid, flags, ops, data));
  if (engine.ok()) MarkTraced();
  return engine;
}

// ---- Logs --------------------------------------------------------------------------------------

std::string Describe(const Report& report) {
  std::string text =
      std::to_string(report.begin) + ": " + report.engine_name + " " + WhatName(report.what) + "(";
  switch (report.what) {
    case What::kQuiesce:
      text += EventNames(report.event);
      break;
    case What::kSignal:
      text += "signal " + std::to_string(report.signo());
      break;
    case What::kClone:
      text += "child " + std::to_string(report.child_tid);
      break;
    case What::kJctl:
      text += std::to_string(report.jctl_type) + ", " + std::to_string(report.jctl_notify);
      break;
    case What::kSyscallEntry:
    case What::kSyscallExit:
      text += "call " + std::to_string(report.syscall);
      break;
    case What::kExit:
      text += "code " + std::to_string(report.orig_code);
      break;
    case What::kDeath:
      text += std::string(report.group_dead ? "group" : "thread") + ", " +
              std::to_string(report.death_signal);
      break;
    default:
      break;
  }
  text += ") of " + std::to_string(report.tid);
  if (report.what == What::kReap || report.what == What::kRelease) return text;
  const auto action = [&](uint32_t value) {
    std::string words;
    if (report.what == What::kSignal) words = SignalActionName(value) + "|";
    if (report.what == What::kSyscallEntry) {
      words = (value & UTRACE_SYSCALL_MASK) == UTRACE_SYSCALL_ABORT ? "ABORT|" : "RUN|";
      if ((value & UTRACE_SYSCALL_RESUMED) != 0) words += "RESUMED|";
    }
    return words + ResumeActionName(value);
  };
  text += " " + action(report.action) + " -> ";
  text += report.end == 0 ? "running" : action(report.result);
  if (report.overlapped) text += " OVERLAPPED";
  if (report.after_release) text += " AFTER RELEASE";
  return text;
}

std::string Describe(const std::vector<Report>& log) {
  std::string text;
  for (const Report& report : log) text += "  " + Describe(report) + "\n";
  return text.empty() ? "  (no callbacks)\n" : text;
}

namespace {

std::vector<Report> LogOf(const Recorder& recorder, int engine_id) {
  std::vector<Report> log;
  for (const auto& report : recorder.log) {
    if (engine_id == 0 || report->engine_id == engine_id) log.push_back(*report);
  }
  return log;
}

}  // namespace

std::vector<Report> GlobalLog() {
  Recorder& recorder = TheRecorder();
  std::lock_guard lock(recorder.mutex);
  return LogOf(recorder, 0);
}

bool AwaitGlobal(const std::function<bool(const std::vector<Report>&)>& ready) {
  Recorder& recorder = TheRecorder();
  std::unique_lock lock(recorder.mutex);
  return recorder.changed.wait_for(lock, Deadline(), [&] { return ready(LogOf(recorder, 0)); });
}

int ReleaseCount(void* data) {
  Recorder& recorder = TheRecorder();
  std::lock_guard lock(recorder.mutex);
  return recorder.releases[data];
}

void ResetEngines() {
  Recorder& recorder = TheRecorder();
  std::lock_guard lock(recorder.mutex);
  recorder.log.clear();
  recorder.releases.clear();
}

// ---- OpsTable ----------------------------------------------------------------------------------

OpsTable::OpsTable() : ops_(new utrace_engine_ops(RecordingOps())) {
  // Late callbacks may read it for as long as the process lives; kept reachable for leak checkers.
  static auto* all = new std::vector<const utrace_engine_ops*>;
  static auto* mutex = new std::mutex;
  std::lock_guard lock(*mutex);
  all->push_back(ops_);
}

OpsTable& OpsTable::Without(What what) {
  switch (what) {
    case What::kQuiesce:
      ops_->report_quiesce = nullptr;
      break;
    case What::kSignal:
      ops_->report_signal = nullptr;
      break;
    case What::kClone:
      ops_->report_clone = nullptr;
      break;
    case What::kJctl:
      ops_->report_jctl = nullptr;
      break;
    case What::kExec:
      ops_->report_exec = nullptr;
      break;
    case What::kSyscallEntry:
      ops_->report_syscall_entry = nullptr;
      break;
    case What::kSyscallExit:
      ops_->report_syscall_exit = nullptr;
      break;
    case What::kExit:
      ops_->report_exit = nullptr;
      break;
    case What::kDeath:
      ops_->report_death = nullptr;
      break;
    case What::kReap:
      ops_->report_reap = nullptr;
      break;
    case What::kRelease:
      ops_->release = nullptr;
      break;
    default:
      Broken(std::string(WhatName(what)) + " is no callback");
  }
  return *this;
}

// ---- TestEngine --------------------------------------------------------------------------------

TestEngine::TestEngine(std::string name) : TestEngine(std::move(name), OpsTable()) {}

TestEngine::TestEngine(std::string name, OpsTable ops) : state_(new State) {
  Recorder& recorder = TheRecorder();
  std::lock_guard lock(recorder.mutex);
  state_->id = recorder.next_id++;
  state_->name = std::move(name);
  state_->ops = ops.get();
  state_->data = state_;
  recorder.states.insert(state_);
}

TestEngine::~TestEngine() {
  Recorder& recorder = TheRecorder();
  std::shared_ptr<Handler> dropped[kWhats];
  bool running;
  {
    std::unique_lock lock(recorder.mutex);
    state_->closed = true;
    state_->holding = false;
    for (int i = 0; i < kWhats; ++i) dropped[i].swap(state_->handlers[i]);
    const bool own = state_->handler_thread == TheThreads().Self();
    running = state_->in_handler > 0 && !own;
    if (running) {
      // It may wait for a gate that the test would have opened.
      lock.unlock();
      Gate::OpenAll();
      lock.lock();
      running =
          !recorder.changed.wait_for(lock, Deadline(), [&] { return state_->in_handler == 0; });
    }
  }
  if (running) ADD_FAILURE() << "a callback of engine '" << state_->name << "' does not end";
}

void TestEngine::UseData(void* data) {
  std::lock_guard lock(TheRecorder().mutex);
  state_->data = data;
}

void TestEngine::On(What what, Handler handler) {
  std::shared_ptr<Handler> next;
  if (handler) next = std::make_shared<Handler>(std::move(handler));
  std::lock_guard lock(TheRecorder().mutex);
  state_->handlers[static_cast<int>(what)].swap(next);
}

void TestEngine::KeepLog(bool keep) {
  std::lock_guard lock(TheRecorder().mutex);
  state_->keep_log = keep;
}

int TestEngine::TookOver(utrace_engine* engine, utrace_task* task) {
  engine_ = EngineRef(engine);
  if (!engine_.ok()) {
    const int error = engine_.error();
    engine_.Reset();
    return error == 0 ? -EINVAL : error;
  }
  MarkTraced();
  if (task != nullptr) task_ = TaskRef(api().utrace_task_get(task));
  Recorder& recorder = TheRecorder();
  std::lock_guard lock(recorder.mutex);
  recorder.by_engine[engine] = state_;
  return 0;
}

int TestEngine::Attach(utrace_task* task, int flags) {
  SetStep("attaching engine '" + state_->name + "'");
  return TookOver(
      api().utrace_attach_task(task, flags | UTRACE_ATTACH_CREATE, state_->ops, state_->data),
      task);
}

int TestEngine::AttachPid(utrace_pid* pid, int flags) {
  SetStep("attaching engine '" + state_->name + "' by pid");
  const TaskRef task(api().utrace_pid_task(pid));
  return TookOver(
      api().utrace_attach_pid(pid, flags | UTRACE_ATTACH_CREATE, state_->ops, state_->data),
      task.get());
}

int TestEngine::AttachTid(pid_t tid, int flags) {
  const TaskRef found = FindTask(tid);
  return Attach(found, flags);
}

int TestEngine::SetEvents(unsigned long events) {
  SetStep("set_events of engine '" + state_->name + "'");
  const int result = api().utrace_set_events(task_, engine_, events);
  if (result == 0 || result == -EINPROGRESS) {
    std::lock_guard lock(TheRecorder().mutex);
    state_->events = events;
  }
  return result;
}

int TestEngine::Control(enum utrace_resume_action action) {
  SetStep("control " + ResumeActionName(action) + " of engine '" + state_->name + "'");
  return api().utrace_control(task_, engine_, action);
}

int TestEngine::Barrier() {
  SetStep("barrier of engine '" + state_->name + "'");
  return api().utrace_barrier(task_, engine_);
}

int TestEngine::Prepare(utrace_examiner* examiner) {
  SetStep("prepare_examine of engine '" + state_->name + "'");
  return api().utrace_prepare_examine(task_, engine_, examiner);
}

int TestEngine::Finish(utrace_examiner* examiner) {
  SetStep("finish_examine of engine '" + state_->name + "'");
  return api().utrace_finish_examine(task_, engine_, examiner);
}

void TestEngine::Put() { engine_.Reset(); }

namespace {

void AwaitHeld(TestEngine* engine) {
  int last = 0;
  const bool stopped = PollUntil([&] {
    utrace_examiner examiner = {};
    last = engine->Prepare(&examiner);
    if (last == 0) last = engine->Finish(&examiner);
    return last == 0 || last == -ESRCH;
  });
  if (!stopped || last != 0) {
    Failed("engine '" + engine->name() + "' cannot get its task stopped: prepare gives " +
           ErrnoName(last));
  }
}

}  // namespace

void TestEngine::StopAndWait() {
  {
    std::lock_guard lock(TheRecorder().mutex);
    state_->holding = true;
  }
  const int result = Control(UTRACE_STOP);
  if (result != 0 && result != -EINPROGRESS) Failed("control STOP gives " + ErrnoName(result));
  AwaitHeld(this);
  std::lock_guard lock(TheRecorder().mutex);
  state_->holding = false;
}

void TestEngine::HoldNow() {
  unsigned long events;
  {
    std::lock_guard lock(TheRecorder().mutex);
    state_->holding = true;
    state_->held = false;
    events = state_->events;
  }
  int result = SetEvents(events | UTRACE_EVENT(QUIESCE));
  // A callback for one of the puppet's channel calls may be running; the mask is in force all the same.
  if (result != 0 && result != -EINPROGRESS) Failed("set_events gives " + ErrnoName(result));
  result = Control(UTRACE_INTERRUPT);
  if (result != 0) Failed("control INTERRUPT gives " + ErrnoName(result));
  Recorder& recorder = TheRecorder();
  {
    std::unique_lock lock(recorder.mutex);
    if (!recorder.changed.wait_for(lock, Deadline(), [&] { return state_->held; })) {
      lock.unlock();
      Failed("INTERRUPT makes no callback to engine '" + name() + "'");
    }
  }
  AwaitHeld(this);
  std::lock_guard lock(recorder.mutex);
  state_->holding = false;
}

void TestEngine::DetachAndWait() {
  const int result = Control(UTRACE_DETACH);
  if (result == 0) return;
  if (result != -EINPROGRESS) Failed("control DETACH gives " + ErrnoName(result));
  const int barrier = Barrier();
  if (barrier != 0 && barrier != -ESRCH) {
    Failed("barrier after DETACH gives " + ErrnoName(barrier));
  }
}

utrace_engine* TestEngine::get() const { return engine_.get(); }
utrace_task* TestEngine::task() const { return task_.get(); }
const utrace_engine_ops* TestEngine::ops() const { return state_->ops; }
void* TestEngine::data() const { return state_->data; }
int TestEngine::id() const { return state_->id; }
const std::string& TestEngine::name() const { return state_->name; }

std::vector<Report> TestEngine::Log() const {
  Recorder& recorder = TheRecorder();
  std::lock_guard lock(recorder.mutex);
  return LogOf(recorder, state_->id);
}

std::vector<Report> TestEngine::Log(What what) const {
  std::vector<Report> log;
  for (Report& report : Log()) {
    if (report.what == what) log.push_back(std::move(report));
  }
  return log;
}

int TestEngine::Count(What what) const {
  std::lock_guard lock(TheRecorder().mutex);
  return state_->begun[static_cast<int>(what)];
}

int TestEngine::CountSyscall(What what, long nr) const {
  int count = 0;
  for (const Report& report : Log(what)) count += report.syscall == nr ? 1 : 0;
  return count;
}

int TestEngine::CountSignal(int signo) const {
  int count = 0;
  for (const Report& report : Log(What::kSignal)) {
    // Without a dequeued signal the siginfo says nothing.
    count += report.has_orig_ka && report.signo() == signo ? 1 : 0;
  }
  return count;
}

bool TestEngine::TryAwait(What what, int count, std::chrono::milliseconds deadline) {
  SetStep("waiting for " + std::string(WhatName(what)) + " of engine '" + state_->name + "'");
  Recorder& recorder = TheRecorder();
  std::unique_lock lock(recorder.mutex);
  return recorder.changed.wait_for(lock, deadline,
                                   [&] { return state_->begun[static_cast<int>(what)] >= count; });
}

void TestEngine::Await(What what, int count) {
  if (TryAwait(what, count)) return;
  Failed("engine '" + state_->name + "' got " + std::to_string(Count(what)) + " " + WhatName(what) +
         " callbacks, expected " + std::to_string(count) + "; its log:\n" + Describe(Log()));
}

void TestEngine::AwaitEnded(What what, int count) {
  Await(what, count);
  Recorder& recorder = TheRecorder();
  std::unique_lock lock(recorder.mutex);
  const int index = static_cast<int>(what);
  const bool ended =
      recorder.changed.wait_for(lock, Deadline(), [&] { return state_->ended[index] >= count; });
  lock.unlock();
  if (!ended) Failed("a callback of engine '" + state_->name + "' does not end");
}

bool TestEngine::TryAwaitLog(const std::function<bool(const std::vector<Report>&)>& ready,
                             std::chrono::milliseconds deadline) {
  Recorder& recorder = TheRecorder();
  std::unique_lock lock(recorder.mutex);
  return recorder.changed.wait_for(lock, deadline,
                                   [&] { return ready(LogOf(recorder, state_->id)); });
}

void TestEngine::AwaitLog(const std::string& name,
                          const std::function<bool(const std::vector<Report>&)>& ready) {
  SetStep("waiting for " + name + " of engine '" + state_->name + "'");
  if (TryAwaitLog(ready)) return;
  Failed(name + " did not come; the log of engine '" + state_->name + "':\n" + Describe(Log()));
}

int TestEngine::releases() const {
  Recorder& recorder = TheRecorder();
  std::lock_guard lock(recorder.mutex);
  return state_->data == state_ ? state_->releases : recorder.releases[state_->data];
}

bool TestEngine::Running() const {
  std::lock_guard lock(TheRecorder().mutex);
  return state_->running > 0;
}

int TestEngine::overlaps() const {
  std::lock_guard lock(TheRecorder().mutex);
  return state_->overlaps;
}

int TestEngine::after_release() const {
  std::lock_guard lock(TheRecorder().mutex);
  return state_->after_release;
}

bool TestEngine::release_in_callback() const {
  std::lock_guard lock(TheRecorder().mutex);
  return state_->release_in_callback;
}

}  // namespace utrace::kit
