// What stands behind an engine of a storm: its callbacks are recorded and counted, and then answered here.
#ifndef STRESS_STORM_PARTY_H_
#define STRESS_STORM_PARTY_H_

#include "conformance/history/what.h"
#include "core/utrace.h"

namespace utrace::storm {

class Counts;

// The arguments of a callback.
struct Report {
  history::What what;
  uint32_t action = UTRACE_RESUME;
  utrace_engine* engine = nullptr;
  utrace_task* task = nullptr;
  unsigned long event = 0;          // report_quiesce
  const siginfo_t* info = nullptr;  // report_signal: the signal, if one was dequeued
  utrace_task* child = nullptr;     // report_clone
  unsigned long clone_flags = 0;    // report_clone

  // Whether it comes because somebody asked for it, with no event.
  bool asked_for() const;
  // The answer that leaves the event as it is, with this wish.
  uint32_t With(enum utrace_resume_action action) const;
};

// Belongs to its engine from a successful attach until release, which deletes it.
class Party {
 public:
  explicit Party(Counts& counts) : counts_(counts) {}
  virtual ~Party() = default;
  Party(const Party&) = delete;
  Party& operator=(const Party&) = delete;

  // Before a report_clone is recorded.
  virtual void MeetNewborn(utrace_task*) {}
  // Never called by two threads at a time.
  virtual uint32_t Answer(const Report& report) = 0;

  Counts& counts() const { return counts_; }
  static const utrace_engine_ops kOps;

 private:
  Counts& counts_;
};

}  // namespace utrace::storm

#endif  // STRESS_STORM_PARTY_H_
