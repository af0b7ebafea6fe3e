#include "engines/crash_catcher/crash_catcher.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "core/look.h"
#include "engines/crash_catcher/fault.h"
#include "fmt/format.h"

namespace utrace {

// Null where no core is linked: in tests over a fake implementation.
[[gnu::weak]] TracedTask LookAt(TaskView task);

namespace {

// What is kept for each task.
struct Watch {
  // A signal was put back so that the last word can be had about it.
  bool asked = false;
};

// Whether the engine that is being called is the last that has a say about signals of the task.
bool IsLast(TaskView task) {
  if (&LookAt == nullptr) return false;
  const TracedTask seen = LookAt(task);
  bool after_us = false;
  for (const AttachedEngine& engine : seen.engines) {
    const Events heard = engine.events & (Events::kSignalAll | Events::kQuiesce);
    if (after_us && !heard.empty()) return false;
    after_us = after_us || engine.in_callback;
  }
  return after_us;
}

// Whether `report` is of a signal that ends the process, as engines left it so far, and that the user
// wants to know of.
bool IsCrash(const crash::Settings& settings, const SignalReport& report) {
  if (!report.is_signal()) return false;
  const SignalAction so_far = report.signal_so_far();
  if (so_far != SignalAction::kCore && so_far != SignalAction::kTerminate) return false;
  if (settings.signals.empty()) return so_far == SignalAction::kCore;
  return settings.signals.contains(report.info().si_signo);
}

Events CrashEvents(const crash::Settings& settings) {
  // The default action of a signal that was asked for need not be a core dump.
  return settings.signals.empty() ? Events::kSignalCore : Events::kSignalCore | Events::kSignalTerm;
}

class CrashCatcherInstance final : public EngineInstance {
 public:
  CrashCatcherInstance(const crash::Settings& settings, int directory_fd,
                       std::shared_ptr<LineWriter> messages)
      : watches_for_hangs_(settings.hang_timeout.has_value()),
        messages_(std::move(messages)),
        reporter_(std::make_shared<crash::Reporter>(settings, directory_fd, messages_)),
        engine_(std::make_shared<CrashCatcher>(settings, reporter_)) {}
  std::optional<std::vector<long>> SystemCalls() const override { return std::vector<long>(); }
  ~CrashCatcherInstance() override {
    engine_->LeaveEverywhere();
    reporter_->Cancel();
  }

  int Attach(utrace_task* task) override {
    Result<Attachment> attachment =
        Attachment::Attach(task, engine_, engine_->events(), Attachment::Mode::kUnlessAttached);
    if (!attachment) return attachment.code();
    attachment->Leave();
    if (watches_for_hangs_) reporter_->WatchForHang(task);
    return 0;
  }

  std::vector<std::string> Finish() override {
    // Those that a report holds stay held by the reporter until it is finished.
    engine_->LeaveEverywhere();
    reporter_->Finish();
    std::vector<std::string> problems;
    const LineWriter::Trouble trouble = messages_->Finish();
    if (trouble.lost_lines != 0) {
      problems.push_back("crash_catcher: standard error: " + trouble.ToString());
    }
    return problems;
  }

 private:
  const bool watches_for_hangs_;
  const std::shared_ptr<LineWriter> messages_;
  const std::shared_ptr<crash::Reporter> reporter_;
  const std::shared_ptr<CrashCatcher> engine_;
};

}  // namespace

SignalResult LastWord::OnSignal(SignalReport& report) {
  if (!report.is_signal()) return Action::kResume;
  return Decide(report).With(Action::kDetach);
}

SignalResult LastWord::Decide(SignalReport& report) {
  if (!IsCrash(settings_, report) || !reporter_->OnCrash(report.task(), report.info())) {
    return Action::kResume;
  }
  // Until the report is finished, or one about the same process.
  return SignalResult(SignalAction::kIgnore).Hold();
}

CrashCatcher::CrashCatcher(const crash::Settings& settings,
                           std::shared_ptr<crash::Reporter> reporter)
    : settings_(settings),
      reporter_(std::move(reporter)),
      last_word_(std::make_shared<LastWord>(settings_, reporter_)) {}

void CrashCatcher::LeaveEverywhere() {
  DetachEverywhere();
  last_word_->DetachEverywhere();
}

Events CrashCatcher::events() const {
  Events events = CrashEvents(settings_);
  // How a program disposes of the signal that asks for a report is its own affair.
  if (settings_.hang_signal != 0) events |= Events::kSignalAll;
  if (settings_.follow) events |= Events::kClone;
  return events;
}

SignalResult CrashCatcher::OnSignal(SignalReport& report) {
  if (!report.is_signal()) return Action::kResume;
  const int number = report.info().si_signo;
  if (settings_.hang_signal != 0 && number == settings_.hang_signal) {
    reporter_->OnRequest(report.task(), fmt::format("{}, {}", crash::SignalName(number),
                                                    crash::Sender(report.info())));
    return SignalAction::kIgnore;
  }
  if (!IsCrash(settings_, report) || reporter_->WasReported(report.task())) {
    return Action::kResume;
  }
  Watch& watch = report.State<Watch>();
  if (watch.asked) {
    watch.asked = false;
    return Action::kResume;
  }
  if (IsLast(report.task())) return last_word_->Decide(report);
  auto attached = Attachment::Attach(report.task(), last_word_, CrashEvents(settings_));
  if (!attached) return last_word_->Decide(report);
  attached->Leave();
  watch.asked = true;
  return SignalResult(SignalAction::kIgnore).Hold();
}

Action CrashCatcher::OnClone(CloneReport& report) {
  // A child that is dead already, or that comes after the end of our work, is not missed.
  if (!report.Follow().ok()) return Action::kResume;
  if (settings_.hang_timeout && (report.flags() & CLONE_THREAD) == 0) {
    reporter_->WatchForHang(report.child());
  }
  return Action::kResume;
}

std::vector<OptionInfo> CrashCatcherOptions() { return crash::SettingsOptions(); }

std::unique_ptr<EngineInstance> MakeCrashCatcher(const Options& options, const EngineFiles& files,
                                                 std::string* error) {
  const std::optional<crash::Settings> settings = crash::ParseSettings(options, error);
  if (!settings) return nullptr;
  int directory = -1;
  if (const int fd = files.Find("dir"); fd >= 0) {
    directory = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (directory < 0) {
      *error =
          fmt::format("cannot use the directory \"{}\": {}", settings->directory, strerror(errno));
      return nullptr;
    }
  }
  return std::make_unique<CrashCatcherInstance>(*settings, directory, files.Writer("stderr"));
}

}  // namespace utrace
