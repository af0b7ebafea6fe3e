#include "cli/wrappable.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "core/linux/fd.h"
#include "fmt/core.h"

namespace utrace::cli {
namespace {

using linux_host::Fd;

// Scripts of scripts, as far as the kernel goes.
constexpr int kMostInterpreters = 5;

// The header of this very program: what can be wrapped is made for the same machine.
std::optional<ElfW(Ehdr)> ReadHeader(int fd) {
  ElfW(Ehdr) header;
  if (pread(fd, &header, sizeof(header), 0) != sizeof(header)) return std::nullopt;
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
  return header;
}

bool HasInterpreter(int fd, const ElfW(Ehdr) & header) {
  if (header.e_phentsize != sizeof(ElfW(Phdr))) return false;
  for (unsigned n = 0; n < header.e_phnum; ++n) {
    ElfW(Phdr) part;
    const auto at = static_cast<off_t>(header.e_phoff + n * sizeof(part));
    if (pread(fd, &part, sizeof(part), at) != sizeof(part)) return false;
    if (part.p_type == PT_INTERP) return true;
  }
  return false;
}

// Rights that it gains make the dynamic linker ignore what is to be preloaded.
std::string WhyPrivileged(int fd) {
  struct stat stat {};
  if (fstat(fd, &stat) != 0) return "";
  if ((stat.st_mode & S_ISUID) != 0 && stat.st_uid != geteuid()) return "it is set-user-id";
  if ((stat.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && stat.st_gid != getegid()) {
    return "it is set-group-id";
  }
  if (geteuid() != 0 && fgetxattr(fd, "security.capability", nullptr, 0) > 0) {
    return "it has file capabilities";
  }
  return "";
}

// Behind "#!"; empty if it is no script.
std::string InterpreterOf(int fd) {
  std::array<char, 256> text{};
  const ssize_t size = pread(fd, text.data(), text.size(), 0);
  if (size < 3 || text[0] != '#' || text[1] != '!') return "";
  std::string_view line(text.data() + 2, static_cast<size_t>(size) - 2);
  line = line.substr(0, line.find('\n'));
  const size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return "";
  line.remove_prefix(begin);
  return std::string(line.substr(0, line.find_first_of(" \t")));
}

}  // namespace

std::string FindCommand(const std::string& command, int* error) {
  *error = ENOENT;
  const auto usable = [error](const std::string& path) {
    struct stat stat {};
    if (::stat(path.c_str(), &stat) != 0) return false;
    if (S_ISREG(stat.st_mode) && access(path.c_str(), X_OK) == 0) return true;
    *error = EACCES;
    return false;
  };
  if (command.find('/') != std::string::npos) return usable(command) ? command : "";
  if (command.empty()) return "";
  const char* const variable = getenv("PATH");
  std::string_view rest = variable != nullptr ? variable : "/bin:/usr/bin";
  for (;;) {
    const size_t end = rest.find(':');
    const std::string_view directory = rest.substr(0, end);
    const std::string path = directory.empty() ? command : fmt::format("{}/{}", directory, command);
    if (usable(path)) return directory.empty() ? "./" + command : path;
    if (end == std::string_view::npos) return "";
    rest.remove_prefix(end + 1);
  }
}

std::string WhyNotWrappable(const std::string& path) {
  std::string program = path;
  std::string of;  // "its interpreter /bin/x: "
  const auto refuse = [&of](std::string_view reason) {
    return fmt::format("{}{}: it cannot be made to share what it traces", of, reason);
  };
  for (int depth = 0; depth < kMostInterpreters; ++depth) {
    const Fd fd(open(program.c_str(), O_RDONLY | O_CLOEXEC));
    // Execute-only: the kernel gives such a process no preloaded library that could be read from it, but
    // it does load it. What it is cannot be seen.
    if (!fd.valid()) return "";
    if (const std::string interpreter = InterpreterOf(fd.get()); !interpreter.empty()) {
      program = interpreter;
      of = fmt::format("its interpreter {}: ", interpreter);
      continue;
    }
    const auto header = ReadHeader(fd.get());
    if (!header) return "";
    const Fd self(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    const auto own = self.valid() ? ReadHeader(self.get()) : std::nullopt;
    if (own && (own->e_machine != header->e_machine ||
                own->e_ident[EI_CLASS] != header->e_ident[EI_CLASS])) {
      return refuse("it is made for another kind of machine");
    }
    if (!HasInterpreter(fd.get(), *header)) return refuse("it is statically linked");
    const std::string privileged = WhyPrivileged(fd.get());
    return privileged.empty() ? "" : refuse(privileged);
  }
  return "";
}

}  // namespace utrace::cli
