#include "engines/syscall_log/decode/syscall_names.h"

#include <seccomp.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace utrace::syscall_log {
namespace {

std::string ResolveName(long number) {
  const std::unique_ptr<char, decltype(&std::free)> name(
      seccomp_syscall_resolve_num_arch(seccomp_arch_native(), static_cast<int>(number)),
      &std::free);
  return name == nullptr ? std::string() : name.get();
}

// libseccomp searches its whole table for each name, so they are looked up once.
const std::vector<std::string>& NameTable() {
  static const std::vector<std::string> table = [] {
    std::vector<std::string> names;
    names.reserve(kSyscallLimit);
    for (long number = 0; number < kSyscallLimit; ++number) names.push_back(ResolveName(number));
    return names;
  }();
  return table;
}

}  // namespace

std::string_view SyscallName(long number) {
  return number >= 0 && number < kSyscallLimit ? std::string_view(NameTable()[number])
                                               : std::string_view();
}

bool IsSyscallName(std::string_view name) {
  return seccomp_syscall_resolve_name(std::string(name).c_str()) != __NR_SCMP_ERROR;
}

void AppendSyscallName(Text& out, long number) {
  if (const std::string_view name = SyscallName(number); !name.empty()) {
    Append(out, name);
  } else {
    Print(out, "syscall_{:#x}", static_cast<unsigned long>(number));
  }
}

}  // namespace utrace::syscall_log
