#include <iterator>
#include <string_view>

#include "engines/crash_catcher/fault.h"
#include "engines/crash_catcher/machine_state.h"
#include "engines/crash_catcher/report.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

class Writer {
 public:
  template <class... Arguments>
  void Line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
    text_ += '\n';
  }
  void Title(std::string_view title) { Line("\n{}:", title); }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

// What a program is called with, so that a shell reads it back.
std::string Quoted(const std::string& argument) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) return argument;
  std::string quoted = "'";
  for (const char c : argument) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

void AddFrame(size_t number, const Frame& frame, Writer* writer) {
  const std::string indent(5, ' ');
  for (size_t i = 0; i < frame.functions.size(); ++i) {
    const Location& place = frame.functions[i];
    std::string text = place.function.empty() ? "??" : place.function;
    if (place.offset != 0) text += fmt::format("+{}", place.offset);
    if (place.line != 0) text += fmt::format(" at {}:{}", place.file, place.line);
    const bool inlined = i + 1 < frame.functions.size();
    if (inlined) text += " (inlined)";
    if (!inlined && !frame.module.empty()) {
      text += fmt::format(" in {}+{:#x}", frame.module, frame.module_offset);
    }
    writer->Line("  {} {:#018x} {}", i == 0 ? fmt::format("#{:<3}", number) : "    ", frame.pc,
                 text);
  }
}

void AddThread(const Snapshot& snapshot, const ThreadState& thread, Writer* writer) {
  const bool first = thread.tid == snapshot.tid && snapshot.signal;
  writer->Title(fmt::format("Thread {} ({}){}", thread.tid, OneLine(thread.name),
                            first ? ", which got the signal" : ""));
  if (!thread.problem.empty()) {
    writer->Line("  {}", thread.problem);
    return;
  }
  // Of an endless recursion its begin and its end tell enough.
  constexpr size_t kInnermost = 100;
  constexpr size_t kOutermost = 20;
  const size_t count = thread.frames.size();
  for (size_t i = 0; i < count; ++i) {
    if (count > kInnermost + kOutermost && i == kInnermost) {
      writer->Line("  ... {} frames left out ...", count - kInnermost - kOutermost);
      i = count - kOutermost;
    }
    AddFrame(i, thread.frames[i], writer);
  }
  if (!thread.stack_end.empty()) writer->Line("  The stack ends here: {}.", thread.stack_end);
}

void AddSignal(const Snapshot& snapshot, Writer* writer) {
  if (!snapshot.signal) {
    writer->Line("Cause:       {}", snapshot.trigger);
    return;
  }
  const siginfo_t& info = *snapshot.signal;
  std::string details;
  if (HasAddress(info))
    details = fmt::format(", address {:#x}", reinterpret_cast<uint64_t>(info.si_addr));
  if (const std::string sender = Sender(info); !sender.empty()) details = ", " + sender;
  writer->Line("Signal:      {} ({}), code {}{}", SignalName(info.si_signo), info.si_signo,
               CodeName(info), details);
  for (const std::string& sentence : snapshot.fault) writer->Line("             {}", sentence);
}

void AddRegisters(const ThreadState& thread, Writer* writer) {
  writer->Title("Registers");
  constexpr size_t kPerLine = 4;
  std::string line;
  size_t count = 0;
  for (const NamedRegister& r : NamedRegisters(thread.registers.general)) {
    line += fmt::format("  {:>8} {:016x}", r.name, r.value);
    if (++count % kPerLine != 0) continue;
    writer->Line("{}", line);
    line.clear();
  }
  if (!line.empty()) writer->Line("{}", line);
}

void AddCode(const Snapshot& snapshot, Writer* writer) {
  if (snapshot.code.empty()) return;
  writer->Title("Code");
  const uint64_t pc = ProgramCounter(snapshot.threads[0].registers.general);
  for (const Instruction& instruction : snapshot.code) {
    writer->Line("{} {:#x} <{}>  {:<30}  {}", instruction.address == pc ? "=>" : "  ",
                 instruction.address, instruction.function, instruction.bytes, instruction.text);
  }
}

}  // namespace

std::string TextReport(const Snapshot& snapshot) {
  Writer writer;
  writer.Line("{}\n", Summary(snapshot));
  writer.Line("Process:     {} ({})", snapshot.pid, OneLine(snapshot.name));
  writer.Line("Executable:  {}", OneLine(snapshot.executable));
  std::string command;
  for (const std::string& argument : snapshot.command_line) {
    if (!command.empty()) command += ' ';
    command += OneLine(Quoted(argument));
  }
  writer.Line("Command:     {}", command);
  writer.Line("Directory:   {}", OneLine(snapshot.directory));
  writer.Line("Time:        {}", TimeText(snapshot.time));
  writer.Line("System:      {} {}", snapshot.kernel, snapshot.machine);
  AddSignal(snapshot, &writer);
  for (const ThreadState& thread : snapshot.threads) {
    AddThread(snapshot, thread, &writer);
    if (&thread != &snapshot.threads[0] || !snapshot.signal) continue;
    AddRegisters(thread, &writer);
    AddCode(snapshot, &writer);
  }
  writer.Title("Memory map");
  for (const Mapping& mapping : snapshot.mappings) {
    writer.Line("  {:016x}-{:016x} {} {:08x} {} {:<8} {}", mapping.start, mapping.end,
                mapping.Rights(), mapping.offset, mapping.device, mapping.inode, mapping.path);
  }
  writer.Title("Open files");
  for (const OpenFile& file : snapshot.files) {
    writer.Line("  {:>3} {}", file.fd, OneLine(file.target));
  }
  if (snapshot.environment) {
    writer.Title("Environment");
    for (const std::string& variable : *snapshot.environment) {
      writer.Line("  {}", OneLine(variable));
    }
  }
  if (!snapshot.problems.empty()) {
    writer.Title("What is missing");
    for (const std::string& problem : snapshot.problems) writer.Line("  {}", problem);
  }
  return writer.Take();
}

}  // namespace utrace::crash
