#include <capstone/capstone.h>
#include <sys/user.h>

#include <cstring>
#include <memory>

#include "engines/crash_catcher/machine_state.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

user_regs_struct Image(GeneralImage general) {
  user_regs_struct registers{};
  std::memcpy(&registers, general.data(), std::min(general.size(), sizeof(registers)));
  return registers;
}

class Decoder {
 public:
  Decoder() {
    open_ = cs_open(CS_ARCH_X86, CS_MODE_64, &handle_) == CS_ERR_OK;
    if (open_) cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
  }
  ~Decoder() {
    if (open_) cs_close(&handle_);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // Calls `use(instruction)` for each that can be decoded, `most` at most.
  template <class Use>
  void ForEach(std::span<const std::byte> code, uint64_t address, size_t most, Use use) {
    if (!open_) return;
    cs_insn* decoded = nullptr;
    const size_t count = cs_disasm(handle_, reinterpret_cast<const uint8_t*>(code.data()),
                                   code.size(), address, most, &decoded);
    const auto free_all = [count](cs_insn* first) { cs_free(first, count); };
    const std::unique_ptr<cs_insn, decltype(free_all)> owner(count == 0 ? nullptr : decoded,
                                                             free_all);
    for (size_t i = 0; i < count; ++i) use(decoded[i]);
  }
  const char* RegisterName(unsigned id) const {
    const char* name = cs_reg_name(handle_, id);
    return name == nullptr ? "?" : name;
  }

 private:
  csh handle_ = 0;
  bool open_ = false;
};

// Of a register that can be part of an address; `next` is the address of the next instruction.
std::optional<uint64_t> ValueOf(x86_reg id, const user_regs_struct& r, uint64_t next) {
  switch (id) {
    case X86_REG_INVALID:
      return 0;
    case X86_REG_RAX:
      return r.rax;
    case X86_REG_RBX:
      return r.rbx;
    case X86_REG_RCX:
      return r.rcx;
    case X86_REG_RDX:
      return r.rdx;
    case X86_REG_RSI:
      return r.rsi;
    case X86_REG_RDI:
      return r.rdi;
    case X86_REG_RBP:
      return r.rbp;
    case X86_REG_RSP:
      return r.rsp;
    case X86_REG_R8:
      return r.r8;
    case X86_REG_R9:
      return r.r9;
    case X86_REG_R10:
      return r.r10;
    case X86_REG_R11:
      return r.r11;
    case X86_REG_R12:
      return r.r12;
    case X86_REG_R13:
      return r.r13;
    case X86_REG_R14:
      return r.r14;
    case X86_REG_R15:
      return r.r15;
    case X86_REG_RIP:
      return next;
    case X86_REG_EAX:
      return r.rax & 0xffffffff;
    case X86_REG_EBX:
      return r.rbx & 0xffffffff;
    case X86_REG_ECX:
      return r.rcx & 0xffffffff;
    case X86_REG_EDX:
      return r.rdx & 0xffffffff;
    case X86_REG_ESI:
      return r.rsi & 0xffffffff;
    case X86_REG_EDI:
      return r.rdi & 0xffffffff;
    default:
      return std::nullopt;  // vector registers of a gather, riz
  }
}

std::optional<MemoryAccess> OperandAccess(const Decoder& decoder, const cs_insn& instruction,
                                          const cs_x86_op& operand, const user_regs_struct& r) {
  const uint64_t next = instruction.address + instruction.size;
  const auto base = ValueOf(operand.mem.base, r, next);
  const auto index = ValueOf(operand.mem.index, r, next);
  if (!base || !index) return std::nullopt;
  uint64_t address = *base + *index * static_cast<uint64_t>(operand.mem.scale) +
                     static_cast<uint64_t>(operand.mem.disp);
  std::string text = "[";
  if (operand.mem.segment == X86_REG_FS) address += r.fs_base;
  if (operand.mem.segment == X86_REG_GS) address += r.gs_base;
  if (operand.mem.segment != X86_REG_INVALID) {
    text = fmt::format("{}:[", decoder.RegisterName(operand.mem.segment));
  }
  std::string_view joint;
  if (operand.mem.base != X86_REG_INVALID) {
    text += decoder.RegisterName(operand.mem.base);
    joint = " + ";
  }
  if (operand.mem.index != X86_REG_INVALID) {
    text +=
        fmt::format("{}{}*{}", joint, decoder.RegisterName(operand.mem.index), operand.mem.scale);
    joint = " + ";
  }
  if (operand.mem.disp != 0 || joint.empty()) {
    const bool minus = operand.mem.disp < 0 && !joint.empty();
    const auto magnitude = static_cast<uint64_t>(minus ? -operand.mem.disp : operand.mem.disp);
    text += fmt::format("{}{:#x}", minus ? " - " : joint, magnitude);
  }
  text += ']';
  return MemoryAccess{.address = address,
                      .bytes = operand.size,
                      .reads = (operand.access & CS_AC_READ) != 0,
                      .writes = (operand.access & CS_AC_WRITE) != 0,
                      .operand = text};
}

}  // namespace

