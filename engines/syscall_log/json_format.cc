// One JSON object a line; docs/syscall-log.schema.json describes them.

#include "engines/syscall_log/decode/json_renderer.h"
#include "engines/syscall_log/decode/signals.h"
#include "engines/syscall_log/decode/syscall_names.h"
#include "engines/syscall_log/log_format.h"

namespace utrace::syscall_log {
namespace {

void BeginEvent(Text& out, const Who& who, std::string_view event) {
  Print(out, "{{\"event\":\"{}\",\"time_ns\":{},\"pid\":{},\"tid\":{}", event, who.when.wall,
        who.pid, who.tid);
}

void AppendName(Text& out, long number) {
  Append(out, ",\"name\":\"");
  AppendSyscallName(out, number);
  Print(out, "\",\"number\":{}", number);
}

class JsonFormat final : public LogFormat {
 public:
  void Call(Text& out, const Who& who, const ShownCall& call, CallEnd end,
            int64_t duration) const override {
    BeginEvent(out, who, "call");
    AppendName(out, call.number());
    Append(out, ",\"args\":{");
    call.AppendArguments(out);
    Append(out, "}");
    if (!call.resumed_name().empty()) Print(out, ",\"resumes\":\"{}\"", call.resumed_name());
    switch (end) {
      case CallEnd::kReturned:
        Append(out, ",");
        call.AppendResult(out);
        break;
      case CallEnd::kNever:
        Append(out, ",\"ended\":\"never\"");
        break;
      case CallEnd::kDetached:
        Append(out, ",\"ended\":\"detached\"");
    }
    Print(out, ",\"duration_ns\":{}}}\n", duration);
  }

  void CallEndOnly(Text& out, const Who& who, long number,
                   const CallOutcome& outcome) const override {
    BeginEvent(out, who, "call");
    AppendName(out, number);
    Append(out, ",\"entry_seen\":false,");
    AppendJsonOutcome(out, outcome);
    Append(out, "}\n");
  }

  void Signal(Text& out, const Who& who, const siginfo_t& info) const override {
    BeginEvent(out, who, "signal");
    Append(out, ",\"name\":\"");
    AppendSignalName(out, info.si_signo);
    Append(out, "\",\"info\":");
    JsonRenderer renderer(out);
    PutSiginfo(renderer, info);
    Append(out, "}\n");
  }

  void JobControl(Text& out, const Who& who, bool stopped) const override {
    BeginEvent(out, who, stopped ? "stopped" : "continued");
    Append(out, "}\n");
  }

  void Exec(Text& out, const Who& who, std::string_view path, pid_t former_tid) const override {
    BeginEvent(out, who, "exec");
    Append(out, ",\"path\":");
    AppendJsonString(out, path);
    Print(out, ",\"former_tid\":{}}}\n", former_tid);
  }

  void Exit(Text& out, const Who& who, int status) const override {
    BeginEvent(out, who, "exit");
    Append(out, ",\"status\":");
    JsonRenderer renderer(out);
    renderer.WaitStatus(status);
    Append(out, "}\n");
  }
};

}  // namespace

std::unique_ptr<LogFormat> MakeJsonFormat() { return std::make_unique<JsonFormat>(); }

}  // namespace utrace::syscall_log
