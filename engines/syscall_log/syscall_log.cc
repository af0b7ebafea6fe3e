#include "engines/syscall_log/syscall_log.h"

#include <array>
#include <cerrno>
#include <iterator>
#include <optional>
#include <utility>

#include "engines/syscall_log/format.h"
#include "fmt/format.h"

namespace utrace {
namespace {

using syscall_log::Append;
using syscall_log::AppendCall;
using syscall_log::AppendOutcome;
using syscall_log::AppendSiginfo;
using syscall_log::AppendSyscallName;
using syscall_log::AppendWaitStatus;
using syscall_log::Text;

// One line: begun with its thread id, written as a whole.
class Line {
 public:
  explicit Line(pid_t tid) { fmt::format_to(std::back_inserter(text_), "[{}] ", tid); }

  Text& text() { return text_; }
  Line& operator<<(std::string_view piece) {
    Append(text_, piece);
    return *this;
  }
  void WriteTo(LineWriter& writer) {
    Append(text_, "\n");
    writer.Write({text_.data(), text_.size()});
  }

 private:
  Text text_;
};

// A system call between its entry and its exit.
struct OpenCall {
  pid_t tid;
  long number;
  std::array<uint64_t, 6> arguments;

  Line BeginLine() const {
    Line line(tid);
    AppendCall(line.text(), number, arguments);
    line << " = ";
    return line;
  }
  void WriteAs(std::string_view outcome, LineWriter& writer) const {
    Line line = BeginLine();
    line << outcome;
    line.WriteTo(writer);
  }
};

// What is kept for each task.
struct TaskLog {
  std::shared_ptr<LineWriter> writer;
  std::optional<OpenCall> call;
  // The exec's line is out; its exit report, if there is one, has no line of its own.
  bool exec_is_logged = false;
  bool exit_is_logged = false;

  TaskLog() = default;
  TaskLog(const TaskLog&) = delete;
  TaskLog& operator=(const TaskLog&) = delete;
  // The attachment ends while the task is inside a call.
  ~TaskLog() {
    try {
      EndCall("? <detached>");
    } catch (...) {
      // No memory for this last line. Nobody is left to be told.
    }
  }

  void EndCall(std::string_view outcome) {
    if (call) call->WriteAs(outcome, *writer);
    call.reset();
  }
};

class SyscallLogInstance final : public EngineInstance {
 public:
  SyscallLogInstance(std::string output, std::shared_ptr<LineWriter> writer,
                     const SyscallLog::Settings& settings)
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
    : writer_(std::move(writer)), settings_(settings) {
  // Builds the table of names now rather than while a task waits.
  Text unused;
  AppendSyscallName(unused, 0);
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

SyscallResult SyscallLog::OnSyscallEntry(SyscallEntry& report) {
  TaskLog& log = report.State<TaskLog>();
  if (log.writer == nullptr) log.writer = writer_;
  log.exec_is_logged = false;
  // A repeat reports the same call anew, perhaps with other arguments. Otherwise a call that is open
  // has ended without an exit report.
  if (!report.repeated()) log.EndCall("?");
  const auto arguments = report.machine().SyscallArguments();
  if (!arguments) return Action::kResume;  // killed
  log.call =
      OpenCall{.tid = report.task().tid(), .number = report.number(), .arguments = *arguments};
  return Action::kResume;
}

Action SyscallLog::OnSyscallExit(SyscallExit& report) {
  TaskLog& log = report.State<TaskLog>();
  if (std::exchange(log.exec_is_logged, false)) return Action::kResume;
  const Result<SyscallOutcome> outcome = report.outcome();
  if (!outcome) return Action::kResume;  // killed: the death report ends the call
  const auto call = std::exchange(log.call, std::nullopt);
  Line line = call ? call->BeginLine() : Line(report.task().tid());
  if (!call) {
    // Attached in the middle of the call: the argument registers may have changed since.
    AppendSyscallName(line.text(), report.number());
    line << "(<entry not seen>) = ";
  }
  AppendOutcome(line.text(), *outcome);
  line.WriteTo(*writer_);
  return Action::kResume;
}

SignalResult SyscallLog::OnSignal(SignalReport& report) {
  if (!report.is_signal()) return Action::kResume;
  Line line(report.task().tid());
  line << "--- ";
  AppendSiginfo(line.text(), report.info());
  line << " ---";
  line.WriteTo(*writer_);
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
  Line line(report.task().tid());
  line << (report.type() == CLD_STOPPED ? "--- stopped ---" : "--- continued ---");
  line.WriteTo(*writer_);
  return Action::kResume;
}

Action SyscallLog::OnExec(ExecReport& report) {
  TaskLog& log = report.State<TaskLog>();
  log.exec_is_logged = log.call.has_value();
  log.EndCall("0");
  const pid_t tid = report.task().tid();
  Line line(tid);
  line << "--- exec " << report.program().path;
  if (report.program().former_tid != tid) {
    fmt::format_to(std::back_inserter(line.text()), " by thread {}", report.program().former_tid);
  }
  line << " ---";
  line.WriteTo(*writer_);
  return Action::kResume;
}

Action SyscallLog::OnExit(ExitReport& report) {
  TaskLog& log = report.State<TaskLog>();
  log.EndCall("?");
  log.exit_is_logged = true;
  Line line(report.task().tid());
  line << "+++ ";
  AppendWaitStatus(line.text(), report.original());
  line << " +++";
  line.WriteTo(*writer_);
  return Action::kResume;
}

Action SyscallLog::OnDeath(DeathReport& report) {
  TaskLog& log = report.State<TaskLog>();
  log.EndCall("?");
  if (!log.exit_is_logged) {
    // Only SIGKILL ends a task without an exit report [LIM-01].
    Line line(report.task().tid());
    line << "+++ killed by SIGKILL +++";
    line.WriteTo(*writer_);
  }
  writer_->Flush();
  return Action::kDetach;
}

std::vector<OptionInfo> SyscallLogOptions() {
  return {
      {.key = "output",
       .values = "FILE",
       .summary = "where the lines go; the file is emptied first; default: standard error",
       .kind = OptionInfo::Kind::kOutputFile},
      {.key = "follow",
       .values = "yes|no",
       .summary = "log the threads and processes that a task creates as well; default: yes"},
      {.key = "signals",
       .values = "yes|no",
       .summary = "log signals and job control as well; default: yes"},
  };
}

std::unique_ptr<EngineInstance> MakeSyscallLog(const Options& options, const EngineFiles& files,
                                               std::string* error) {
  const std::optional<bool> follow = options.YesNo("follow", true, error);
  const std::optional<bool> signals = options.YesNo("signals", true, error);
  if (!follow || !signals) return nullptr;
  const SyscallLog::Settings settings{.follow = *follow, .signals = *signals};

  const std::string* output = options.Find("output");
  return std::make_unique<SyscallLogInstance>(output != nullptr ? *output : "standard error",
                                              files.Writer("output"), settings);
}

}  // namespace utrace
