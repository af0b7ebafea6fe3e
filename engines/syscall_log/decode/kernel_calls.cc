// Calls into the kernel's larger machines: seccomp, bpf, performance events, asynchronous I/O.
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

// ---- seccomp

void PutFilter(Call& call, const sock_fprog& program) {
  call.out.BeginStruct();
  PutUnsignedField(call.out, "len", program.len);
  PutAddressField(call.out, "filter", reinterpret_cast<uint64_t>(program.filter));
  call.out.EndStruct();
}

void ShowSeccompFlags(Call& call, uint64_t value) {
  if (call.args[0] == SECCOMP_SET_MODE_FILTER) {
    return PutFlags(call.out, kSeccompFlags, static_cast<uint32_t>(value));
  }
  call.out.Hex(static_cast<uint32_t>(value));
}

void ShowSeccompArgument(Call& call, uint64_t address) {
  if (call.args[0] != SECCOMP_SET_MODE_FILTER) return call.out.Address(address);
  AtAddress<sock_fprog, PutFilter>(call, address);
}

// ---- bpf

void PutBpf(Call& call, uint64_t address) {
  // As much as the program passes of it; the rest reads as zero.
  bpf_attr attributes{};
  const size_t size = std::min<uint64_t>(call.args[2], sizeof(attributes));
  if (address == 0 || size == 0 || call.memory.Read(address, &attributes, size) != size) {
    return call.out.Address(address);
  }
  Renderer& out = call.out;
  const auto descriptor = [&](const char* name, uint32_t fd) {
    out.Field(name);
    PutDescriptor(call, static_cast<int>(fd));
  };
  out.BeginStruct();
  switch (static_cast<int>(call.args[0])) {
    case BPF_MAP_CREATE:
      PutNameField(out, "map_type", kBpfMapType, attributes.map_type);
      PutUnsignedField(out, "key_size", attributes.key_size);
      PutUnsignedField(out, "value_size", attributes.value_size);
      PutUnsignedField(out, "max_entries", attributes.max_entries);
      PutFlagsField(out, "map_flags", kBpfMapFlags, attributes.map_flags);
      PutField(out, "map_name", attributes.map_name, sizeof(attributes.map_name));
      break;
    case BPF_MAP_LOOKUP_ELEM:
    case BPF_MAP_UPDATE_ELEM:
    case BPF_MAP_LOOKUP_AND_DELETE_ELEM:
      descriptor("map_fd", attributes.map_fd);
      PutAddressField(out, "key", attributes.key);
      PutAddressField(out, "value", attributes.value);
      PutFlagsField(out, "flags", kBpfUpdateFlags, attributes.flags);
      break;
    case BPF_MAP_DELETE_ELEM:
      descriptor("map_fd", attributes.map_fd);
      PutAddressField(out, "key", attributes.key);
      break;
    case BPF_MAP_GET_NEXT_KEY:
      descriptor("map_fd", attributes.map_fd);
      PutAddressField(out, "key", attributes.key);
      PutAddressField(out, "next_key", attributes.next_key);
      break;
    case BPF_PROG_LOAD:
      PutNameField(out, "prog_type", kBpfProgramType, attributes.prog_type);
      PutUnsignedField(out, "insn_cnt", attributes.insn_cnt);
      PutAddressField(out, "insns", attributes.insns);
      out.Field("license");
      PutText(call, attributes.license, call.style.strings);
      PutField(out, "prog_name", attributes.prog_name, sizeof(attributes.prog_name));
      break;
    case BPF_OBJ_PIN:
    case BPF_OBJ_GET:
      out.Field("pathname");
      PutText(call, attributes.pathname, call.style.strings);
      descriptor("bpf_fd", attributes.bpf_fd);
      break;
    case BPF_PROG_ATTACH:
    case BPF_PROG_DETACH:
      descriptor("target_fd", attributes.target_fd);
      descriptor("attach_bpf_fd", attributes.attach_bpf_fd);
      PutUnsignedField(out, "attach_type", attributes.attach_type);
      break;
    default:
      out.More();
  }
  out.EndStruct();
}

// ---- Performance events

void ShowEvent(Call& call, uint64_t address) {
  perf_event_attr event{};
  // Its second word says how long the program's version of it is.
  std::array<uint32_t, 2> head;
  if (address == 0 || !call.Read(address, &head)) return call.out.Address(address);
  const size_t size =
      std::min<size_t>(head[1] == 0 ? size_t{PERF_ATTR_SIZE_VER0} : head[1], sizeof(event));
  if (call.memory.Read(address, &event, size) != size) return call.out.Address(address);
  Renderer& out = call.out;
  out.BeginStruct();
  PutNameField(out, "type", kPerfType, event.type);
  PutUnsignedField(out, "size", event.size);
  out.Field("config");
  if (event.type == PERF_TYPE_HARDWARE) {
    PutName(out, kPerfHardware, event.config);
  } else if (event.type == PERF_TYPE_SOFTWARE) {
    PutName(out, kPerfSoftware, event.config);
  } else {
    out.Hex(event.config);
  }
  PutUnsignedField(out, event.freq != 0 ? "sample_freq" : "sample_period", event.sample_period);
  PutHexField(out, "sample_type", event.sample_type);
  PutHexField(out, "read_format", event.read_format);
  out.More();
  out.EndStruct();
}

