// Race clauses, explored: a scene is a few tasks and controllers, run under every schedule within a
// bound of preemptions.
//
//   RACE(BAR_03, TwoControllersWait) {
//     Stage stage;
//     ...
//     Explored explored;
//     stage.Start("controller", [&] { ... });
//     stage.Join();
//   }
//
// A check that fails ends the run and prints the schedule, with which the program repeats exactly that
// run: races_test --gtest_filter=BAR_03.TwoControllersWait --schedule=replay:...
#ifndef CORE_MODEL_RACES_SCENE_H_
#define CORE_MODEL_RACES_SCENE_H_

#include <gtest/gtest.h>

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "core/machine.h"
#include "core/model/kernel/world_testing.h"
#include "core/model/scheduler.h"
#include "core/utrace.h"

namespace utrace::model {

// Ends the run as failed unless `holds`.
void Check(bool holds, const std::string& rule);

// What an engine was called for.
struct Callback {
  unsigned long event = 0;  // of the function called: a bit; QUIESCE for report_quiesce
  unsigned long about = 0;  // report_quiesce: the event whose callbacks follow
  uint32_t action = 0;
  siginfo_t* info = nullptr;     // report_signal
  utrace_task* child = nullptr;  // report_clone
  bool group_dead = false;       // report_death
  long* exit_code = nullptr;     // report_exit
};

// One engine on one task. Checks of itself, in every callback: that it is attached, that the event is
// in its mask, that no other callback for the task is running, that nothing follows its reap
// [CTL-10, EVT-11, EVT-16, REP-03, REA-01, REF-05].
class Probe {
 public:
  explicit Probe(std::string name);
  ~Probe();  // drops its reference
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // What it returns; RESUME, with signals and calls as they are, if not set.
  std::function<uint32_t(const Callback&)> respond;

  // The results are those of utrace.h; zero for success of Attach.
  int Attach(utrace_task* task, unsigned long events = 0, int flags = UTRACE_ATTACH_CREATE);
  int SetEvents(unsigned long events);
  int Control(enum utrace_resume_action action);
  int Barrier() { return utrace_barrier(task_, engine_); }
  utrace_engine* engine() const { return engine_; }
  void Put();

  size_t Count(unsigned long event) const;
  size_t calls() const { return calls_.size(); }
  bool running() const { return running_; }
  bool released() const { return released_; }
  // The reports of its task that began, as far as it can tell.
  const std::vector<unsigned long>& log() const { return calls_; }

 private:
  friend struct ProbeOps;
  uint32_t Called(const Callback& callback, uint32_t by_default);

  const std::string name_;
  utrace_task* task_ = nullptr;
  utrace_engine* engine_ = nullptr;
  unsigned long allowed_ = 0;  // events whose callbacks may begin
  bool detached_ = false;      // a detach took place: no callback may begin
  bool reaped_ = false;
  bool running_ = false;
  bool released_ = false;
  std::vector<unsigned long> calls_;
};

// The tasks, engines and controllers of a scene; takes down what it set up. What engines respond is not
// called any more then.
class Stage {
 public:
  Stage();
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // A process in a slot of its own, ready and idle.
  Hand& Process();
  // A thread of that process.
  Hand& Thread(Hand& of);
  // The task of that thread, borrowed until the stage goes.
  utrace_task* Task(const Hand& hand);
  Hand& parent();
  // An engine, not attached yet; lives as long as the stage.
  Probe& Engine(const std::string& name) { return probes_.emplace_back(name); }

  FiberId Start(const std::string& name, std::function<void()> body);
  void Join();

 private:
  std::list<Probe> probes_;
  std::list<Hand> hands_;
  std::vector<utrace_task*> tasks_;
  std::vector<FiberId> controllers_;
  unsigned next_slot_ = 4;
};

// Waits until it is so.
void Until(const std::function<bool()>& ready);

// What ExploreScene tries, as scheduler.h writes it.
void SetSchedule(std::string schedule);
// Explores `scene` under the schedules that the program was told to try.
void ExploreScene(const char* clause, const char* name, void (*scene)());

}  // namespace utrace::model

#define RACE(clause, name)                                                                     \
  static void clause##_##name##_Scene();                                                       \
  TEST(clause, name) { utrace::model::ExploreScene(#clause, #name, clause##_##name##_Scene); } \
  static void clause##_##name##_Scene()

#endif  // CORE_MODEL_RACES_SCENE_H_
