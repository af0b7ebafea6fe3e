// LogFormat: how what happens to tasks becomes lines: text, JSON lines, or a trace for Perfetto.
#ifndef ENGINES_SYSCALL_LOG_LOG_FORMAT_H_
#define ENGINES_SYSCALL_LOG_LOG_FORMAT_H_

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "engines/syscall_log/decode/shown_call.h"

namespace utrace::syscall_log {

// When something happened, in nanoseconds.
struct Moment {
  int64_t wall = 0;    // since 1970
  int64_t steady = 0;  // of a clock that does not jump

  static Moment Now();
};

// Whom a line is about, and since when.
struct Who {
  pid_t tid = 0;
  pid_t pid = 0;
  Moment when;
};

// How a call ended.
enum class CallEnd : uint8_t {
  kReturned,  // ShownCall::Exit was called
  kNever,     // it did not return: exit, or the task was killed
  kDetached,  // it goes on, but nobody looks any more
};

// Its functions append whole lines to `out`. Any thread.
class LogFormat {
 public:
  virtual ~LogFormat() = default;

  // The first and the last line of a log.
  virtual void Begin(Text&) const {}
  virtual void End(Text&) const {}
  // A task is seen for the first time, or under a new name; `name` as the kernel has it.
  virtual void Task(Text&, const Who&, std::string_view /*name*/) const {}
  virtual bool WantsNames() const { return false; }

  // A call that began at who.when and took `duration` nanoseconds.
  virtual void Call(Text& out, const Who& who, const ShownCall& call, CallEnd end,
                    int64_t duration) const = 0;
  // A call whose entry was not seen: only its result is known.
  virtual void CallEndOnly(Text& out, const Who& who, long number,
                           const CallOutcome& outcome) const = 0;
  // In two lines: its beginning, when another line comes first; and its end. Text only.
  virtual void Unfinished(Text&, const Who&, const ShownCall&) const {}
  virtual void Resumed(Text&, const Who&, const ShownCall&, CallEnd, size_t /*shown arguments*/,
                       int64_t /*duration*/) const {}

  virtual void Signal(Text& out, const Who& who, const siginfo_t& info) const = 0;
  virtual void JobControl(Text& out, const Who& who, bool stopped) const = 0;
  virtual void Exec(Text& out, const Who& who, std::string_view path, pid_t former_tid) const = 0;
  // `status` as wait gives it.
  virtual void Exit(Text& out, const Who& who, int status) const = 0;
};

enum class TimePrefix : uint8_t { kNone, kClock, kMicroseconds, kEpoch };

struct TextFormatSettings {
  TimePrefix time = TimePrefix::kNone;
  bool relative = false;  // the time since the line before
  bool duration = false;
};

std::unique_ptr<LogFormat> MakeTextFormat(const TextFormatSettings& settings);
std::unique_ptr<LogFormat> MakeJsonFormat();
std::unique_ptr<LogFormat> MakePerfettoFormat();

}  // namespace utrace::syscall_log

#endif  // ENGINES_SYSCALL_LOG_LOG_FORMAT_H_
