// What is collected about a process that crashed or hangs, before anything is written.
#ifndef ENGINES_CRASH_CATCHER_SNAPSHOT_H_
#define ENGINES_CRASH_CATCHER_SNAPSHOT_H_

#include <sys/types.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace utrace::crash {

// A place in the source, as far as it is known: empty or zero where it is not.
struct Location {
  std::string function;  // demangled
  uint64_t offset = 0;   // of the address from the function's begin; known for symbols alone
  std::string file;
  int line = 0;
  int column = 0;
};

// One frame of a stack.
struct Frame {
  uint64_t pc = 0;
  // The frame was interrupted at pc; of others pc is the address that a call returns to.
  bool interrupted = false;
  // Innermost first: functions that were inlined, then the one that has this frame. Never empty.
  std::vector<Location> functions{1};
  std::string module;          // path; empty for an address in no module
  uint64_t module_offset = 0;  // the pc as the module's file counts: what addr2line takes
  std::string build_id;        // of the module, in hexadecimal
};

// The register sets of the task's view, as the machine has them.
struct Registers {
  std::vector<std::byte> general;   // NT_PRSTATUS
  std::vector<std::byte> floating;  // NT_PRFPREG
  std::vector<std::byte> extended;  // empty if the machine has none
  uint32_t extended_note = 0;       // its note type
};

struct ThreadState {
  pid_t tid = 0;
  std::string name;
  // Why there are no registers, if there are none: "not stopped within 2 s: D (disk sleep)".
  std::string problem;
  Registers registers;
  std::vector<Frame> frames;
  std::string stack_end;  // why the stack could not be followed further; empty: it is whole
};

struct Mapping {
  uint64_t start = 0;
  uint64_t end = 0;
  bool read = false;
  bool write = false;
  bool execute = false;
  bool shared = false;
  uint64_t offset = 0;
  std::string device;
  uint64_t inode = 0;
  std::string path;           // as /proc/PID/maps has it: empty, "[stack]", "/lib/a.so (deleted)"
  uint64_t resident_kb = 0;   // resident or swapped
  uint64_t anonymous_kb = 0;  // of those, pages of its own; swapped ones included
  std::vector<std::string> flags;  // VmFlags of smaps

  bool Holds(uint64_t address) const { return start <= address && address < end; }
  std::string Rights() const {
    return {read ? 'r' : '-', write ? 'w' : '-', execute ? 'x' : '-', shared ? 's' : 'p'};
  }
};

struct OpenFile {
  int fd = -1;
  std::string target;
};

// The instruction at an address, and those around it.
struct Instruction {
  uint64_t address = 0;
  std::string bytes;  // in hexadecimal
  std::string text;
  std::string function;  // "main+12"
};

struct Snapshot {
  // Of a crash; a hang has none.
  std::optional<siginfo_t> signal;
  std::string trigger;  // of a hang: "timeout of 30 s"

  pid_t pid = 0;
  pid_t tid = 0;  // the thread that got the signal
  pid_t parent = 0;
  uid_t user = 0;
  gid_t group = 0;
  uint16_t elf_machine = 0;  // EM_X86_64
  std::string name;
  std::string executable;
  std::vector<std::string> command_line;
  std::optional<std::vector<std::string>> environment;  // only if it was asked for
  std::string directory;
  timespec time{};
  std::string kernel;
  std::string machine;

  std::vector<ThreadState> threads;  // the one that got the signal is first
  std::vector<Mapping> mappings;
  std::vector<OpenFile> files;
  std::vector<std::string> fault;  // what the signal means, one sentence each
  std::vector<Instruction> code;   // around the pc of the first thread

  // What could not be read, one line each.
  std::vector<std::string> problems;

  const Mapping* Find(uint64_t address) const {
    for (const Mapping& mapping : mappings) {
      if (mapping.Holds(address)) return &mapping;
    }
    return nullptr;
  }
};

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_SNAPSHOT_H_