std::vector<NamedRegister> NamedRegisters(GeneralImage general) {
  const user_regs_struct r = Image(general);
  return {{"rip", r.rip},
          {"rsp", r.rsp},
          {"rbp", r.rbp},
          {"rflags", r.eflags},
          {"rax", r.rax},
          {"rbx", r.rbx},
          {"rcx", r.rcx},
          {"rdx", r.rdx},
          {"rsi", r.rsi},
          {"rdi", r.rdi},
          {"r8", r.r8},
          {"r9", r.r9},
          {"r10", r.r10},
          {"r11", r.r11},
          {"r12", r.r12},
          {"r13", r.r13},
          {"r14", r.r14},
          {"r15", r.r15},
          {"orig_rax", r.orig_rax},
          {"cs", r.cs},
          {"ss", r.ss},
          {"ds", r.ds},
          {"es", r.es},
          {"fs", r.fs},
          {"gs", r.gs},
          {"fs_base", r.fs_base},
          {"gs_base", r.gs_base}};
}

uint64_t ProgramCounter(GeneralImage general) { return Image(general).rip; }
uint64_t StackPointer(GeneralImage general) { return Image(general).rsp; }

std::vector<uint64_t> DwarfRegisters(GeneralImage general) {
  const user_regs_struct r = Image(general);
  return {r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
          r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip};
}

std::optional<std::vector<std::byte>> AfterReturn(GeneralImage general, Memory& memory) {
  user_regs_struct r = Image(general);
  uint64_t return_address = 0;
  if (!memory.ReadObject(r.rsp, &return_address)) return std::nullopt;
  r.rip = return_address;
  r.rsp += sizeof(return_address);
  std::vector<std::byte> after(general.begin(), general.end());
  std::memcpy(after.data(), &r, std::min(after.size(), sizeof(r)));
  return after;
}

bool IsCanonical(uint64_t address) {
  const uint64_t upper = address >> 47;  // bits 47 to 63 are all alike
  return upper == 0 || upper == 0x1ffff;
}

size_t LongestInstruction() { return 15; }

std::vector<Instruction> Disassemble(std::span<const std::byte> code, uint64_t address) {
  std::vector<Instruction> instructions;
  Decoder().ForEach(code, address, 0, [&](const cs_insn& decoded) {
    Instruction instruction;
    instruction.address = decoded.address;
    for (size_t i = 0; i < decoded.size; ++i) {
      instruction.bytes += fmt::format("{}{:02x}", i == 0 ? "" : " ", decoded.bytes[i]);
    }
    instruction.text = decoded.mnemonic;
    if (decoded.op_str[0] != '\0') instruction.text.append(" ").append(decoded.op_str);
    instructions.push_back(std::move(instruction));
  });
  return instructions;
}

std::vector<MemoryAccess> AccessesOf(std::span<const std::byte> code, GeneralImage general) {
  const user_regs_struct r = Image(general);
  std::vector<MemoryAccess> accesses;
  Decoder decoder;
  decoder.ForEach(code, r.rip, 1, [&](const cs_insn& decoded) {
    // lea and nop compute an address without accessing it.
    if (decoded.detail == nullptr || decoded.id == X86_INS_LEA || decoded.id == X86_INS_NOP) return;
    const cs_x86& detail = decoded.detail->x86;
    for (int i = 0; i < detail.op_count; ++i) {
      if (detail.operands[i].type != X86_OP_MEM) continue;
      if (auto access = OperandAccess(decoder, decoded, detail.operands[i], r)) {
        accesses.push_back(std::move(*access));
      }
    }
    // These write to the stack without an operand that says so.
    if (decoded.id == X86_INS_CALL || decoded.id == X86_INS_PUSH) {
      accesses.push_back({.address = r.rsp - sizeof(uint64_t),
                          .bytes = sizeof(uint64_t),
                          .reads = false,
                          .writes = true,
                          .operand = "the stack"});
    }
  });
  return accesses;
}

}  // namespace utrace::crash
