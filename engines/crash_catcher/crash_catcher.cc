#include "engines/crash_catcher/crash_catcher.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "engines/crash_catcher/fault.h"
#include "fmt/format.h"

namespace utrace {
namespace {

// What is kept for each task.
struct Watch {
  // Its fatal signal was reported, or its process's end was, and is passed on when it comes back.
  bool reported = false;
};

class CrashCatcherInstance final : public EngineInstance {
 public:
  CrashCatcherInstance(const crash::Settings& settings, int directory_fd,
                       std::shared_ptr<LineWriter> messages)
      : watches_for_hangs_(settings.hang_timeout.has_value()),
        messages_(std::move(messages)),
        reporter_(std::make_shared<crash::Reporter>(settings, directory_fd, messages_)),
        engine_(std::make_shared<CrashCatcher>(settings, reporter_)) {}
  ~CrashCatcherInstance() override { engine_->DetachEverywhere(); }

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
    engine_->DetachEverywhere();
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

Events CrashCatcher::events() const {
  Events events = Events::kSignalCore;
  // Their default need not be a core dump. What a request is disposed of, only the program knows.
  if (!settings_.signals.empty()) events |= Events::kSignalTerm;
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
  const SignalAction so_far = report.signal_so_far();
  if (so_far != SignalAction::kCore && so_far != SignalAction::kTerminate) return Action::kResume;
  if (settings_.signals.empty() ? so_far != SignalAction::kCore
                                : !settings_.signals.contains(number)) {
    return Action::kResume;
  }
  Watch& watch = report.State<Watch>();
  if (watch.reported) {
    watch.reported = false;
    return Action::kResume;
  }
  switch (reporter_->OnCrash(report.task(), report.info())) {
    case crash::Reporter::Answer::kReported:
    case crash::Reporter::Answer::kSibling:
      watch.reported = true;
      break;
    case crash::Reporter::Answer::kBusy:
      break;
    case crash::Reporter::Answer::kRefused:
      return Action::kResume;
  }
  return SignalResult(SignalAction::kIgnore).Hold();
}

Action CrashCatcher::OnClone(CloneReport& report) {
  constexpr unsigned long kCloneThread = 0x10000;
  // A child that is dead already, or that comes after the end of our work, is not missed.
  if (!report.Follow().ok()) return Action::kResume;
  if (settings_.hang_timeout && (report.flags() & kCloneThread) == 0) {
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
