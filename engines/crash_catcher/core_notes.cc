#include "engines/crash_catcher/core_notes.h"

#include <elf.h>
#include <sys/procfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>

#include "engines/crash_catcher/proc_files.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

class Notes {
 public:
  void Add(uint32_t type, std::span<const std::byte> content, const char* owner = "CORE") {
    const size_t name_size = std::strlen(owner) + 1;
    Elf64_Nhdr header{};
    header.n_namesz = static_cast<uint32_t>(name_size);
    header.n_descsz = static_cast<uint32_t>(content.size());
    header.n_type = type;
    Append(std::as_bytes(std::span(&header, 1)));
    Append(std::as_bytes(std::span(owner, name_size)));
    Append(content);
  }
  template <class T>
  void AddObject(uint32_t type, const T& object) {
    Add(type, std::as_bytes(std::span(&object, 1)));
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  void Append(std::span<const std::byte> bytes) {
    constexpr size_t kAlignment = 4;
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment);
  }

  std::vector<std::byte> bytes_;
};

prstatus_t StatusNote(const Snapshot& snapshot, const ThreadState& thread) {
  prstatus_t status{};
  if (snapshot.signal) {
    status.pr_info.si_signo = snapshot.signal->si_signo;
    status.pr_info.si_code = snapshot.signal->si_code;
    status.pr_info.si_errno = snapshot.signal->si_errno;
    status.pr_cursig = static_cast<short>(snapshot.signal->si_signo);
  }
  status.pr_pid = thread.tid;
  status.pr_ppid = snapshot.parent;
  const std::vector<std::byte>& general = thread.registers.general;
  std::memcpy(&status.pr_reg, general.data(), std::min(general.size(), sizeof(status.pr_reg)));
  status.pr_fpvalid = thread.registers.floating.empty() ? 0 : 1;
  return status;
}

prpsinfo_t ProcessNote(const Snapshot& snapshot) {
  prpsinfo_t info{};
  info.pr_sname = 'R';
  info.pr_pid = snapshot.pid;
  info.pr_ppid = snapshot.parent;
  info.pr_uid = snapshot.user;
  info.pr_gid = snapshot.group;
  snapshot.name.copy(info.pr_fname, sizeof(info.pr_fname) - 1);
  std::string arguments;
  for (const std::string& argument : snapshot.command_line) {
    if (!arguments.empty()) arguments += ' ';
    arguments += argument;
  }
  arguments.copy(info.pr_psargs, sizeof(info.pr_psargs) - 1);
  return info;
}

// NT_FILE: a count, the page size, begin, end and offset in pages of each mapping, then their names.
std::vector<std::byte> FileNote(const Snapshot& snapshot) {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::vector<uint64_t> numbers{0, page};
  std::string names;
  for (const Mapping& mapping : snapshot.mappings) {
    if (!mapping.path.starts_with('/')) continue;
    ++numbers[0];
    numbers.insert(numbers.end(), {mapping.start, mapping.end, mapping.offset / page});
    names.append(mapping.path).push_back('\0');
  }
  const auto head = std::as_bytes(std::span(numbers));
  const auto tail = std::as_bytes(std::span(names));
  std::vector<std::byte> note(head.begin(), head.end());
  note.insert(note.end(), tail.begin(), tail.end());
  return note;
}

}  // namespace

std::vector<std::byte> CoreNotes(const Snapshot& snapshot) {
  Notes notes;
  bool first = true;
  for (const ThreadState& thread : snapshot.threads) {
    if (thread.registers.general.empty()) continue;
    notes.AddObject(NT_PRSTATUS, StatusNote(snapshot, thread));
    if (first) {
      notes.AddObject(NT_PRPSINFO, ProcessNote(snapshot));
      if (snapshot.signal) notes.AddObject(NT_SIGINFO, *snapshot.signal);
      const auto auxv = ReadProcFile(fmt::format("/proc/{}/auxv", snapshot.tid));
      if (auxv) notes.Add(NT_AUXV, std::as_bytes(std::span(*auxv)));
      notes.Add(NT_FILE, FileNote(snapshot));
      first = false;
    }
    if (!thread.registers.floating.empty()) notes.Add(NT_PRFPREG, thread.registers.floating);
    if (!thread.registers.extended.empty()) {
      notes.Add(thread.registers.extended_note, thread.registers.extended, "LINUX");
    }
  }
  return notes.Take();
}

}  // namespace utrace::crash
