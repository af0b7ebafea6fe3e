#include "engines/syscall_log/syscall_log.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>

#include "engines/syscall_log/decode/table.h"
#include "engines/syscall_log/task_access.h"
#include "fmt/format.h"

namespace utrace {
namespace {

using syscall_log::CallEnd;
using syscall_log::CallOutcome;
using syscall_log::Format;
using syscall_log::LogFormat;
using syscall_log::Moment;
using syscall_log::Settings;
using syscall_log::ShownCall;
using syscall_log::Text;
using syscall_log::Who;

Who WhoOf(TaskView task) { return {.tid = task.tid(), .pid = task.tgid(), .when = Moment::Now()}; }

// What is kept for each task.
struct TaskLog {
  std::shared_ptr<LineWriter> writer;
  std::shared_ptr<const LogFormat> format;
  ShownCall call{Format::kText};
  std::optional<Who> open;  // who is inside `call`, since when
  Text line;                // to be used again
  // The exec's line is out; its exit report, if there is one, has no line of its own.
  bool exec_is_logged = false;
  bool exit_is_logged = false;

  TaskLog() = default;
  TaskLog(const TaskLog&) = delete;
  TaskLog& operator=(const TaskLog&) = delete;
  // The attachment ends while the task is inside a call.
  ~TaskLog() {
    try {
      EndCall(CallEnd::kDetached);
    } catch (...) {
      // No memory for this last line. Nobody is left to be told.
    }
  }

  void EndCall(CallEnd end) {
    if (!open) return;
    Write([&](Text& out) {
      format->Call(out, *open, call, end, Moment::Now().steady - open->when.steady);
    });
    open.reset();
  }

  template <class Body>
  void Write(const Body& body) {
    line.clear();
    body(line);
    writer->Write({line.data(), line.size()});
  }
};

// A task's memory and descriptors for the length of a callback.
class Surroundings {
 public:
  Surroundings(const Report& report, const Settings& settings)
      : memory_(report.machine()), descriptors_(report.task().tid()), style_(settings.style) {}
  syscall_log::Surroundings get() { return {memory_, descriptors_, style_}; }

 private:
  syscall_log::TaskMemory memory_;
  syscall_log::TaskDescriptors descriptors_;
  const syscall_log::Style& style_;
};

class SyscallLogInstance final : public EngineInstance {
 public:
  SyscallLogInstance(std::string output, std::shared_ptr<LineWriter> writer,
                     const Settings& settings)
      : output_(std::move(output)),
        writer_(std::move(writer)),
        engine_(std::make_shared<SyscallLog>(writer_, settings)) {}
  ~SyscallLogInstance() override { engine_->DetachEverywhere(); }

  int Attach(utrace_task* task) override {
    Result<Attachment> attachment =
        Attachment::Attach(task, engine_, engine_->events(), Attachment::Mode::kUnlessAttached);
    if (!attachment) return attachment.code();
    attachment->Leave();
    return 0;
  }

  std::vector<std::string> Finish() override {
    engine_->DetachEverywhere();
    std::vector<std::string> problems = engine_->TakeProblems();
    const LineWriter::Trouble trouble = writer_->Finish();
    if (trouble.lost_lines != 0) problems.push_back(output_ + ": " + trouble.ToString());
    for (std::string& problem : problems) problem.insert(0, "syscall_log: ");
    return problems;
  }

