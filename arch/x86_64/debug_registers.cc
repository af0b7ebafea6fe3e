#include "arch/debug_registers.h"

#include <sys/user.h>

#include <cerrno>
#include <cstddef>

namespace utrace::arch {
namespace {

using Physical = DebugRegisters::Physical;

constexpr unsigned kRegisters = 8;
constexpr unsigned kStatus = 6;
constexpr unsigned kControl = 7;
constexpr uint64_t kTrapBits = 0xf;                 // of the status: one for each slot
constexpr uint64_t kFreshStatus = 0xffff0ff0;       // the bits that always read as one
constexpr uint64_t kUpperHalf = uint64_t{1} << 63;  // addresses of the kernel

// Of the control register: two enabling bits for each slot, local and global; and four that say the kind
// (two) and the length.
bool IsEnabled(uint64_t control, unsigned slot) { return (control >> (slot * 2) & 3) != 0; }
uint8_t ConditionOf(uint64_t control, unsigned slot) {
  return static_cast<uint8_t>(control >> (16 + slot * 4) & 0xf);
}
constexpr uint8_t kPortAccess = 2;  // a kind that the kernel gives no user
bool IsPortAccess(uint8_t condition) { return (condition & 3) == kPortAccess; }

uint64_t ControlOf(const Physical& physical) {
  uint64_t control = 0;
  for (unsigned slot = 0; slot < DebugRegisters::kSlots; ++slot) {
    if (!physical.enabled[slot]) continue;
    control |= uint64_t{1} << (slot * 2);
    control |= uint64_t{physical.condition[slot]} << (16 + slot * 4);
  }
  return control;
}

}  // namespace

std::optional<unsigned> DebugRegisterAt(uint64_t user_offset) {
  constexpr uint64_t kFirst = offsetof(user, u_debugreg);
  if (user_offset < kFirst || user_offset % sizeof(uint64_t) != kFirst % sizeof(uint64_t)) {
    return std::nullopt;
  }
  const uint64_t index = (user_offset - kFirst) / sizeof(uint64_t);
  return index < kRegisters ? std::optional(static_cast<unsigned>(index)) : std::nullopt;
}

uint64_t DebugRegisterOffset(unsigned index) {
  return offsetof(user, u_debugreg) + index * sizeof(uint64_t);
}

unsigned DebugStatusRegister() { return kStatus; }
unsigned DebugControlRegister() { return kControl; }

DebugRegisters::File DebugRegisters::Fresh() {
  File file;
  file.status = kFreshStatus;
  return file;
}

void DebugRegisters::Begin(Owner owner, uint64_t status) {
  File& file = files_[owner];
  file = Fresh();
  file.status = status & ~kTrapBits;
}

int DebugRegisters::Set(Owner owner, unsigned index, uint64_t value) {
  const DebugRegisters before = *this;
  File& file = files_.try_emplace(owner, Fresh()).first->second;
  int status = 0;
  if (index < kSlots) {
    file.address[index] = value;
    status = (value & kUpperHalf) != 0 ? -EINVAL : Place();
  } else if (index == kControl) {
    file.control = value;
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      if (IsEnabled(value, slot) && IsPortAccess(ConditionOf(value, slot))) status = -EINVAL;
    }
    if (status == 0) status = Place();
  } else if (index == kStatus) {
    file.status = value;
  } else {
    status = -EIO;  // 4 and 5 are no registers of their own
  }
  if (status != 0) *this = before;
  return status;
}

int DebugRegisters::Get(Owner owner, unsigned index, uint64_t* value) const {
  if (index >= kRegisters) return -EIO;
  const auto found = files_.find(owner);
  const File file = found != files_.end() ? found->second : Fresh();
  *value = index < kSlots      ? file.address[index]
           : index == kStatus  ? file.status
           : index == kControl ? file.control
                               : 0;
  return 0;
}

void DebugRegisters::Drop(Owner owner) {
  files_.erase(owner);
  Place();  // fewer than before, of which there was room for all
}

// Finds a place for everything that is enabled: that of its own number where it is free, so that one owner
// alone has the registers that it wrote.
int DebugRegisters::Place() {
  physical_ = Physical{};
  for (auto& [owner, file] : files_) {
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      if (!IsEnabled(file.control, slot)) continue;
      const uint64_t address = file.address[slot];
      const uint8_t condition = ConditionOf(file.control, slot);
      const auto fits = [&](unsigned place) {
        return physical_.enabled[place] && physical_.address[place] == address &&
               physical_.condition[place] == condition;
      };
      unsigned place = 0;
      while (place < kSlots && !fits(place)) ++place;
      if (place == kSlots) {
        place = slot;
        if (physical_.enabled[place]) {
          place = 0;
          while (place < kSlots && physical_.enabled[place]) ++place;
        }
      }
      if (place == kSlots) return -ENOSPC;
      physical_.enabled[place] = true;
      physical_.address[place] = address;
      physical_.condition[place] = condition;
      file.place[slot] = static_cast<uint8_t>(place);
    }
  }
  return 0;
}

std::vector<DebugRegisters::Owner> DebugRegisters::NoteTrap(uint64_t status) {
  std::vector<Owner> owners;
  for (auto& [owner, file] : files_) {
    uint64_t own = 0;
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      const bool met = IsEnabled(file.control, slot) && (status >> file.place[slot] & 1) != 0;
      if (met) own |= uint64_t{1} << slot;
    }
    file.status = (status & ~kTrapBits) | own;
    if (own != 0) owners.push_back(owner);
  }
  return owners;
}

std::vector<DebugWrite> DebugWrites(const Physical& from, const Physical& to) {
  if (from == to) return {};
  std::vector<DebugWrite> writes;
  // An address is checked against its register's condition as long as that is enabled: first without.
  Physical same = from;
  for (unsigned slot = 0; slot < DebugRegisters::kSlots; ++slot) {
    const bool stays = to.enabled[slot] && to.address[slot] == from.address[slot] &&
                       to.condition[slot] == from.condition[slot];
    if (!stays) same.enabled[slot] = false;
  }
  if (!(same == from)) writes.push_back({DebugRegisterOffset(kControl), ControlOf(same)});
  for (unsigned slot = 0; slot < DebugRegisters::kSlots; ++slot) {
    if (to.address[slot] != from.address[slot]) {
      writes.push_back({DebugRegisterOffset(slot), to.address[slot]});
    }
  }
  if (ControlOf(to) != ControlOf(same)) {
    writes.push_back({DebugRegisterOffset(kControl), ControlOf(to)});
  }
  return writes;
}

}  // namespace utrace::arch
