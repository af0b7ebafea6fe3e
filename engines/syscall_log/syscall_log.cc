#include "engines/syscall_log/syscall_log.h"

#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>

#include "engines/syscall_log/decode/table.h"
#include "engines/syscall_log/task_log.h"
#include "fmt/format.h"

namespace utrace {
namespace {

using syscall_log::CallOutcome;
using syscall_log::Log;
using syscall_log::LogFormat;
using syscall_log::Settings;
using syscall_log::TaskLog;
using syscall_log::Text;
using syscall_log::Who;

class SyscallLogInstance final : public EngineInstance {
 public:
  explicit SyscallLogInstance(std::shared_ptr<Log> log)
      : log_(std::move(log)), engine_(std::make_shared<SyscallLog>(log_)) {}
  ~SyscallLogInstance() override { engine_->DetachEverywhere(); }

  int Attach(utrace_task* task) override {
    Result<Attachment> attachment =
        Attachment::Attach(task, engine_, engine_->events(), Attachment::Mode::kUnlessAttached);
    if (!attachment) return attachment.code();
    attachment->Leave();
    return 0;
  }

  std::optional<std::vector<long>> SystemCalls() const override {
    const syscall_log::CallFilter& filter = log_->settings().calls;
    if (filter.Wants(syscall_log::kSyscallLimit)) return std::nullopt;
    std::vector<long> wanted;
    for (long number = 0; number < syscall_log::kSyscallLimit; ++number) {
      if (filter.Wants(number)) wanted.push_back(number);
    }
    return wanted;
  }

  std::vector<std::string> Finish() override {
    engine_->DetachEverywhere();
    std::vector<std::string> problems = log_->Finish();
    for (std::string& problem : problems) problem.insert(0, "syscall_log: ");
    return problems;
  }

 private:
  const std::shared_ptr<Log> log_;
  const std::shared_ptr<SyscallLog> engine_;
};

}  // namespace

SyscallLog::SyscallLog(std::shared_ptr<Log> log) : log_(std::move(log)) {
  // Builds the tables now rather than while a task waits.
  (void)syscall_log::FindCall(0L);
}

Events SyscallLog::events() const {
  const Settings& settings = log_->settings();
  Events events = Events::kSyscall | Events::kExec | Events::kExit | Events::kDeath;
  if (settings.follow) events |= Events::kClone;
  if (settings.signals) events |= Events::kSignalAll | Events::kJctl;
  return events;
}

SyscallResult SyscallLog::OnSyscallEntry(SyscallEntry& report) {
  TaskLog::Of(report, log_).EnterCall(report, report.number(), report.repeated());
  return Action::kResume;
}

Action SyscallLog::OnSyscallExit(SyscallExit& report) {
  const Result<SyscallOutcome> result = report.outcome();
  if (!result) return Action::kResume;  // killed: the death report ends the call
  const CallOutcome outcome{.error = static_cast<int>(-result->error), .value = result->value};
  TaskLog::Of(report, log_).ExitCall(report, report.number(), outcome);
  return Action::kResume;
}

SignalResult SyscallLog::OnSignal(SignalReport& report) {
  if (!report.is_signal()) return Action::kResume;
  TaskLog::Of(report, log_).Write(report, [&](const LogFormat& format, Text& out, const Who& who) {
    format.Signal(out, who, report.info());
  });
  return Action::kResume;
}

Action SyscallLog::OnClone(CloneReport& report) {
  const utrace::Status status = report.Follow();
  // -ESRCH: the child is dead already. -ESHUTDOWN: the log is being finished.
  if (status.ok() || status.code() == -ESRCH || status.code() == -ESHUTDOWN) return Action::kResume;
  log_->AddProblem(fmt::format("thread {}, created by {}, is not logged: {}", report.child().tid(),
                               report.task().tid(), status.ToString()));
  return Action::kResume;
}

Action SyscallLog::OnJctl(JctlReport& report) {
  TaskLog::Of(report, log_).Write(report, [&](const LogFormat& format, Text& out, const Who& who) {
    format.JobControl(out, who, report.type() == CLD_STOPPED);
  });
  return Action::kResume;
}

Action SyscallLog::OnExec(ExecReport& report) {
  TaskLog& task = TaskLog::Of(report, log_);
  // Readers of names want to know in any case.
  if (!task.ExecSucceeded(report) && !log_->format().WantsNames()) return Action::kResume;
  task.Write(report, [&](const LogFormat& format, Text& out, const Who& who) {
    format.Exec(out, who, report.program().path, report.program().former_tid);
  });
  return Action::kResume;
}

Action SyscallLog::OnExit(ExitReport& report) {
  TaskLog& task = TaskLog::Of(report, log_);
  task.EndCall();
  task.exit_is_logged = true;
  task.Write(report, [&](const LogFormat& format, Text& out, const Who& who) {
    format.Exit(out, who, static_cast<int>(report.original()));
  });
  return Action::kResume;
}

Action SyscallLog::OnDeath(DeathReport& report) {
  TaskLog& task = TaskLog::Of(report, log_);
  task.EndCall();
  if (!task.exit_is_logged) {
    // Only SIGKILL ends a task without an exit report [LIM-01].
    task.Write(report, [&](const LogFormat& format, Text& out, const Who& who) {
      format.Exit(out, who, SIGKILL);
    });
  }
  log_->TaskEnded(report.task().tgid(), report.group_dead());
  return Action::kDetach;
}

std::vector<OptionInfo> SyscallLogOptions() { return syscall_log::SettingsOptions(); }

std::unique_ptr<EngineInstance> MakeSyscallLog(const Options& options, const EngineFiles& files,
                                               std::string* error) {
  const std::optional<Settings> settings = syscall_log::ParseSettings(options, error);
  if (!settings) return nullptr;
  const std::string* output = options.Find("output");
  std::shared_ptr<Log> log =
      Log::Make(*settings, output != nullptr ? *output : "standard error", files, error);
  if (log == nullptr) return nullptr;
  return std::make_unique<SyscallLogInstance>(std::move(log));
}

}  // namespace utrace
