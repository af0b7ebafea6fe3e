// The callbacks: each one is recorded, then answered by the engine's handler or by default.
#include <gtest/gtest.h>

#include <algorithm>
#include <exception>

#include "conformance/kit/engine.h"
#include "conformance/kit/engine_state.h"
#include "conformance/kit/history_recorder.h"
#include "conformance/kit/latch.h"

namespace utrace::kit {

Recorder& TheRecorder() {
  static auto* recorder = new Recorder;
  return *recorder;
}

uint32_t PassThrough(const Report& report) {
  switch (report.what) {
    case What::kSignal:
      return report.signal_action() | UTRACE_RESUME;
    case What::kSyscallEntry:
      return report.syscall_action() | UTRACE_RESUME;
    default:
      return UTRACE_RESUME;
  }
}

namespace {

TestEngine::State* FindState(Recorder& recorder, const utrace_engine* engine, void* data) {
  const auto found = recorder.by_engine.find(engine);
  if (found != recorder.by_engine.end()) return found->second;
  auto* state = static_cast<TestEngine::State*>(data);
  return recorder.states.count(state) != 0 ? state : nullptr;
}

bool MayHold(const Report& report) {
  if (report.what == What::kQuiesce) return report.event == 0;
  return report.what == What::kSignal && (report.signal_action() == UTRACE_SIGNAL_REPORT ||
                                          report.signal_action() == UTRACE_SIGNAL_HANDLER);
}

// What the arguments do not tell but the implementation does. Before any lock is taken.
void Ask(Report* report) {
  report->host_tid = TheThreads().Self();
  report->current = api().utrace_current();
  if (report->task != nullptr) report->tid = api().utrace_task_tid(report->task);
  if (report->child != nullptr) report->child_tid = api().utrace_task_tid(report->child);
  if (report->what == What::kSyscallEntry || report->what == What::kSyscallExit) {
    if (api().utrace_syscall_number(report->task, &report->syscall) != 0) report->syscall = -1;
  }
}

history::Edge EdgeOf(const Report& report) {
  history::Edge edge;
  edge.what = report.what;
  edge.acts = report.what != What::kDeath && report.what != What::kReap;
  edge.action = report.action;
  edge.events = report.event;
  edge.signal = report.signo();
  edge.dequeued = report.has_orig_ka;
  edge.call = report.syscall;
  edge.numbered = report.syscall >= 0;
  if (report.child != nullptr) edge.child = RecordedChild(report.child, report.child_tid);
  return edge;
}

// Counts and logs one callback, and has it answered.
uint32_t Answered(Report arguments) {
  Recorder& recorder = TheRecorder();
  const int what = static_cast<int>(arguments.what);
  auto owned = std::make_unique<Report>(std::move(arguments));
  Report& report = *owned;
  TestEngine::State* state;
  std::shared_ptr<TestEngine::Handler> handler;
  Report* logged = nullptr;
  {
    std::lock_guard lock(recorder.mutex);
    report.begin = NextSequence();
    state = FindState(recorder, report.engine,
                      report.engine == nullptr ? nullptr : report.engine->data);
    report.overlapped = recorder.running[report.task]++ > 0;
    if (state != nullptr) {
      report.engine_id = state->id;
      report.engine_name = state->name;
      report.after_release = state->data == state && state->releases > 0;
      ++state->begun[what];
      ++state->running;
      state->overlaps += report.overlapped ? 1 : 0;
      state->after_release += report.after_release ? 1 : 0;
      if (!state->closed) handler = state->handlers[what];
      if (handler != nullptr) {
        ++state->in_handler;
        state->handler_thread = report.host_tid;
      }
    }
    if (state == nullptr || state->keep_log) {
      logged = recorder.log.emplace_back(std::make_unique<Report>(report)).get();
    }
    recorder.changed.notify_all();
  }

  uint32_t result = PassThrough(report);
  if (handler != nullptr && *handler) {
    try {
      result = (*handler)(report);
    } catch (const Abandon& abandon) {
      ADD_FAILURE() << "in a callback: " << abandon.text;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "in a callback: " << error.what();
    }
  }

  std::lock_guard lock(recorder.mutex);
  if (state != nullptr) {
    if (handler != nullptr) --state->in_handler;
    --state->running;
    ++state->ended[what];
    if (state->holding && MayHold(report)) {
      result = (result & ~UTRACE_RESUME_MASK) | UTRACE_STOP;
      state->held = true;
    }
  }
  if (--recorder.running[report.task] == 0) recorder.running.erase(report.task);
  // A new test may have cleared the log meanwhile.
  const auto still = std::find_if(recorder.log.rbegin(), recorder.log.rend(),
                                  [&](const auto& entry) { return entry.get() == logged; });
  if (logged != nullptr && still != recorder.log.rend()) {
    logged->end = NextSequence();
    logged->result = result;
  }
  recorder.changed.notify_all();
  return result;
}

// Runs one callback; `report` has the arguments already.
uint32_t Run(Report report) {
  Ask(&report);
  const RecordedCallback recorded =
      BeginRecorded(EdgeOf(report), report.engine, report.task, report.tid);
  const uint32_t result = Answered(std::move(report));
  EndRecorded(recorded, result);
  return result;
}

Report Begin(What what, uint32_t action, utrace_engine* engine, utrace_task* task) {
  Report report;
  report.what = what;
  report.action = action;
  report.engine = engine;
  report.task = task;
  return report;
}

uint32_t OnQuiesce(uint32_t action, utrace_engine* engine, utrace_task* task, unsigned long event) {
  Report report = Begin(What::kQuiesce, action, engine, task);
  report.event = event;
  return Run(std::move(report));
}

uint32_t OnSignal(uint32_t action, utrace_engine* engine, utrace_task* task, utrace_regs* regs,
                  siginfo_t* info, const utrace_sigaction* orig_ka, utrace_sigaction* return_ka) {
  Report report = Begin(What::kSignal, action, engine, task);
  report.regs = regs;
  report.info = info;
  if (info != nullptr) report.info_copy = *info;
  report.orig_ka = orig_ka;
  report.has_orig_ka = orig_ka != nullptr;
  if (orig_ka != nullptr) report.orig_ka_copy = *orig_ka;
  report.return_ka = return_ka;
  return Run(std::move(report));
}

uint32_t OnClone(uint32_t action, utrace_engine* engine, utrace_task* task, unsigned long flags,
                 utrace_task* child) {
  Report report = Begin(What::kClone, action, engine, task);
  report.clone_flags = flags;
  report.child = child;
  return Run(std::move(report));
}

uint32_t OnJctl(uint32_t action, utrace_engine* engine, utrace_task* task, int type, int notify) {
  Report report = Begin(What::kJctl, action, engine, task);
  report.jctl_type = type;
  report.jctl_notify = notify;
  return Run(std::move(report));
}

uint32_t OnExec(uint32_t action, utrace_engine* engine, utrace_task* task,
                const utrace_program* program, utrace_regs* regs) {
  Report report = Begin(What::kExec, action, engine, task);
  report.regs = regs;
  if (program != nullptr) {
    report.program_path = program->path == nullptr ? "" : program->path;
    report.program_entry = program->entry;
    report.former_tid = program->former_tid;
  }
  return Run(std::move(report));
}

uint32_t OnSyscallEntry(uint32_t action, utrace_engine* engine, utrace_task* task,
                        utrace_regs* regs) {
  Report report = Begin(What::kSyscallEntry, action, engine, task);
  report.regs = regs;
  return Run(std::move(report));
}

uint32_t OnSyscallExit(uint32_t action, utrace_engine* engine, utrace_task* task,
                       utrace_regs* regs) {
  Report report = Begin(What::kSyscallExit, action, engine, task);
  report.regs = regs;
  return Run(std::move(report));
}

uint32_t OnExit(uint32_t action, utrace_engine* engine, utrace_task* task, long orig_code,
                long* code) {
  Report report = Begin(What::kExit, action, engine, task);
  report.orig_code = orig_code;
  report.code = code;
  return Run(std::move(report));
}

uint32_t OnDeath(utrace_engine* engine, utrace_task* task, bool group_dead, int signal) {
  Report report = Begin(What::kDeath, UTRACE_RESUME, engine, task);
  report.group_dead = group_dead;
  report.death_signal = signal;
  return Run(std::move(report));
}

void OnReap(utrace_engine* engine, utrace_task* task) {
  Run(Begin(What::kReap, UTRACE_RESUME, engine, task));
}

void OnRelease(void* data) {
  RecordRelease(data);
  Recorder& recorder = TheRecorder();
  auto owned = std::make_unique<Report>();
  owned->what = What::kRelease;
  owned->host_tid = TheThreads().Self();
  std::lock_guard lock(recorder.mutex);
  owned->begin = NextSequence();
  ++recorder.releases[data];
  auto* state = static_cast<TestEngine::State*>(data);
  if (recorder.states.count(state) != 0) {
    owned->engine_id = state->id;
    owned->engine_name = state->name;
    ++state->releases;
    ++state->begun[static_cast<int>(What::kRelease)];
    ++state->ended[static_cast<int>(What::kRelease)];
    if (state->running > 0) state->release_in_callback = true;
  }
  owned->end = NextSequence();
  recorder.log.push_back(std::move(owned));
  recorder.changed.notify_all();
}

}  // namespace

utrace_engine_ops RecordingOps() {
  utrace_engine_ops ops = {};
  ops.report_quiesce = OnQuiesce;
  ops.report_signal = OnSignal;
  ops.report_clone = OnClone;
  ops.report_jctl = OnJctl;
  ops.report_exec = OnExec;
  ops.report_syscall_entry = OnSyscallEntry;
  ops.report_syscall_exit = OnSyscallExit;
  ops.report_exit = OnExit;
  ops.report_death = OnDeath;
  ops.report_reap = OnReap;
  ops.release = OnRelease;
  return ops;
}

}  // namespace utrace::kit
