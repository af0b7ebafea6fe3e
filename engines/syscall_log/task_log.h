// TaskLog: what a syscall_log keeps for each task: the call that it is in, and where its lines go.
#ifndef ENGINES_SYSCALL_LOG_TASK_LOG_H_
#define ENGINES_SYSCALL_LOG_TASK_LOG_H_

#include <memory>
#include <optional>

#include "core/engine.h"
#include "engines/syscall_log/log.h"

namespace utrace::syscall_log {

// To be used in callbacks for its task.
class TaskLog {
 public:
  // Of the task that `report` is about.
  static TaskLog& Of(Report& report, const std::shared_ptr<Log>& log);

  TaskLog() = default;
  TaskLog(const TaskLog&) = delete;
  TaskLog& operator=(const TaskLog&) = delete;
  // The attachment ends, perhaps while the task is inside a call.
  ~TaskLog();

  // ---- The call that the task is in.

  // `repeated`: the same call is reported again, perhaps with other arguments.
  void EnterCall(Report& report, long number, bool repeated);
  void ExitCall(Report& report, long number, const CallOutcome& outcome);
  // The call of an exec that succeeded; its exit is not always reported. False if filters leave it
  // out.
  bool ExecSucceeded(Report& report);
  // The task will not return from its call.
  void EndCall() { LeaveCall(CallEnd::kNever); }

  // ---- Lines about the task. `body(LogFormat&, Text&, Who&)` appends them.

  template <class Body>
  void Write(Report& report, const Body& body) {
    if (!log_->settings().lines) return;
    const Who who = NewWho(report);
    line_.clear();
    body(log_->format(), line_, who);
    FileFor(who.pid).Write({line_.data(), line_.size()});
  }

  bool exit_is_logged = false;

 private:
  static Who NewWho(Report& report);
  LogFile& FileFor(pid_t pid);
  // The call is over: keeps its outcome, and shows it if lines are written.
  void ShowOutcome(Report& report, const CallOutcome& outcome);
  void LeaveCall(CallEnd end);
  bool WantsOutcome(CallEnd end) const;

  std::shared_ptr<Log> log_;
  std::shared_ptr<LogFile> file_;
  pid_t file_pid_ = 0;  // whose file_ is

  std::optional<Who> open_;        // who is inside a call, since when
  long number_ = -1;               // of the call
  CallOutcome outcome_;            // of the call once it returned
  std::optional<ShownCall> call_;  // its text, if lines are written
  uint64_t mark_ = 0;              // of LogFile::BeginCall
  size_t shown_ = 0;               // arguments in the line that it wrote for the call
  // The call is one that is not to be logged.
  bool left_out_ = false;
  // The exec's line is out; its exit report, if there is one, has no line of its own.
  bool exec_is_logged_ = false;
  Text line_;  // to be used again
};

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_TASK_LOG_H_
