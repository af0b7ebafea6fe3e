#include <sys/wait.h>
#include <time.h>

#include <array>
#include <atomic>

#include "engines/syscall_log/decode/signals.h"
#include "engines/syscall_log/decode/syscall_names.h"
#include "engines/syscall_log/decode/text_renderer.h"
#include "engines/syscall_log/log_format.h"

namespace utrace::syscall_log {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMicrosecond = 1000;

class TextFormat final : public LogFormat {
 public:
  explicit TextFormat(const TextFormatSettings& settings) : settings_(settings) {}

  void Call(Text& out, const Who& who, const ShownCall& call, CallEnd end,
            int64_t duration) const override {
    Prefix(out, who);
    AppendSyscallName(out, call.number());
    Append(out, "(");
    size_t certain = call.CertainArguments();
    if (end == CallEnd::kReturned || certain == call.args().size()) {
      call.AppendArguments(out);
    } else {
      call.AppendArguments(out, 0, certain);
      Append(out, certain == 0 ? "<unfinished ...>" : ", <unfinished ...>");
    }
    Ending(out, call, end, duration);
  }

  void CallEndOnly(Text& out, const Who& who, long number,
                   const CallOutcome& outcome) const override {
    Prefix(out, who);
    AppendSyscallName(out, number);
    Append(out, "(<entry not seen>) = ");
    AppendOutcome(out, outcome);
    out.push_back('\n');
  }

  void Unfinished(Text& out, const Who& who, const ShownCall& call) const override {
    Prefix(out, who);
    AppendSyscallName(out, call.number());
    Append(out, "(");
    const size_t certain = call.CertainArguments();
    call.AppendArguments(out, 0, certain);
    const bool more = certain != 0 && certain != call.args().size();
    Append(out, more ? ",  <unfinished ...>\n" : " <unfinished ...>\n");
  }

  void Resumed(Text& out, const Who& who, const ShownCall& call, CallEnd end, size_t shown,
               int64_t duration) const override {
    Prefix(out, who);
    Append(out, "<... ");
    AppendSyscallName(out, call.number());
    Append(out, " resumed>");
    if (end == CallEnd::kReturned) {
      Text rest;
      call.AppendArguments(rest, shown, call.args().size());
      // The comma before them is in the first line.
      const std::string_view text(rest.data(), rest.size());
      Append(out, text.starts_with(", ") ? text.substr(2) : text);
    }
    Ending(out, call, end, duration);
  }

  void Signal(Text& out, const Who& who, const siginfo_t& info) const override {
    Prefix(out, who);
    Append(out, "--- ");
    AppendSignalName(out, info.si_signo);
    out.push_back(' ');
    TextRenderer renderer(out);
    PutSiginfo(renderer, info);
    Append(out, " ---\n");
  }

  void JobControl(Text& out, const Who& who, bool stopped) const override {
    Prefix(out, who);
    Append(out, stopped ? "--- stopped ---\n" : "--- continued ---\n");
  }

  void Exec(Text& out, const Who& who, std::string_view path, pid_t former_tid) const override {
    Prefix(out, who);
    Print(out, "--- exec {}", path);
    if (former_tid != who.tid) Print(out, " by thread {}", former_tid);
    Append(out, " ---\n");
  }

  void Exit(Text& out, const Who& who, int status) const override {
    Prefix(out, who);
    if (WIFEXITED(status)) {
      Print(out, "+++ exited with {} +++\n", WEXITSTATUS(status));
      return;
    }
    Append(out, "+++ killed by ");
    AppendSignalName(out, WTERMSIG(status));
    Append(out, WCOREDUMP(status) ? " (core dumped) +++\n" : " +++\n");
  }

 private:
  void Prefix(Text& out, const Who& who) const {
    Print(out, "[{}] ", who.tid);
    const int64_t microseconds = who.when.wall % kSecond / kMicrosecond;
    const time_t seconds = who.when.wall / kSecond;
    switch (settings_.time) {
      case TimePrefix::kNone:
        break;
      case TimePrefix::kEpoch:
        Print(out, "{}.{:06} ", seconds, microseconds);
        break;
      case TimePrefix::kClock:
      case TimePrefix::kMicroseconds: {
        tm local{};
        localtime_r(&seconds, &local);
        Print(out, "{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
        if (settings_.time == TimePrefix::kMicroseconds) Print(out, ".{:06}", microseconds);
        out.push_back(' ');
      }
    }
    if (!settings_.relative) return;
    const int64_t before = last_.exchange(who.when.steady, std::memory_order_relaxed);
    // Lines of several threads: one that began earlier may be written later.
    const int64_t since = before == 0 || before > who.when.steady ? 0 : who.when.steady - before;
    Print(out, "{:6}.{:06} ", since / kSecond, since % kSecond / kMicrosecond);
  }

  void Ending(Text& out, const ShownCall& call, CallEnd end, int64_t duration) const {
    Append(out, ") = ");
    switch (end) {
      case CallEnd::kReturned:
        call.AppendResult(out);
        if (settings_.duration) {
          Print(out, " <{}.{:06}>", duration / kSecond, duration % kSecond / kMicrosecond);
        }
        break;
      case CallEnd::kNever:
        Append(out, "?");
        break;
      case CallEnd::kDetached:
        Append(out, "? <detached ...>");
    }
    out.push_back('\n');
  }

  const TextFormatSettings settings_;
  mutable std::atomic<int64_t> last_ = 0;
};

}  // namespace

Moment Moment::Now() {
  timespec wall{};
  timespec steady{};
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_MONOTONIC, &steady);
  return {.wall = wall.tv_sec * kSecond + wall.tv_nsec,
          .steady = steady.tv_sec * kSecond + steady.tv_nsec};
}

std::unique_ptr<LogFormat> MakeTextFormat(const TextFormatSettings& settings) {
  return std::make_unique<TextFormat>(settings);
}

}  // namespace utrace::syscall_log
