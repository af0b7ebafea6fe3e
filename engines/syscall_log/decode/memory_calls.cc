// Calls on memory.
#include <sys/mman.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

void ShowProtection(Call& call, uint64_t value) {
  if (value == 0) return call.out.Name(kMmapNone.Find(0));
  PutFlags(call.out, kMmapProtection, static_cast<uint32_t>(value));
}
constexpr Type Protection{ShowProtection};

void ShowMmapFlags(Call& call, uint64_t value) {
  constexpr uint64_t kTypeBits = 0x0f;
  constexpr unsigned kHugeShift =
      26;  // the size of huge pages, as a power of two, is in bits 26 up
  Renderer& out = call.out;
  uint64_t flags = static_cast<uint32_t>(value);
  const uint64_t huge = (flags & MAP_HUGETLB) != 0 ? flags >> kHugeShift : 0;
  flags -= huge << kHugeShift;
  out.BeginFlags();
  PutName(out, kMmapType, flags & kTypeBits);
  const uint64_t rest = PutFlagNames(out, kMmapFlags, flags & ~kTypeBits);
  if (rest != 0) out.Hex(rest);
  if (huge != 0) out.Name(fmt::format("{}<<MAP_HUGE_SHIFT", huge));
  out.EndFlags();
}

bool MremapHasAddress(const std::array<uint64_t, 6>& args) {
  return (args[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0;
}

constexpr Type Address{ShowAddress};
constexpr Type Policy{ShowName<kMemoryPolicy>};

void ShowResidency(Call& call, uint64_t address) {
  constexpr uint64_t kPage = 4096;
  PutArray<uint8_t>(call, address, (call.args[1] + kPage - 1) / kPage,
                    [](Call& c, const uint8_t& page) { c.out.Unsigned(page & 1); });
}

constexpr CallInfo kCalls[] = {
    {"brk", Returns::kAddress, {{{"addr", Address}}}},
    {"mmap",
     Returns::kAddress,
     {{{"addr", Address},
       {"length", Size},
       {"prot", Protection},
       {"flags", {ShowMmapFlags}},
       {"fd", Fd},
       {"offset", HexLong}}}},
    {"munmap", Returns::kDecimal, {{{"addr", Address}, {"length", Size}}}},
    {"mremap",
     Returns::kAddress,
     {{{"old_addr", Address},
       {"old_length", Size},
       {"new_length", Size},
       {"flags", Flags<kMremapFlags>},
       {"new_addr", {.show = ShowAddress, .present = MremapHasAddress}}}}},
    {"mprotect", Returns::kDecimal, {{{"addr", Address}, {"length", Size}, {"prot", Protection}}}},
    {"pkey_mprotect",
     Returns::kDecimal,
     {{{"addr", Address}, {"length", Size}, {"prot", Protection}, {"pkey", Int}}}},
    {"pkey_alloc", Returns::kDecimal, {{{"flags", HexInt}, {"rights", Flags<kPkeyRights>}}}},
    {"pkey_free", Returns::kDecimal, {{{"pkey", Int}}}},
    {"madvise",
     Returns::kDecimal,
     {{{"addr", Address}, {"length", Size}, {"advice", Named<kMadvice>}}}},
    {"process_madvise",
     Returns::kDecimal,
     {{{"pidfd", Fd},
       {"iov", VectorAway<2>},
       {"iovcnt", Size},
       {"advice", Named<kMadvice>},
       {"flags", HexInt}}}},
    {"msync",
     Returns::kDecimal,
     {{{"addr", Address}, {"length", Size}, {"flags", Flags<kMsyncFlags>}}}},
    {"mincore",
     Returns::kDecimal,
     {{{"addr", Address}, {"length", Size}, {"vec", {ShowResidency, When::kExit}}}}},
    {"mlock", Returns::kDecimal, {{{"addr", Address}, {"length", Size}}}},
    {"mlock2",
     Returns::kDecimal,
     {{{"addr", Address}, {"length", Size}, {"flags", Flags<kMlock2Flags>}}}},
    {"munlock", Returns::kDecimal, {{{"addr", Address}, {"length", Size}}}},
    {"mlockall", Returns::kDecimal, {{{"flags", Flags<kMlockallFlags>}}}},
    {"munlockall", Returns::kDecimal, {}},
    {"remap_file_pages",
     Returns::kDecimal,
     {{{"addr", Address},
       {"size", Size},
       {"prot", Protection},
       {"pgoff", Size},
       {"flags", Flags<kMmapFlags>}}}},
    {"mbind",
     Returns::kDecimal,
     {{{"addr", Address},
       {"length", Size},
       {"mode", Policy},
       {"nodemask", Pointer},
       {"maxnode", Size},
       {"flags", Flags<kMemoryBindFlags>}}}},
    {"set_mempolicy",
     Returns::kDecimal,
     {{{"mode", Policy}, {"nodemask", Pointer}, {"maxnode", Size}}}},
    {"get_mempolicy",
     Returns::kDecimal,
     {{{"mode", IntOut},
       {"nodemask", Pointer},
       {"maxnode", Size},
       {"addr", Address},
       {"flags", Flags<kMemoryPolicyFlags>}}}},
    {"migrate_pages",
     Returns::kDecimal,
     {{{"pid", Int}, {"maxnode", Size}, {"old_nodes", Pointer}, {"new_nodes", Pointer}}}},
    {"move_pages",
     Returns::kDecimal,
     {{{"pid", Int},
       {"count", Size},
       {"pages", Pointer},
       {"nodes", Pointer},
       {"status", Pointer},
       {"flags", Flags<kMemoryBindFlags>}}}},
    {"memfd_create",
     Returns::kDescriptor,
     {{{"name", String}, {"flags", Flags<kMemfdFlags>}}},
     nullptr,
     kClassDesc},
    {"memfd_secret", Returns::kDescriptor, {{{"flags", Flags<kCloexecNonblock>}}}},
    {"userfaultfd", Returns::kDescriptor, {{{"flags", Flags<kUserfaultfdFlags>}}}},
    {"process_vm_readv",
     Returns::kDecimal,
     {{{"pid", Int},
       {"local_iov", VectorOut<2>},
       {"liovcnt", Size},
       {"remote_iov", VectorAway<4>},
       {"riovcnt", Size},
       {"flags", HexLong}}}},
    {"process_vm_writev",
     Returns::kDecimal,
     {{{"pid", Int},
       {"local_iov", VectorIn<2>},
       {"liovcnt", Size},
       {"remote_iov", VectorAway<4>},
       {"riovcnt", Size},
       {"flags", HexLong}}}},
    {"process_mrelease", Returns::kDecimal, {{{"pidfd", Fd}, {"flags", HexInt}}}},
};

}  // namespace

std::span<const CallInfo> MemoryCalls() { return kCalls; }

}  // namespace utrace::syscall_log
