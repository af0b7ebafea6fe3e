#include "engines/crash_catcher/fault.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "fmt/format.h"

namespace utrace::crash {
namespace {

struct Code {
  int signal;  // zero: any
  int code;
  const char* name;
  const char* meaning;
};

// In the words of sigaction(2).
constexpr Code kCodes[] = {
    {SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR", "nothing is mapped at the address"},
    {SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR", "the mapping does not allow the access"},
    {SIGSEGV, SEGV_BNDERR, "SEGV_BNDERR", "a bounds check failed"},
    {SIGSEGV, SEGV_PKUERR, "SEGV_PKUERR", "memory protection keys do not allow the access"},
    {SIGBUS, BUS_ADRALN, "BUS_ADRALN", "the address is not aligned"},
    {SIGBUS, BUS_ADRERR, "BUS_ADRERR", "there is no memory behind the address"},
    {SIGBUS, BUS_OBJERR, "BUS_OBJERR", "the hardware reported an error"},
    {SIGBUS, BUS_MCEERR_AR, "BUS_MCEERR_AR", "the memory at the address is damaged"},
    {SIGBUS, BUS_MCEERR_AO, "BUS_MCEERR_AO", "memory of the process is damaged"},
    {SIGILL, ILL_ILLOPC, "ILL_ILLOPC", "the processor knows no such instruction"},
    {SIGILL, ILL_ILLOPN, "ILL_ILLOPN", "the instruction has no such operand"},
    {SIGILL, ILL_ILLADR, "ILL_ILLADR", "the instruction has no such addressing mode"},
    {SIGILL, ILL_ILLTRP, "ILL_ILLTRP", "an illegal trap"},
    {SIGILL, ILL_PRVOPC, "ILL_PRVOPC", "the instruction is privileged"},
    {SIGILL, ILL_PRVREG, "ILL_PRVREG", "the register is privileged"},
    {SIGILL, ILL_COPROC, "ILL_COPROC", "a coprocessor error"},
    {SIGILL, ILL_BADSTK, "ILL_BADSTK", "an internal stack error"},
    {SIGFPE, FPE_INTDIV, "FPE_INTDIV",
     "an integer was divided by zero, or the quotient does not fit"},
    {SIGFPE, FPE_INTOVF, "FPE_INTOVF", "an integer overflowed"},
    {SIGFPE, FPE_FLTDIV, "FPE_FLTDIV", "a floating point number was divided by zero"},
    {SIGFPE, FPE_FLTOVF, "FPE_FLTOVF", "a floating point number overflowed"},
    {SIGFPE, FPE_FLTUND, "FPE_FLTUND", "a floating point number underflowed"},
    {SIGFPE, FPE_FLTRES, "FPE_FLTRES", "a floating point result is inexact"},
    {SIGFPE, FPE_FLTINV, "FPE_FLTINV", "an invalid floating point operation"},
    {SIGFPE, FPE_FLTSUB, "FPE_FLTSUB", "a subscript is out of range"},
    {SIGTRAP, TRAP_BRKPT, "TRAP_BRKPT", "a breakpoint"},
    {SIGTRAP, TRAP_TRACE, "TRAP_TRACE", "a single step"},
    {SIGTRAP, TRAP_BRANCH, "TRAP_BRANCH", "a taken branch"},
    {SIGTRAP, TRAP_HWBKPT, "TRAP_HWBKPT", "a hardware breakpoint"},
    {SIGSYS, 1 /* SYS_SECCOMP */, "SYS_SECCOMP", "a seccomp filter refuses the system call"},
    {0, SI_USER, "SI_USER", "sent by kill"},
    {0, SI_TKILL, "SI_TKILL", "sent by tgkill, as abort and raise do"},
    {0, SI_QUEUE, "SI_QUEUE", "sent by sigqueue"},
    {0, SI_KERNEL, "SI_KERNEL", "sent by the kernel"},
    {0, SI_TIMER, "SI_TIMER", "a timer expired"},
    {0, SI_MESGQ, "SI_MESGQ", "a message arrived"},
    {0, SI_ASYNCIO, "SI_ASYNCIO", "asynchronous input or output is complete"},
};

const Code* Find(const siginfo_t& info) {
  const auto found = std::ranges::find_if(kCodes, [&](const Code& code) {
    return (code.signal == 0 || code.signal == info.si_signo) && code.code == info.si_code;
  });
  return found == std::end(kCodes) ? nullptr : &*found;
}

std::string MappingText(const Mapping& mapping) {
  return fmt::format("{:#x}-{:#x} {} {}", mapping.start, mapping.end, mapping.Rights(),
                     mapping.path.empty() ? "(anonymous)" : mapping.path);
}

// What lies next to an address that nothing is mapped at.
std::string Neighbours(const Snapshot& snapshot, uint64_t address) {
  const Mapping* below = nullptr;
  const Mapping* above = nullptr;
  for (const Mapping& mapping : snapshot.mappings) {
    if (mapping.end <= address && (below == nullptr || mapping.end > below->end)) below = &mapping;
    if (mapping.start > address && (above == nullptr || mapping.start < above->start)) {
      above = &mapping;
    }
  }
  constexpr uint64_t kNear = uint64_t{1} << 20;
  std::string text;
  if (below != nullptr && address - below->end < kNear) {
    text = fmt::format("It is {} bytes beyond the end of {}.", address - below->end + 1,
                       MappingText(*below));
  }
  if (above != nullptr && above->start - address < kNear) {
    if (!text.empty()) text += ' ';
    text += fmt::format("It is {} bytes below {}.", above->start - address, MappingText(*above));
  }
  return text.empty() ? "No mapping is near." : text;
}

// Whether the address is just below a stack that is used up. The stack is the mapping that the stack
// pointer is in, or was about to leave.
std::string StackOverflow(const Snapshot& snapshot, uint64_t address, uint64_t sp) {
  // As far as one frame may reach: large ones touch their pages in order, from the top.
  constexpr uint64_t kOneFrame = uint64_t{1} << 20;
  const uint64_t distance = address > sp ? address - sp : sp - address;
  if (distance > kOneFrame) return "";
  const Mapping* const hit = snapshot.Find(address);
  if (hit != nullptr && (hit->read || hit->write)) return "";  // no guard
  for (const Mapping& mapping : snapshot.mappings) {
    if (!mapping.write || mapping.start <= address) continue;
    if (mapping.start - address > kOneFrame) continue;
    if (sp >= mapping.end || (sp < mapping.start && mapping.start - sp > kOneFrame)) continue;
    return fmt::format(
        "Stack overflow: the address is {} bytes below the stack, {} ({} KiB), {} bytes from the "
        "stack pointer.",
        mapping.start - address, MappingText(mapping), (mapping.end - mapping.start) / 1024,
        distance);
  }
  return "";
}

void ExplainAddress(const Snapshot& snapshot, uint64_t address, const MemoryAccess* access,
                    GeneralImage general, std::vector<std::string>* sentences) {
  constexpr uint64_t kNullArea = 65536;  // below this nobody maps anything
  const uint64_t pc = ProgramCounter(general);
  const bool jumped = address == pc;
  std::string act = "accessing";
  if (jumped) {
    act = "executing code at";
  } else if (access != nullptr) {
    act = fmt::format("{} {} bytes at {} =", access->writes ? "writing" : "reading", access->bytes,
                      access->operand);
  }
  sentences->push_back(fmt::format("It happened {} {:#x}.", act, address));
  if (const std::string overflow = StackOverflow(snapshot, address, StackPointer(general));
      !overflow.empty()) {
    sentences->push_back(overflow);
    return;
  }
  const Mapping* const mapping = snapshot.Find(address);
  if (mapping != nullptr) {
    sentences->push_back(fmt::format("The address is in {}.", MappingText(*mapping)));
    if (jumped && !mapping->execute) {
      sentences->emplace_back("That mapping is not executable.");
    } else if (access != nullptr && access->writes && !mapping->write) {
      sentences->emplace_back("That mapping is read-only.");
    } else if (!mapping->read && !mapping->write && !mapping->execute) {
      sentences->emplace_back("That mapping allows no access at all: a guard page, perhaps.");
    }
    return;
  }
  if (address < kNullArea) {
    sentences->push_back(address == 0
                             ? "That is a null pointer."
                             : fmt::format("That is a null pointer plus {}: a member or an element "
                                           "of something that is not there.",
                                           address));
    return;
  }
  sentences->push_back(Neighbours(snapshot, address));
}

}  // namespace

std::string SignalName(int number) {
  if (const char* name = sigabbrev_np(number)) return fmt::format("SIG{}", name);
  if (number >= SIGRTMIN && number <= SIGRTMAX)
    return fmt::format("SIGRTMIN+{}", number - SIGRTMIN);
  return fmt::format("signal {}", number);
}

int SignalNumber(std::string_view name) {
  int number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error == std::errc() && end == name.data() + name.size()) {
    return number >= 1 && number <= SIGRTMAX ? number : 0;
  }
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (number = 1; number < NSIG; ++number) {
    const char* const known = sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  return 0;
}

std::string CodeName(const siginfo_t& info) {
  const Code* const code = Find(info);
  return code != nullptr ? code->name : fmt::format("{}", info.si_code);
}

bool IsFault(const siginfo_t& info) { return HasAddress(info) || info.si_code == SI_KERNEL; }

bool HasAddress(const siginfo_t& info) {
  return info.si_code > 0 && info.si_code != SI_KERNEL &&
         (info.si_signo == SIGSEGV || info.si_signo == SIGBUS || info.si_signo == SIGILL ||
          info.si_signo == SIGFPE || info.si_signo == SIGTRAP);
}

std::string Sender(const siginfo_t& info) {
  if (info.si_code != SI_USER && info.si_code != SI_TKILL && info.si_code != SI_QUEUE) return "";
  return fmt::format("sent by process {} of user {}", info.si_pid, info.si_uid);
}

std::vector<std::string> ExplainFault(const Snapshot& snapshot, Memory& memory) {
  std::vector<std::string> sentences;
  const siginfo_t& info = *snapshot.signal;
  if (const Code* const code = Find(info)) {
    sentences.push_back(fmt::format("{}: {}.", code->name, code->meaning));
  }
  if (info.si_signo == SIGSYS && info.si_code == 1) {
    sentences.push_back(fmt::format("The system call has number {}.", info.si_syscall));
  }
  if (info.si_code <= 0) {
    if (const std::string sender = Sender(info); !sender.empty()) {
      sentences.push_back(info.si_pid == snapshot.pid ? "The process sent it to itself."
                                                      : fmt::format("It was {}.", sender));
    }
    return sentences;
  }
  const GeneralImage general = snapshot.threads[0].registers.general;
  if (general.empty()) return sentences;
  std::vector<std::byte> code(LongestInstruction());
  code.resize(memory.Read(ProgramCounter(general), code));
  const std::vector<MemoryAccess> accesses = AccessesOf(code, general);

  if (info.si_signo == SIGSEGV && info.si_code == SI_KERNEL) {
    // The processor does not tell the address of such a fault.
    for (const MemoryAccess& access : accesses) {
      if (IsCanonical(access.address)) continue;
      sentences.push_back(
          fmt::format("{} is {:#x}, which is no address (not canonical): a pointer was "
                      "overwritten, or never set.",
                      access.operand, access.address));
      return sentences;
    }
    if (!code.empty()) {
      sentences.emplace_back(
          "The processor refused the instruction (general protection): it is privileged, or its "
          "operand is misaligned.");
    }
    return sentences;
  }
  if (info.si_signo == SIGILL) {
    const std::vector<Instruction> decoded = Disassemble(code, ProgramCounter(general));
    sentences.push_back(decoded.empty() ? "The bytes at the program counter are no instruction."
                                        : fmt::format("The instruction is {}.", decoded[0].text));
  }
  if (!HasAddress(info) || (info.si_signo != SIGSEGV && info.si_signo != SIGBUS)) return sentences;

  const auto address = reinterpret_cast<uint64_t>(info.si_addr);
  const MemoryAccess* by = nullptr;
  for (const MemoryAccess& access : accesses) {
    // An access that crosses into another page faults there.
    if (address >= access.address && address - access.address < std::max<size_t>(access.bytes, 1)) {
      by = &access;
    }
  }
  ExplainAddress(snapshot, address, by, general, &sentences);
  const Mapping* const mapping = snapshot.Find(address);
  if (info.si_signo == SIGBUS && info.si_code == BUS_ADRERR && mapping != nullptr &&
      mapping->inode != 0) {
    sentences.push_back(fmt::format(
        "The file behind the mapping ends before offset {:#x}, or its disk is full or failing.",
        address - mapping->start + mapping->offset));
  }
  return sentences;
}

}  // namespace utrace::crash