 private:
  const std::string output_;
  const std::shared_ptr<LineWriter> writer_;
  const std::shared_ptr<SyscallLog> engine_;
};

}  // namespace

SyscallLog::SyscallLog(std::shared_ptr<LineWriter> writer, const Settings& settings)
    : writer_(std::move(writer)), settings_(settings), format_(syscall_log::MakeTextFormat({})) {
  // Builds the tables now rather than while a task waits.
  (void)syscall_log::FindCall(0L);
}

Events SyscallLog::events() const {
  Events events = Events::kSyscall | Events::kExec | Events::kExit | Events::kDeath;
  if (settings_.follow) events |= Events::kClone;
  if (settings_.signals) events |= Events::kSignalAll | Events::kJctl;
  return events;
}

std::vector<std::string> SyscallLog::TakeProblems() {
  const std::lock_guard lock(mutex_);
  return std::exchange(problems_, {});
}

namespace {

TaskLog& LogOf(Report& report, const std::shared_ptr<LineWriter>& writer,
               const std::shared_ptr<const LogFormat>& format) {
  TaskLog& log = report.State<TaskLog>();
  if (log.writer == nullptr) {
    log.writer = writer;
    log.format = format;
  }
  return log;
}

}  // namespace

SyscallResult SyscallLog::OnSyscallEntry(SyscallEntry& report) {
  TaskLog& log = LogOf(report, writer_, format_);
  log.exec_is_logged = false;
  // A repeat reports the same call anew, perhaps with other arguments. Otherwise a call that is open
  // has ended without an exit report.
  if (!report.repeated()) log.EndCall(CallEnd::kNever);
  const auto arguments = report.machine().SyscallArguments();
  if (!arguments) return Action::kResume;  // killed
  log.open = WhoOf(report.task());
  log.call.Enter(report.number(), *arguments, Surroundings(report, settings_).get());
  return Action::kResume;
}

Action SyscallLog::OnSyscallExit(SyscallExit& report) {
  TaskLog& log = LogOf(report, writer_, format_);
  if (std::exchange(log.exec_is_logged, false)) return Action::kResume;
  const Result<SyscallOutcome> result = report.outcome();
  if (!result) return Action::kResume;  // killed: the death report ends the call
  const CallOutcome outcome{.error = static_cast<int>(-result->error), .value = result->value};
  if (log.open) {
    log.call.Exit(outcome, Surroundings(report, settings_).get());
    log.EndCall(CallEnd::kReturned);
  } else {
    // Attached in the middle of the call: the argument registers may have changed since.
    log.Write([&](Text& out) {
      format_->CallEndOnly(out, WhoOf(report.task()), report.number(), outcome);
    });
  }
  return Action::kResume;
}

SignalResult SyscallLog::OnSignal(SignalReport& report) {
  if (!report.is_signal()) return Action::kResume;
  LogOf(report, writer_, format_).Write([&](Text& out) {
    format_->Signal(out, WhoOf(report.task()), report.info());
  });
  return Action::kResume;
}

Action SyscallLog::OnClone(CloneReport& report) {
  const Status status = report.Follow();
  // -ESRCH: the child is dead already. -ESHUTDOWN: the log is being finished.
  if (status.ok() || status.code() == -ESRCH || status.code() == -ESHUTDOWN) return Action::kResume;
  std::string problem = fmt::format("thread {}, created by {}, is not logged: {}",
                                    report.child().tid(), report.task().tid(), status.ToString());
  const std::lock_guard lock(mutex_);
  problems_.push_back(std::move(problem));
  return Action::kResume;
}

Action SyscallLog::OnJctl(JctlReport& report) {
  LogOf(report, writer_, format_).Write([&](Text& out) {
    format_->JobControl(out, WhoOf(report.task()), report.type() == CLD_STOPPED);
  });
  return Action::kResume;
}

Action SyscallLog::OnExec(ExecReport& report) {
  TaskLog& log = LogOf(report, writer_, format_);
  log.exec_is_logged = log.open.has_value();
  if (log.open) {
    log.call.Exit({}, Surroundings(report, settings_).get());
    log.EndCall(CallEnd::kReturned);
  }
  log.Write([&](Text& out) {
    format_->Exec(out, WhoOf(report.task()), report.program().path, report.program().former_tid);
  });
  return Action::kResume;
}

Action SyscallLog::OnExit(ExitReport& report) {
  TaskLog& log = LogOf(report, writer_, format_);
  log.EndCall(CallEnd::kNever);
  log.exit_is_logged = true;
  log.Write([&](Text& out) {
    format_->Exit(out, WhoOf(report.task()), static_cast<int>(report.original()));
  });
  return Action::kResume;
}

Action SyscallLog::OnDeath(DeathReport& report) {
  TaskLog& log = LogOf(report, writer_, format_);
  log.EndCall(CallEnd::kNever);
  if (!log.exit_is_logged) {
    // Only SIGKILL ends a task without an exit report [LIM-01].
    log.Write([&](Text& out) { format_->Exit(out, WhoOf(report.task()), SIGKILL); });
  }
  writer_->Flush();
  return Action::kDetach;
}

std::vector<OptionInfo> SyscallLogOptions() { return syscall_log::SettingsOptions(); }

std::unique_ptr<EngineInstance> MakeSyscallLog(const Options& options, const EngineFiles& files,
                                               std::string* error) {
  const std::optional<Settings> settings = syscall_log::ParseSettings(options, error);
  if (!settings) return nullptr;
  const std::string* output = options.Find("output");
  return std::make_unique<SyscallLogInstance>(output != nullptr ? *output : "standard error",
                                              files.Writer("output"), *settings);
}

}  // namespace utrace
