#include "engines/crash_catcher/symbols.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#include "engines/crash_catcher/proc_files.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

// A stack that runs in circles, or a recursion without end: nobody reads more.
constexpr size_t kMostFrames = 4096;
constexpr std::string_view kDeleted = " (deleted)";

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

std::string Demangled(const char* name) {
  if (name == nullptr) return "";
  int status = 0;
  const std::unique_ptr<char, Free> plain(abi::__cxa_demangle(name, nullptr, nullptr, &status));
  return plain != nullptr ? plain.get() : name;
}

// The symbol that an address belongs to.
struct Symbol {
  const char* name;  // null if there is none
  GElf_Off offset;   // of the address in it
};

Symbol FindSymbol(Dwfl_Module* module, uint64_t address) {
  GElf_Sym symbol{};
  GElf_Off offset = 0;
  const char* const name =
      dwfl_module_addrinfo(module, address, &offset, &symbol, nullptr, nullptr, nullptr);
  return {.name = name, .offset = offset};
}

// The file of a module, through the process's own root directory. -1 if there is none to be had.
int OpenModule(pid_t tid, std::string_view path, Dwarf_Addr base, std::string* opened) {
  if (path.ends_with(kDeleted)) {
    // Its name leads nowhere, or to another file.
    *opened = fmt::format("/proc/{}/exe", tid);
    if (ReadProcLink(*opened) != path) {
      // Only with rights that few have.
      *opened = "";
      // If they cannot be read, the report says so already.
      for (std::vector<std::string> problems;
           const Mapping& mapping : ReadMappings(tid, &problems)) {
        if (mapping.start != base) continue;
        *opened = fmt::format("/proc/{}/map_files/{:x}-{:x}", tid, mapping.start, mapping.end);
      }
      if (opened->empty()) return -1;
    }
  } else {
    *opened = fmt::format("/proc/{}/root{}", tid, path);
  }
  const int fd = open(opened->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return -1;
  struct stat status {};
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) return fd;
  close(fd);
  return -1;
}

}  // namespace

