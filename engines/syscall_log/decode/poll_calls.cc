// Calls that wait for descriptors.
#include <poll.h>
#include <sys/epoll.h>

#include "engines/syscall_log/decode/groups.h"
#include "engines/syscall_log/decode/structs.h"
#include "engines/syscall_log/decode/tables.h"

namespace utrace::syscall_log {
namespace {

// ---- poll

void ShowPollIn(Call& call, uint64_t address) {
  PutArray<pollfd>(
      call, address, static_cast<uint32_t>(call.args[1]), [](Call& c, const pollfd& entry) {
        c.out.BeginStruct();
        c.out.Field("fd");
        PutDescriptor(c, entry.fd);
        if (entry.fd >= 0) {
          PutFlagsField(c.out, "events", kPollEvents, static_cast<uint16_t>(entry.events));
        }
        c.out.EndStruct();
      });
}
constexpr Type PollIn{ShowPollIn};

// The array that came back, without what has no events.
void PutPollResult(Call& call, uint64_t address, uint64_t count) {
  call.out.BeginArray();
  pollfd entry;
  uint64_t found = 0;
  constexpr uint64_t kMost = 4096;
  for (uint64_t i = 0; i < std::min(count, kMost) && found < call.count(); ++i) {
    if (!call.Read(address + i * sizeof(entry), &entry)) break;
    if (entry.revents == 0) continue;
    if (found++ == call.style.elements) {
      call.out.More();
      break;
    }
    call.out.BeginStruct();
    call.out.Field("fd");
    PutDescriptor(call, entry.fd);
    PutFlagsField(call.out, "revents", kPollEvents, static_cast<uint16_t>(entry.revents));
    call.out.EndStruct();
  }
  call.out.EndArray();
}

void PutTimeoutNote(Call& call) {
  call.out.BeginNote();
  call.out.FieldWithoutText("outcome");
  call.out.Name("Timeout");
  call.out.EndNote();
}

bool PollNote(Call& call) {
  if (call.value == 0) {
    PutTimeoutNote(call);
    return true;
  }
  call.out.BeginNote();
  call.out.FieldWithoutText("ready");
  PutPollResult(call, call.args[0], static_cast<uint32_t>(call.args[1]));
  call.out.EndNote();
  return true;
}

// The kernel writes the time that is left into the program's timeout.
template <class Time, void (*kPutTime)(Call&, const Time&)>
void PutTimeLeft(Call& call, uint64_t address) {
  Time left;
  if (address == 0 || !call.Read(address, &left)) return;
  call.out.FieldWithoutText("left");
  call.out.TextOnly("left ");
  kPutTime(call, left);
}

bool PpollNote(Call& call) {
  if (call.value == 0) {
    PutTimeoutNote(call);
    return true;
  }
  call.out.BeginNote();
  call.out.FieldWithoutText("ready");
  PutPollResult(call, call.args[0], static_cast<uint32_t>(call.args[1]));
  PutTimeLeft<timespec, PutTimespec>(call, call.args[2]);
  call.out.EndNote();
  return true;
}

// ---- select

constexpr uint64_t kMostDescriptors = 1024;
constexpr const char* kSets[] = {"in", "out", "except"};

// The first `count` bits at an address. False if they cannot be read.
bool ReadSet(Call& call, uint64_t address, uint64_t count,
             std::array<uint8_t, kMostDescriptors / 8>* bits) {
  // The kernel works with whole words; a program need not have more than the bytes that it uses.
  const size_t size = (count + 7) / 8;
  return address != 0 && call.memory.Read(address, bits->data(), size) == size;
}

uint64_t SelectCount(Call& call) {
  const int count = static_cast<int>(call.args[0]);
  return count < 0 ? 0 : std::min<uint64_t>(static_cast<uint64_t>(count), kMostDescriptors);
}

void PutSet(Call& call, const std::array<uint8_t, kMostDescriptors / 8>& bits, uint64_t count) {
  call.out.BeginSet(false);
  for (uint64_t fd = 0; fd < count; ++fd) {
    if ((bits[fd / 8] >> (fd % 8) & 1) != 0) PutDescriptor(call, static_cast<int>(fd));
  }
  call.out.EndSet();
}

void ShowSetIn(Call& call, uint64_t address) {
  std::array<uint8_t, kMostDescriptors / 8> bits{};
  const uint64_t count = SelectCount(call);
  if (!ReadSet(call, address, count, &bits)) return call.out.Address(address);
  PutSet(call, bits, count);
}
constexpr Type SetIn{ShowSetIn};

template <class Time, void (*kPutTime)(Call&, const Time&)>
bool PutSelectNote(Call& call) {
  if (call.value == 0) {
    PutTimeoutNote(call);
    return true;
  }
  const uint64_t count = SelectCount(call);
  call.out.BeginNote();
  for (unsigned i = 0; i < 3; ++i) {
    std::array<uint8_t, kMostDescriptors / 8> bits{};
    if (!ReadSet(call, call.args[i + 1], count, &bits)) continue;
    if (std::ranges::all_of(bits, [](uint8_t byte) { return byte == 0; })) continue;
    call.out.FieldWithoutText(kSets[i]);
    call.out.TextOnly(kSets[i]);
    call.out.TextOnly(" ");
    PutSet(call, bits, count);
  }
  PutTimeLeft<Time, kPutTime>(call, call.args[4]);
  call.out.EndNote();
  return true;
}

// pselect's last argument is a pointer to a set and its size.
void ShowPselectMask(Call& call, uint64_t address) {
  struct Mask {
    uint64_t set;
    uint64_t size;
  } mask;
  if (address == 0 || !call.Read(address, &mask)) return call.out.Address(address);
  call.out.BeginStruct();
  call.out.Field("sigmask");
  PutSignalSetAt(call, mask.set, mask.size);
  PutUnsignedField(call.out, "sigsetsize", mask.size);
  call.out.EndStruct();
}

// ---- epoll

void PutEpollEvent(Call& call, const epoll_event& event) {
  call.out.BeginStruct();
  PutFlagsField(call.out, "events", kEpollEvents, event.events);
  call.out.Field("data");
  call.out.BeginStruct();
  PutUnsignedField(call.out, "u32", event.data.u32);
  PutUnsignedField(call.out, "u64", event.data.u64);
  call.out.EndStruct();
  call.out.EndStruct();
}

void ShowEpollChange(Call& call, uint64_t address) {
  // Nothing is read for a removal, and programs pass anything then.
  if (static_cast<int>(call.args[1]) == EPOLL_CTL_DEL) return call.out.Address(address);
  AtAddress<epoll_event, PutEpollEvent>(call, address);
}

void ShowEpollEvents(Call& call, uint64_t address) {
  PutArray<epoll_event>(call, address, call.count(), PutEpollEvent);
}
constexpr Type EpollEvents{ShowEpollEvents, When::kExit};

constexpr CallInfo kCalls[] = {
    {"poll", Returns::kDecimal, {{{"fds", PollIn}, {"nfds", UInt}, {"timeout", Int}}}, PollNote},
    {"ppoll",
     Returns::kDecimal,
     {{{"fds", PollIn},
       {"nfds", UInt},
       {"timeout", TimespecIn},
       {"sigmask", SignalSetIn<4>},
       {"sigsetsize", Size}}},
     PpollNote},
    {"select",
     Returns::kDecimal,
     {{{"nfds", Int},
       {"readfds", SetIn},
       {"writefds", SetIn},
       {"exceptfds", SetIn},
       {"timeout", In<timeval, PutTimeval>}}},
     PutSelectNote<timeval, PutTimeval>},
    {"pselect6",
     Returns::kDecimal,
     {{{"nfds", Int},
       {"readfds", SetIn},
       {"writefds", SetIn},
       {"exceptfds", SetIn},
       {"timeout", TimespecIn},
       {"sigmask", {ShowPselectMask}}}},
     PutSelectNote<timespec, PutTimespec>},
    {"epoll_create", Returns::kDescriptor, {{{"size", Int}}}},
    {"epoll_create1", Returns::kDescriptor, {{{"flags", Flags<kEpollCreateFlags>}}}},
    {"epoll_ctl",
     Returns::kDecimal,
     {{{"epfd", Fd}, {"op", Named<kEpollOperation>}, {"fd", Fd}, {"event", {ShowEpollChange}}}}},
    {"epoll_wait",
     Returns::kDecimal,
     {{{"epfd", Fd}, {"events", EpollEvents}, {"maxevents", Int}, {"timeout", Int}}}},
    {"epoll_pwait",
     Returns::kDecimal,
     {{{"epfd", Fd},
       {"events", EpollEvents},
       {"maxevents", Int},
       {"timeout", Int},
       {"sigmask", SignalSetIn<5>},
       {"sigsetsize", Size}}}},
    {"epoll_pwait2",
     Returns::kDecimal,
     {{{"epfd", Fd},
       {"events", EpollEvents},
       {"maxevents", Int},
       {"timeout", TimespecIn},
       {"sigmask", SignalSetIn<5>},
       {"sigsetsize", Size}}}},
    {"eventfd", Returns::kDescriptor, {{{"initval", UInt}}}},
    {"eventfd2", Returns::kDescriptor, {{{"initval", UInt}, {"flags", Flags<kEventfdFlags>}}}},
};

}  // namespace

std::span<const CallInfo> PollCalls() { return kCalls; }

}  // namespace utrace::syscall_log
