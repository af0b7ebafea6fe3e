#include "engines/syscall_log/task_log.h"

#include <utility>

#include "engines/syscall_log/task_access.h"

namespace utrace::syscall_log {

TaskLog& TaskLog::Of(Report& report, const std::shared_ptr<Log>& log) {
  TaskLog& task = report.State<TaskLog>();
  if (task.log_ != nullptr) return task;
  task.log_ = log;
  task.call_.emplace(log->argument_format());
  if (log->format().WantsNames()) {
    task.Write(report, [](const LogFormat& format, Text& out, const Who& who) {
      format.Task(out, who, NameOfTask(who.tid));
    });
  }
  return task;
}

TaskLog::~TaskLog() {
  if (!open_) return;
  try {
    LeaveCall(CallEnd::kDetached);
  } catch (...) {
    // No memory for this last line. Nobody is left to be told.
  }
}

Who TaskLog::NewWho(Report& report) {
  return {.tid = report.task().tid(), .pid = report.task().tgid(), .when = Moment::Now()};
}

LogFile& TaskLog::FileFor(pid_t pid) {
  if (file_ == nullptr || file_pid_ != pid) {
    file_ = log_->FileFor(pid);
    file_pid_ = pid;
  }
  return *file_;
}

void TaskLog::EnterCall(Report& report, long number, bool repeated) {
  exec_is_logged_ = false;
  // Otherwise a call that is open has ended without an exit report.
  if (!repeated) EndCall();
  open_.reset();
  const Settings& settings = log_->settings();
  left_out_ = !settings.calls.Wants(number);
  if (left_out_) return;
  const auto arguments = report.machine().SyscallArguments();
  if (!arguments) return;  // killed
  const Who who = NewWho(report);
  TaskMemory memory(report.machine());
  TaskDescriptors descriptors(who.tid);
  number_ = number;
  left_out_ = !settings.paths.Wants(number, *arguments, memory, descriptors);
  if (left_out_) return;
  open_ = who;
  if (!settings.lines) return;
  call_->Enter(number, *arguments, {memory, descriptors, settings.style});
  if (!settings.unfinished) return;
  line_.clear();
  log_->format().Unfinished(line_, *open_, *call_);
  shown_ = call_->CertainArguments();
  mark_ = FileFor(who.pid).BeginCall({line_.data(), line_.size()});
}

void TaskLog::ExitCall(Report& report, long number, const CallOutcome& outcome) {
  if (std::exchange(exec_is_logged_, false) || std::exchange(left_out_, false)) return;
  const Settings& settings = log_->settings();
  if (open_) {
    ShowOutcome(report, outcome);
    return LeaveCall(CallEnd::kReturned);
  }
  // Attached in the middle of the call: the argument registers may have changed since.
  const bool failed = outcome.error != 0;
  if (!settings.calls.Wants(number) || !settings.paths.wants_all() ||
      (settings.status == Wanted::kFailed && !failed) ||
      (settings.status == Wanted::kSuccessful && failed)) {
    return;
  }
  Write(report, [&](const LogFormat& format, Text& out, const Who& who) {
    format.CallEndOnly(out, who, number, outcome);
  });
}

bool TaskLog::ExecSucceeded(Report& report) {
  const bool left_out = std::exchange(left_out_, false);
  exec_is_logged_ = open_.has_value() || left_out;
  if (!open_) return !left_out;
  ShowOutcome(report, {});
  const bool wanted = WantsOutcome(CallEnd::kReturned);
  LeaveCall(CallEnd::kReturned);
  return wanted;
}

void TaskLog::ShowOutcome(Report& report, const CallOutcome& outcome) {
  outcome_ = outcome;
  // For a summary alone arguments need not be decoded.
  if (!log_->settings().lines) return;
  TaskMemory memory(report.machine());
  TaskDescriptors descriptors(report.task().tid());
  call_->Exit(outcome, {memory, descriptors, log_->settings().style});
}

bool TaskLog::WantsOutcome(CallEnd end) const {
  switch (log_->settings().status) {
    case Wanted::kFailed:
      return end == CallEnd::kReturned && outcome_.error != 0;
    case Wanted::kSuccessful:
      return end == CallEnd::kReturned && outcome_.error == 0;
    case Wanted::kAny:
      break;
  }
  return true;
}

void TaskLog::LeaveCall(CallEnd end) {
  if (!open_) return;
  const Who who = *std::exchange(open_, std::nullopt);
  if (!WantsOutcome(end)) return;
  const Settings& settings = log_->settings();
  const int64_t duration = Moment::Now().steady - who.when.steady;
  if (settings.summary && end == CallEnd::kReturned) {
    log_->summary().Add(number_, outcome_.error != 0, duration);
  }
  if (!settings.lines) return;
  LogFile& file = FileFor(who.pid);
  line_.clear();
  if (!settings.unfinished) {
    log_->format().Call(line_, who, *call_, end, duration);
    return file.Write({line_.data(), line_.size()});
  }
  file.EndCall(mark_, [&](bool whole) {
    if (whole) {
      log_->format().Call(line_, who, *call_, end, duration);
    } else {
      // This line is of now; the one before it was of the beginning.
      const Who now{.tid = who.tid, .pid = who.pid, .when = Moment::Now()};
      log_->format().Resumed(line_, now, *call_, end, shown_, duration);
    }
    return std::string_view(line_.data(), line_.size());
  });
}

}  // namespace utrace::syscall_log
