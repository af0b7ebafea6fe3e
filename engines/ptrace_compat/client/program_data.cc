#include "engines/ptrace_compat/client/program_data.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <unistd.h>

namespace utrace::ptrace_compat::client {
namespace {

// From the first byte up to the one behind the last.
uintptr_t g_begin = 0;
uintptr_t g_end = 0;

}  // namespace

void FindProgramData() {
  const auto headers = static_cast<uintptr_t>(getauxval(AT_PHDR));
  const size_t count = getauxval(AT_PHNUM);
  if (headers == 0 || getauxval(AT_PHENT) != sizeof(ElfW(Phdr))) return;
  const auto* const all = reinterpret_cast<const ElfW(Phdr)*>(headers);
  const ElfW(Phdr)* writable = nullptr;
  const ElfW(Phdr)* relocated = nullptr;
  const ElfW(Phdr)* own = nullptr;
  for (size_t n = 0; n < count; ++n) {
    if (all[n].p_type == PT_LOAD && (all[n].p_flags & PF_W) != 0) writable = &all[n];
    if (all[n].p_type == PT_GNU_RELRO) relocated = &all[n];
    if (all[n].p_type == PT_PHDR) own = &all[n];
  }
  if (writable == nullptr || own == nullptr) return;
  const uintptr_t bias = headers - own->p_vaddr;
  uintptr_t begin = writable->p_vaddr;
  if (relocated != nullptr) {
    // Read-only by now, up to the end of a page.
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t end = (relocated->p_vaddr + relocated->p_memsz + page - 1) / page * page;
    if (end > begin) begin = end;
  }
  if (begin >= writable->p_vaddr + writable->p_memsz) return;
  g_begin = bias + begin;
  g_end = bias + writable->p_vaddr + writable->p_memsz;
}

bool IsProgramData(const void* address, size_t size) {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  return begin >= g_begin && begin < g_end && size <= g_end - begin;
}

}  // namespace utrace::ptrace_compat::client
