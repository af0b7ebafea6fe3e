#include "core/model/races/scene.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <utility>

#include "core/model/kernel/world.h"

namespace utrace::model {
namespace {

std::string& TheSchedule() {
  static std::string text = "exhaustive:1";
  return text;
}

// Tasks with a callback in progress, of the run.
std::map<utrace_task*, std::string>& Busy() {
  static std::map<utrace_task*, std::string> tasks;
  return tasks;
}

Probe& Of(utrace_engine* engine) { return *static_cast<Probe*>(engine->data); }

}  // namespace

void Check(bool holds, const std::string& rule) {
  if (!holds) Fail(rule);
}

void Until(const std::function<bool()>& ready) { Await("what the scene needs", ready); }

// ---- Probes ----------------------------------------------------------------------------------------

struct ProbeOps {
  static const utrace_engine_ops table;

  static uint32_t Quiesce(uint32_t action, utrace_engine* engine, utrace_task*,
                          unsigned long event) {
    return Of(engine).Called({.event = UTRACE_EVENT(QUIESCE), .about = event, .action = action},
                             UTRACE_RESUME);
  }
  static uint32_t Signal(uint32_t action, utrace_engine* engine, utrace_task*, utrace_regs*,
                         siginfo_t* info, const utrace_sigaction*, utrace_sigaction*) {
    return Of(engine).Called({.event = UTRACE_EVENT(SIGNAL), .action = action, .info = info},
                             UTRACE_RESUME | (action & UTRACE_SIGNAL_MASK));
  }
  static uint32_t Clone(uint32_t action, utrace_engine* engine, utrace_task*, unsigned long,
                        utrace_task* child) {
    return Of(engine).Called({.event = UTRACE_EVENT(CLONE), .action = action, .child = child},
                             UTRACE_RESUME);
  }
  static uint32_t Jctl(uint32_t action, utrace_engine* engine, utrace_task*, int, int) {
    return Of(engine).Called({.event = UTRACE_EVENT(JCTL), .action = action}, UTRACE_RESUME);
  }
  static uint32_t Exec(uint32_t action, utrace_engine* engine, utrace_task*, const utrace_program*,
                       utrace_regs*) {
    return Of(engine).Called({.event = UTRACE_EVENT(EXEC), .action = action}, UTRACE_RESUME);
  }
  static uint32_t Entry(uint32_t action, utrace_engine* engine, utrace_task*, utrace_regs*) {
    return Of(engine).Called({.event = UTRACE_EVENT(SYSCALL_ENTRY), .action = action},
                             UTRACE_RESUME | (action & UTRACE_SYSCALL_MASK));
  }
  static uint32_t SyscallExit(uint32_t action, utrace_engine* engine, utrace_task*, utrace_regs*) {
    return Of(engine).Called({.event = UTRACE_EVENT(SYSCALL_EXIT), .action = action},
                             UTRACE_RESUME);
  }
  static uint32_t Exit(uint32_t action, utrace_engine* engine, utrace_task*, long, long* code) {
    return Of(engine).Called({.event = UTRACE_EVENT(EXIT), .action = action, .exit_code = code},
                             UTRACE_RESUME);
  }
  static uint32_t Death(utrace_engine* engine, utrace_task*, bool group_dead, int) {
    return Of(engine).Called({.event = UTRACE_EVENT(DEATH), .group_dead = group_dead},
                             UTRACE_RESUME);
  }
  static void Reap(utrace_engine* engine, utrace_task*) {
    Of(engine).Called({.event = UTRACE_EVENT(REAP)}, UTRACE_RESUME);
    Of(engine).reaped_ = true;
  }
  static void Release(void* data) {
    auto& probe = *static_cast<Probe*>(data);
    Check(!probe.released_, "REF-03: release is called twice");
    Check(!probe.running_, "REF-05: release is called while a callback runs");
    probe.released_ = true;
  }
};

const utrace_engine_ops ProbeOps::table = {
    .report_quiesce = Quiesce,
    .report_signal = Signal,
    .report_clone = Clone,
    .report_jctl = Jctl,
    .report_exec = Exec,
    .report_syscall_entry = Entry,
    .report_syscall_exit = SyscallExit,
    .report_exit = Exit,
    .report_death = Death,
    .report_reap = Reap,
    .release = Release,
};

Probe::Probe(std::string name) : name_(std::move(name)) {}

Probe::~Probe() { Put(); }

void Probe::Put() {
  if (engine_ != nullptr) utrace_engine_put(std::exchange(engine_, nullptr));
}

int Probe::Attach(utrace_task* task, unsigned long events, int flags) {
  utrace_engine* const engine = utrace_attach_task(task, flags, &ProbeOps::table, this);
  if (UTRACE_IS_ERR(engine)) return UTRACE_PTR_ERR(engine);
  task_ = task;
  engine_ = engine;
  return events == 0 ? 0 : SetEvents(events);
}

int Probe::SetEvents(unsigned long events) {
  const unsigned long before = allowed_;
  allowed_ |= events;
  const int result = utrace_set_events(task_, engine_, events);
  if (result == 0 || result == -EINPROGRESS) {
    allowed_ = events;
  } else {
    allowed_ = before;
  }
  return result;
}

int Probe::Control(enum utrace_resume_action action) {
  const int result = utrace_control(task_, engine_, action);
  if (action == UTRACE_DETACH && (result == 0 || result == -EINPROGRESS)) detached_ = true;
  return result;
}

size_t Probe::Count(unsigned long event) const {
  return static_cast<size_t>(std::count(calls_.begin(), calls_.end(), event));
}

uint32_t Probe::Called(const Callback& callback, uint32_t by_default) {
  const std::string what = name_ + ", event 0x" + std::to_string(callback.event);
  Check(!detached_, "CTL-10, CTL-11: a callback begins after a detach took place: " + what);
  Check(!reaped_, "REA-01: a callback begins after the reap report: " + what);
  Check(!released_, "REF-05: a callback begins after release: " + what);
  unsigned long kinds = callback.event;
  if (callback.event == UTRACE_EVENT(SIGNAL)) {
    kinds = UTRACE_EVENT_SIGNAL_ALL | UTRACE_EVENT(QUIESCE);
  }
  Check((allowed_ & kinds) != 0, "EVT-11, EVT-16: the event is not in the mask: " + what);
  const auto [busy, alone] = Busy().emplace(task_, name_);
  Check(alone, "REP-03: callbacks for one task overlap: " + what + " and " + busy->second);
  calls_.push_back(callback.event);
  running_ = true;
  // Who waits for a callback, or races with it, finds it in progress.
  Point();
  const uint32_t result = respond ? respond(callback) : by_default;
  running_ = false;
  Busy().erase(task_);
  if ((result & UTRACE_RESUME_MASK) == UTRACE_DETACH) detached_ = true;
  return result;
}

// ---- Stages ----------------------------------------------------------------------------------------

Stage::Stage() {
  Check(utrace_target_begin() == 0, "no world");
  Busy().clear();
  hands_.emplace_back(UTRACE_TARGET_PARENT).AwaitReady();
}

Stage::~Stage() {
  Join();
  for (Probe& probe : probes_) probe.respond = nullptr;
  for (utrace_task* task : tasks_) utrace_task_put(task);
  utrace_target_end();
}

Hand& Stage::parent() { return hands_.front(); }

Hand& Stage::Process() {
  Hand& hand = hands_.emplace_back(next_slot_++);
  hand.Spawn();
  hand.AwaitState('S');
  return hand;
}

Hand& Stage::Thread(Hand& of) {
  Hand& hand = hands_.emplace_back(next_slot_++);
  of.Do(UTRACE_TARGET_SPAWN, 0, 0, 0, 0, 0, 0, hand.index());
  hand.AwaitReady();
  hand.AwaitState('S');
  return hand;
}

utrace_task* Stage::Task(const Hand& hand) {
  utrace_pid* const pid = utrace_pid_find(hand.tid());
  Check(!UTRACE_IS_ERR(pid), "no such thread");
  utrace_task* const task = utrace_pid_task(pid);
  utrace_pid_put(pid);
  Check(!UTRACE_IS_ERR(task), "no such task");
  tasks_.push_back(task);
  return task;
}

FiberId Stage::Start(const std::string& name, std::function<void()> body) {
  controllers_.push_back(Spawn(name, std::move(body)));
  return controllers_.back();
}

void Stage::Join() {
  for (const FiberId controller : controllers_) {
    Await("a controller", [controller] { return HasEnded(controller); });
  }
  controllers_.clear();
}

void SetSchedule(std::string schedule) { TheSchedule() = std::move(schedule); }

void ExploreScene(const char* clause, const char* name, void (*scene)()) {
  const std::string& schedule = TheSchedule();
  std::string error;
  const auto strategy = MakeStrategy(schedule, &error);
  ASSERT_NE(nullptr, strategy) << error;
  const RunResult result = Explore(*strategy, scene);
  AbandonWorld();  // the world of a run that failed
  testing::Test::RecordProperty("runs", std::to_string(result.runs));
  std::printf("%s.%s: %llu schedules, %llu points\n", clause, name,
              static_cast<unsigned long long>(result.runs),
              static_cast<unsigned long long>(result.points));
  if (result.end == RunResult::End::kDone) return;
  ADD_FAILURE() << EndName(result.end) << ": " << result.text;
  std::printf("repeat with: --gtest_filter=%s.%s --schedule=%s\n", clause, name,
              result.schedule.c_str());
}

}  // namespace utrace::model
