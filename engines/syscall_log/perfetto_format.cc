// The "trace event" format of Chrome and Perfetto, as an array of events of which each is a line.
//
// Readers of such an array do without its end, so a log that was cut off can be read too. Each event
// ends in a comma; the last one is there to end in none.

#include "engines/syscall_log/decode/json_renderer.h"
#include "engines/syscall_log/decode/signals.h"
#include "engines/syscall_log/decode/syscall_names.h"
#include "engines/syscall_log/log_format.h"

namespace utrace::syscall_log {
namespace {

constexpr int64_t kMicrosecond = 1000;

void BeginEvent(Text& out, const Who& who, std::string_view phase) {
  Print(out, "{{\"ph\":\"{}\",\"pid\":{},\"tid\":{},\"ts\":{}.{:03}", phase, who.pid, who.tid,
        who.when.steady / kMicrosecond, who.when.steady % kMicrosecond);
}

// A point in the life of a thread.
void BeginInstant(Text& out, const Who& who, std::string_view category) {
  BeginEvent(out, who, "i");
  Print(out, ",\"s\":\"t\",\"cat\":\"{}\",\"name\":", category);
}

class PerfettoFormat final : public LogFormat {
 public:
  void Begin(Text& out) const override { Append(out, "[\n"); }

  void End(Text& out) const override {
    Append(out,
           "{\"ph\":\"M\",\"pid\":0,\"tid\":0,\"name\":\"trace_end\",\"args\":{}}\n"
           "]\n");
  }

  bool WantsNames() const override { return true; }

  void Task(Text& out, const Who& who, std::string_view name) const override {
    if (who.pid == who.tid) AppendName(out, who, "process_name", name);
    AppendName(out, who, "thread_name", name);
  }

  void Call(Text& out, const Who& who, const ShownCall& call, CallEnd end,
            int64_t duration) const override {
    BeginEvent(out, who, "X");
    Print(out, ",\"dur\":{}.{:03},\"cat\":\"syscall\",\"name\":\"", duration / kMicrosecond,
          duration % kMicrosecond);
    AppendSyscallName(out, call.number());
    Append(out, "\",\"args\":{");
    const size_t before = out.size();
    call.AppendArguments(out);
    if (out.size() != before) Append(out, ",");
    if (end == CallEnd::kReturned) {
      call.AppendResult(out);
    } else {
      Append(out, end == CallEnd::kNever ? "\"ended\":\"never\"" : "\"ended\":\"detached\"");
    }
    Append(out, "}},\n");
  }

  void CallEndOnly(Text& out, const Who& who, long number,
                   const CallOutcome& outcome) const override {
    BeginInstant(out, who, "syscall");
    Append(out, "\"");
    AppendSyscallName(out, number);
    Append(out, " (entry not seen)\",\"args\":{");
    AppendJsonOutcome(out, outcome);
    Append(out, "}},\n");
  }

  void Signal(Text& out, const Who& who, const siginfo_t& info) const override {
    BeginInstant(out, who, "signal");
    Append(out, "\"");
    AppendSignalName(out, info.si_signo);
    Append(out, "\",\"args\":");
    JsonRenderer renderer(out);
    PutSiginfo(renderer, info);
    Append(out, "},\n");
  }

  void JobControl(Text& out, const Who& who, bool stopped) const override {
    BeginInstant(out, who, "job control");
    Append(out, stopped ? "\"stopped\"},\n" : "\"continued\"},\n");
  }

  void Exec(Text& out, const Who& who, std::string_view path, pid_t former_tid) const override {
    BeginInstant(out, who, "task");
    Append(out, "\"exec\",\"args\":{\"path\":");
    AppendJsonString(out, path);
    Print(out, ",\"former_tid\":{}}}}},\n", former_tid);
    const size_t slash = path.rfind('/');
    Task(out, who, slash == std::string_view::npos ? path : path.substr(slash + 1));
  }

  void Exit(Text& out, const Who& who, int status) const override {
    BeginInstant(out, who, "task");
    Append(out, "\"exit\",\"args\":{\"status\":");
    JsonRenderer renderer(out);
    renderer.WaitStatus(status);
    Append(out, "}},\n");
  }

 private:
  static void AppendName(Text& out, const Who& who, std::string_view kind, std::string_view name) {
    Print(out, "{{\"ph\":\"M\",\"pid\":{},\"tid\":{},\"name\":\"{}\",\"args\":{{\"name\":", who.pid,
          who.tid, kind);
    AppendJsonString(out, name);
    Append(out, "}},\n");
  }
};

}  // namespace

std::unique_ptr<LogFormat> MakePerfettoFormat() { return std::make_unique<PerfettoFormat>(); }

}  // namespace utrace::syscall_log
