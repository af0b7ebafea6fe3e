#include "stress/storm/party.h"

#include <utility>

#include "conformance/kit/history_recorder.h"
#include "stress/storm/counts.h"

namespace utrace::storm {
namespace {

using history::What;

uint32_t Run(const Report& report, const history::Edge& edge) {
  auto* const party = static_cast<Party*>(report.engine->data);
  party->counts().Callback(report.what);
  const kit::RecordedCallback recorded =
      kit::BeginRecorded(edge, report.engine, report.task, kit::api().utrace_task_tid(report.task));
  const uint32_t result = party->Answer(report);
  kit::EndRecorded(recorded, result);
  return result;
}

history::Edge EdgeOf(const Report& report) {
  history::Edge edge;
  edge.what = report.what;
  edge.acts = true;
  edge.action = report.action;
  edge.events = report.event;
  return edge;
}

history::Edge CallEdge(const Report& report) {
  history::Edge edge = EdgeOf(report);
  long number = -1;
  if (kit::api().utrace_syscall_number(report.task, &number) == 0 && number >= 0) {
    edge.call = number;
    edge.numbered = true;
  }
  return edge;
}

uint32_t OnQuiesce(uint32_t action, utrace_engine* engine, utrace_task* task, unsigned long event) {
  const Report report{
      .what = What::kQuiesce, .action = action, .engine = engine, .task = task, .event = event};
  return Run(report, EdgeOf(report));
}

uint32_t OnSignal(uint32_t action, utrace_engine* engine, utrace_task* task, utrace_regs*,
                  siginfo_t* info, const utrace_sigaction* orig_ka, utrace_sigaction*) {
  const bool dequeued = orig_ka != nullptr;
  const Report report{.what = What::kSignal,
                      .action = action,
                      .engine = engine,
                      .task = task,
                      .info = dequeued ? info : nullptr};
  history::Edge edge = EdgeOf(report);
  edge.dequeued = dequeued;
  edge.signal = info == nullptr ? 0 : info->si_signo;
  return Run(report, edge);
}

uint32_t OnClone(uint32_t action, utrace_engine* engine, utrace_task* task, unsigned long flags,
                 utrace_task* child) {
  const Report report{.what = What::kClone,
                      .action = action,
                      .engine = engine,
                      .task = task,
                      .child = child,
                      .clone_flags = flags};
  static_cast<Party*>(engine->data)->MeetNewborn(child);
  history::Edge edge = EdgeOf(report);
  edge.child = kit::RecordedChild(child, kit::api().utrace_task_tid(child));
  return Run(report, edge);
}

uint32_t OnJctl(uint32_t action, utrace_engine* engine, utrace_task* task, int, int) {
  const Report report{.what = What::kJctl, .action = action, .engine = engine, .task = task};
  return Run(report, EdgeOf(report));
}

uint32_t OnExec(uint32_t action, utrace_engine* engine, utrace_task* task, const utrace_program*,
                utrace_regs*) {
  const Report report{.what = What::kExec, .action = action, .engine = engine, .task = task};
  return Run(report, EdgeOf(report));
}

uint32_t OnSyscallEntry(uint32_t action, utrace_engine* engine, utrace_task* task, utrace_regs*) {
  const Report report{
      .what = What::kSyscallEntry, .action = action, .engine = engine, .task = task};
  return Run(report, CallEdge(report));
}

uint32_t OnSyscallExit(uint32_t action, utrace_engine* engine, utrace_task* task, utrace_regs*) {
  const Report report{.what = What::kSyscallExit, .action = action, .engine = engine, .task = task};
  return Run(report, CallEdge(report));
}

uint32_t OnExit(uint32_t action, utrace_engine* engine, utrace_task* task, long, long*) {
  const Report report{.what = What::kExit, .action = action, .engine = engine, .task = task};
  return Run(report, EdgeOf(report));
}

uint32_t OnDeath(utrace_engine* engine, utrace_task* task, bool, int) {
  const Report report{.what = What::kDeath, .engine = engine, .task = task};
  history::Edge edge = EdgeOf(report);
  edge.acts = false;
  return Run(report, edge);
}

void OnReap(utrace_engine* engine, utrace_task* task) {
  const Report report{.what = What::kReap, .engine = engine, .task = task};
  history::Edge edge = EdgeOf(report);
  edge.acts = false;
  Run(report, edge);
}

void OnRelease(void* data) {
  auto* const party = static_cast<Party*>(data);
  Counts& counts = party->counts();
  kit::RecordRelease(data);
  counts.Callback(What::kRelease);
  delete party;
  ++counts.released;
}

}  // namespace

const utrace_engine_ops Party::kOps = {
    .report_quiesce = OnQuiesce,
    .report_signal = OnSignal,
    .report_clone = OnClone,
    .report_jctl = OnJctl,
    .report_exec = OnExec,
    .report_syscall_entry = OnSyscallEntry,
    .report_syscall_exit = OnSyscallExit,
    .report_exit = OnExit,
    .report_death = OnDeath,
    .report_reap = OnReap,
    .release = OnRelease,
};

bool Report::asked_for() const {
  if (what == What::kQuiesce) return event == 0;
  return what == What::kSignal && info == nullptr;
}

uint32_t Report::With(enum utrace_resume_action wish) const {
  switch (what) {
    case What::kSignal:
      return utrace_signal_action(action) | static_cast<uint32_t>(wish);
    case What::kSyscallEntry:
      return utrace_syscall_action(action) | static_cast<uint32_t>(wish);
    default:
      return wish;
  }
}

}  // namespace utrace::storm