// ---- io_uring

void PutRing(Call& call, const io_uring_params& ring) {
  Renderer& out = call.out;
  out.BeginStruct();
  PutFlagsField(out, "flags", kUringSetupFlags, ring.flags);
  PutUnsignedField(out, "sq_thread_cpu", ring.sq_thread_cpu);
  PutUnsignedField(out, "sq_thread_idle", ring.sq_thread_idle);
  if (call.exit && call.succeeded()) {
    PutUnsignedField(out, "sq_entries", ring.sq_entries);
    PutUnsignedField(out, "cq_entries", ring.cq_entries);
    PutFlagsField(out, "features", kUringFeatures, ring.features);
    out.More();
  }
  out.EndStruct();
}

// ---- The older asynchronous I/O

void ShowControlBlocks(Call& call, uint64_t address) {
  PutArray<uint64_t>(call, address, call.args[1], [](Call& c, const uint64_t& pointer) {
    iocb block;
    if (pointer == 0 || !c.Read(pointer, &block)) return c.out.Address(pointer);
    c.out.BeginStruct();
    PutHexField(c.out, "aio_data", block.aio_data);
    PutNameField(c.out, "aio_lio_opcode", kAioCommand, block.aio_lio_opcode);
    c.out.Field("aio_fildes");
    PutDescriptor(c, static_cast<int>(block.aio_fildes));
    PutAddressField(c.out, "aio_buf", block.aio_buf);
    PutUnsignedField(c.out, "aio_nbytes", block.aio_nbytes);
    PutSignedField(c.out, "aio_offset", block.aio_offset);
    c.out.EndStruct();
  });
}

void PutAioEvent(Call& call, const io_event& event) {
  call.out.BeginStruct();
  PutHexField(call.out, "data", event.data);
  PutAddressField(call.out, "obj", event.obj);
  PutSignedField(call.out, "res", event.res);
  PutSignedField(call.out, "res2", event.res2);
  call.out.EndStruct();
}
void ShowAioEvents(Call& call, uint64_t address) {
  PutArray<io_event>(call, address, call.count(), PutAioEvent);
}
constexpr Type AioEvents{ShowAioEvents, When::kExit};

constexpr CallInfo kCalls[] = {
    {"seccomp",
     Returns::kDecimal,
     {{{"operation", Named<kSeccompOperation>},
       {"flags", {ShowSeccompFlags}},
       {"args", {ShowSeccompArgument}}}}},
    {"bpf",
     Returns::kDecimal,
     {{{"cmd", Named<kBpfCommand>}, {"attr", {PutBpf}}, {"size", UInt}}},
     nullptr,
     kClassDesc},
    {"perf_event_open",
     Returns::kDescriptor,
     {{{"attr", {ShowEvent}},
       {"pid", Int},
       {"cpu", Int},
       {"group_fd", Fd},
       {"flags", Flags64<kPerfFlags>}}}},
    {"membarrier",
     Returns::kDecimal,
     {{{"cmd", Named<kMembarrierCommand>}, {"flags", Flags<kMembarrierFlags>}, {"cpu_id", Int}}}},
    {"io_uring_setup",
     Returns::kDescriptor,
     {{{"entries", UInt}, {"params", {AtAddress<io_uring_params, PutRing>, When::kBoth}}}},
     nullptr,
     kClassDesc},
    {"io_uring_enter",
     Returns::kDecimal,
     {{{"fd", Fd},
       {"to_submit", UInt},
       {"min_complete", UInt},
       {"flags", Flags<kUringEnterFlags>},
       {"sig", Pointer},
       {"argsz", Size}}}},
    {"io_uring_register",
     Returns::kDecimal,
     {{{"fd", Fd}, {"opcode", Named<kUringRegister>}, {"arg", Pointer}, {"nr_args", UInt}}}},
    {"io_setup", Returns::kDecimal, {{{"nr_events", UInt}, {"ctx", AddressOut}}}},
    {"io_destroy", Returns::kDecimal, {{{"ctx", Pointer}}}},
    {"io_submit",
     Returns::kDecimal,
     {{{"ctx", Pointer}, {"nr", Long}, {"iocbpp", {ShowControlBlocks}}}}},
    {"io_cancel",
     Returns::kDecimal,
     {{{"ctx", Pointer}, {"iocb", Pointer}, {"event", Out<io_event, PutAioEvent>}}}},
    {"io_getevents",
     Returns::kDecimal,
     {{{"ctx", Pointer},
       {"min_nr", Long},
       {"nr", Long},
       {"events", AioEvents},
       {"timeout", TimespecIn}}}},
    {"io_pgetevents",
     Returns::kDecimal,
     {{{"ctx", Pointer},
       {"min_nr", Long},
       {"nr", Long},
       {"events", AioEvents},
       {"timeout", TimespecIn},
       {"usig", Pointer}}}},
};

}  // namespace

std::span<const CallInfo> KernelCalls() { return kCalls; }

}  // namespace utrace::syscall_log