// What the library's callbacks work on. They are called from C and let no exception out.
struct Symbols::Impl {
  Impl(pid_t live_thread, Memory& process_memory) : tid(live_thread), memory(process_memory) {}
  ~Impl() {
    if (dwfl != nullptr) dwfl_end(dwfl);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // ---- Callbacks.
  static int FindElf(Dwfl_Module* module, void** userdata, const char* name, Dwarf_Addr base,
                     char** file_name, Elf** elf);
  static pid_t NextThread(Dwfl* dwfl, void* argument, void** thread);
  static bool GetThread(Dwfl* dwfl, pid_t tid, void* argument, void** thread);
  static bool ReadMemory(Dwfl* dwfl, Dwarf_Addr address, Dwarf_Word* result, void* argument);
  static bool SetRegisters(Dwfl_Thread* thread, void* argument);
  static int TakeFrame(Dwfl_Frame* frame, void* argument);

  // ----
  bool Begin(std::string* error);
  void AddFrames();
  Frame FrameAt(uint64_t pc, bool interrupted) const;
  // Names the functions at `address` by debug information; false if there is none.
  static bool AddDebugNames(Dwfl_Module* module, uint64_t address, std::vector<Location>* names);

  static const Dwfl_Callbacks kCallbacks;
  static const Dwfl_Thread_Callbacks kThreadCallbacks;

  const pid_t tid;
  Memory& memory;
  Dwfl* dwfl = nullptr;
  // The thread that is being unwound.
  ThreadState* thread = nullptr;
  std::vector<std::byte> general;
};

const Dwfl_Callbacks Symbols::Impl::kCallbacks = {
    .find_elf = FindElf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = nullptr,
    .debuginfo_path = nullptr,
};

const Dwfl_Thread_Callbacks Symbols::Impl::kThreadCallbacks = {
    .next_thread = NextThread,
    .get_thread = GetThread,
    .memory_read = ReadMemory,
    .set_initial_registers = SetRegisters,
    .detach = nullptr,
    .thread_detach = nullptr,
};

int Symbols::Impl::FindElf(Dwfl_Module* module, void** userdata, const char* name, Dwarf_Addr base,
                           char** file_name, Elf** elf) {
  if (name[0] != '/' || *userdata == nullptr) {
    return dwfl_linux_proc_find_elf(module, userdata, name, base, file_name, elf);  // [vdso]
  }
  try {
    std::string opened;
    const int fd = OpenModule(static_cast<Impl*>(*userdata)->tid, name, base, &opened);
    if (fd >= 0)
      *file_name = strdup(opened.c_str());  // looked beside for separate debug information
    return fd;
  } catch (const std::exception&) {
    return -1;  // no memory: a module without names
  }
}

pid_t Symbols::Impl::NextThread(Dwfl*, void* argument, void** thread) {
  if (*thread != nullptr) return 0;
  *thread = argument;
  return static_cast<Impl*>(argument)->thread->tid;
}

bool Symbols::Impl::GetThread(Dwfl*, pid_t, void* argument, void** thread) {
  *thread = argument;
  return true;
}

bool Symbols::Impl::ReadMemory(Dwfl*, Dwarf_Addr address, Dwarf_Word* result, void* argument) {
  return static_cast<Impl*>(argument)->memory.ReadObject(address, result);
}

bool Symbols::Impl::SetRegisters(Dwfl_Thread* dwfl_thread, void* argument) {
  try {
    const std::vector<uint64_t> registers = DwarfRegisters(static_cast<Impl*>(argument)->general);
    static_assert(sizeof(Dwarf_Word) == sizeof(uint64_t));
    return dwfl_thread_state_registers(dwfl_thread, 0, static_cast<unsigned>(registers.size()),
                                       registers.data());
  } catch (const std::exception&) {
    return false;
  }
}

int Symbols::Impl::TakeFrame(Dwfl_Frame* state, void* argument) {
  auto* impl = static_cast<Impl*>(argument);
  try {
    Dwarf_Addr pc = 0;
    bool interrupted = false;
    if (!dwfl_frame_pc(state, &pc, &interrupted)) return DWARF_CB_ABORT;
    std::vector<Frame>& frames = impl->thread->frames;
    if (frames.size() >= kMostFrames) {
      impl->thread->stack_end = fmt::format("not followed beyond {} frames", kMostFrames);
      return DWARF_CB_ABORT;
    }
    frames.push_back(impl->FrameAt(pc, interrupted));
    return DWARF_CB_OK;
  } catch (const std::exception&) {
    return DWARF_CB_ABORT;
  }
}

bool Symbols::Impl::Begin(std::string* error) {
  dwfl = dwfl_begin(&kCallbacks);
  if (dwfl == nullptr) {
    *error = fmt::format("no symbols: {}", dwfl_errmsg(-1));
    return false;
  }
  dwfl_report_begin(dwfl);
  const int reported = dwfl_linux_proc_report(dwfl, tid);
  if (reported != 0 || dwfl_report_end(dwfl, nullptr, nullptr) != 0) {
    *error = fmt::format("no symbols: the modules cannot be found: {}",
                         reported > 0 ? strerror(reported) : dwfl_errmsg(-1));
    return false;
  }
  const auto set_userdata = [](Dwfl_Module*, void** userdata, const char*, Dwarf_Addr,
                               void* argument) -> int {
    *userdata = argument;
    return DWARF_CB_OK;
  };
  dwfl_getmodules(dwfl, set_userdata, this, 0);
  if (!dwfl_attach_state(dwfl, nullptr, tid, &kThreadCallbacks, this)) {
    *error = fmt::format("no stacks: {}", dwfl_errmsg(-1));
    return false;
  }
  return true;
}

void Symbols::Impl::AddFrames() {
  const int result = dwfl_getthread_frames(dwfl, thread->tid, TakeFrame, this);
  if (result == -1 && thread->stack_end.empty()) thread->stack_end = dwfl_errmsg(-1);
}

Frame Symbols::Impl::FrameAt(uint64_t pc, bool interrupted) const {
  Frame frame;
  frame.pc = pc;
  frame.interrupted = interrupted;
  // A call's return address may be the first of another line, or of another function.
  const uint64_t address = interrupted || pc == 0 ? pc : pc - 1;
  Dwfl_Module* const module = dwfl_addrmodule(dwfl, address);
  if (module == nullptr) return frame;

  Dwarf_Addr start = 0;
  const char* const name =
      dwfl_module_info(module, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
  frame.module = name;
  Dwarf_Addr bias = start;
  dwfl_module_getelf(module, &bias);
  frame.module_offset = pc - bias;
  const unsigned char* bits = nullptr;
  GElf_Addr at = 0;
  const int length = dwfl_module_build_id(module, &bits, &at);
  for (int i = 0; i < length; ++i) frame.build_id += fmt::format("{:02x}", bits[i]);

  if (AddDebugNames(module, address, &frame.functions)) return frame;
  const Symbol symbol = FindSymbol(module, address);
  if (symbol.name != nullptr) {
    frame.functions[0].function = Demangled(symbol.name);
    frame.functions[0].offset = symbol.offset + (pc - address);
  }
  return frame;
}

namespace {

const char* NameOf(Dwarf_Die* die) {
  Dwarf_Attribute attribute{};
  for (const unsigned kind : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name}) {
    const char* const name = dwarf_formstring(dwarf_attr_integrate(die, kind, &attribute));
    if (name != nullptr) return name;
  }
  return nullptr;
}

int NumberOf(Dwarf_Die* die, unsigned kind) {
  Dwarf_Attribute attribute{};
  Dwarf_Word value = 0;
  if (dwarf_formudata(dwarf_attr(die, kind, &attribute), &value) != 0) return 0;
  return static_cast<int>(value);
}

}  // namespace

bool Symbols::Impl::AddDebugNames(Dwfl_Module* module, uint64_t address,
                                  std::vector<Location>* names) {
  Dwarf_Addr bias = 0;
  Dwarf_Die* const unit = dwfl_module_addrdie(module, address, &bias);
  if (unit == nullptr) return false;
  Dwarf_Die* scopes = nullptr;
  const int count = dwarf_getscopes(unit, address - bias, &scopes);
  const std::unique_ptr<Dwarf_Die, Free> scopes_owner(scopes);
  Dwarf_Die* innermost = nullptr;
  for (int i = 0; i < count && innermost == nullptr; ++i) {
    const int tag = dwarf_tag(&scopes[i]);
    if (tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine) innermost = &scopes[i];
  }
  if (innermost == nullptr) return false;

  Location here;
  if (Dwfl_Line* const line = dwfl_module_getsrc(module, address)) {
    const char* const file =
        dwfl_lineinfo(line, nullptr, &here.line, &here.column, nullptr, nullptr);
    if (file != nullptr) here.file = file;
  }
  Dwarf_Die* around = nullptr;
  const int depth = dwarf_getscopes_die(innermost, &around);
  const std::unique_ptr<Dwarf_Die, Free> around_owner(around);
  Dwarf_Files* files = nullptr;
  size_t file_count = 0;
  dwarf_getsrcfiles(unit, &files, &file_count);

  std::vector<Location> found;
  for (int i = 0; i < depth; ++i) {
    const int tag = dwarf_tag(&around[i]);
    if (tag != DW_TAG_subprogram && tag != DW_TAG_inlined_subroutine) continue;
    here.function = Demangled(NameOf(&around[i]));
    found.push_back(here);
    if (tag == DW_TAG_subprogram) break;
    here = Location();
    here.line = NumberOf(&around[i], DW_AT_call_line);
    here.column = NumberOf(&around[i], DW_AT_call_column);
    const char* const file = dwarf_filesrc(
        files, static_cast<size_t>(NumberOf(&around[i], DW_AT_call_file)), nullptr, nullptr);
    if (file != nullptr) here.file = file;
  }
  if (found.empty()) return false;
  *names = std::move(found);
  return true;
}

Symbols::Symbols(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Symbols::~Symbols() = default;

std::unique_ptr<Symbols> Symbols::Open(pid_t tid, Memory& memory, std::string* error) {
  auto impl = std::make_unique<Impl>(tid, memory);
  if (!impl->Begin(error)) return nullptr;
  return std::unique_ptr<Symbols>(new Symbols(std::move(impl)));
}

void Symbols::Unwind(GeneralImage general, ThreadState* thread) {
  impl_->thread = thread;
  impl_->general.assign(general.begin(), general.end());
  const uint64_t pc = ProgramCounter(general);
  if (dwfl_addrmodule(impl_->dwfl, pc) == nullptr) {
    // A jump to where no code is: there are no tables for it, but its caller can be told.
    const auto after = AfterReturn(general, impl_->memory);
    if (after && dwfl_addrmodule(impl_->dwfl, ProgramCounter(*after)) != nullptr) {
      thread->frames.push_back(impl_->FrameAt(pc, true));
      impl_->general = *after;
      impl_->AddFrames();
      // The caller was not interrupted where the call returns to.
      if (thread->frames.size() > 1) {
        thread->frames[1] = impl_->FrameAt(thread->frames[1].pc, false);
      }
      return;
    }
  }
  impl_->AddFrames();
  if (thread->frames.empty()) thread->frames.push_back(impl_->FrameAt(pc, true));
}

std::string Symbols::Describe(uint64_t address) {
  Dwfl_Module* const module = dwfl_addrmodule(impl_->dwfl, address);
  if (module == nullptr) return "";
  if (const Symbol symbol = FindSymbol(module, address); symbol.name != nullptr) {
    const std::string name = Demangled(symbol.name);
    return symbol.offset == 0 ? name : fmt::format("{}+{}", name, symbol.offset);
  }
  const Frame frame = impl_->FrameAt(address, true);
  const size_t slash = frame.module.rfind('/');
  return fmt::format("{}+{:#x}", frame.module.substr(slash == std::string::npos ? 0 : slash + 1),
                     frame.module_offset);
}

uint64_t Symbols::FunctionBegin(uint64_t address) {
  Dwfl_Module* const module = dwfl_addrmodule(impl_->dwfl, address);
  if (module == nullptr) return 0;
  const Symbol symbol = FindSymbol(module, address);
  return symbol.name == nullptr ? 0 : address - symbol.offset;
}

}  // namespace utrace::crash
