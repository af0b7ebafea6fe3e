#include "engines/ptrace_compat/address_space.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

namespace utrace::ptrace_compat {
namespace {

// A word is what a debugger changes one byte of where it has no smaller write.
constexpr size_t kWord = sizeof(long);

}  // namespace

AddressSpace::~AddressSpace() {
  if (memory_ >= 0) close(memory_);
}

// The descriptor, or a negative errno.
int AddressSpace::Memory() {
  if (memory_ >= 0) return memory_;
  const std::string path = "/proc/" + std::to_string(tid_) + "/mem";
  memory_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
  return memory_ >= 0 ? memory_ : -errno;
}

// Reads what is there.
ssize_t AddressSpace::Transfer(uint64_t address, std::span<std::byte> bytes) {
  const int memory = Memory();
  if (memory < 0) return memory;
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count =
        pread(memory, bytes.data() + done, bytes.size() - done, static_cast<off_t>(address + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && done == 0) return -errno;
    if (count <= 0) break;
    done += static_cast<size_t>(count);
  }
  // Nothing at all: the process is gone.
  return done == 0 && !bytes.empty() ? -EIO : static_cast<ssize_t>(done);
}

bool AddressSpace::Put(uint64_t address, std::byte value) {
  const int memory = Memory();
  return memory >= 0 && pwrite(memory, &value, 1, static_cast<off_t>(address)) == 1;
}

std::byte AddressSpace::ViewOf(pid_t tracer, uint64_t address, std::byte actual) const {
  const auto found = breakpoints_.find(address);
  if (found == breakpoints_.end() || found->second.owners.empty()) return actual;
  return found->second.owners.count(tracer) != 0 ? actual : found->second.original;
}

ssize_t AddressSpace::Read(pid_t tracer, uint64_t address, std::span<std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  const ssize_t count = Transfer(address, bytes);
  if (count <= 0) return count;
  const uint64_t end = address + static_cast<uint64_t>(count);
  for (auto it = breakpoints_.lower_bound(address); it != breakpoints_.end() && it->first < end;
       ++it) {
    std::byte& shown = bytes[it->first - address];
    shown = ViewOf(tracer, it->first, shown);
  }
  return count;
}

// `actual` is what the memory holds. False if it cannot be written.
bool AddressSpace::WriteOne(pid_t tracer, uint64_t address, std::byte value, std::byte actual,
                            bool as_breakpoint) {
  const auto found = breakpoints_.find(address);
  const bool present = found != breakpoints_.end() && !found->second.owners.empty();
  if (as_breakpoint) {
    Breakpoint& breakpoint = breakpoints_[address];
    if (!present) breakpoint.original = actual;
    breakpoint.owners.insert(tracer);
    breakpoint.last_owner = tracer;
    if (present || Put(address, value)) return true;
    breakpoints_.erase(address);
    return false;
  }
  if (!present) return Put(address, value);
  Breakpoint& breakpoint = found->second;
  if (value == static_cast<std::byte>(breakpoint_) && breakpoint.owners.count(tracer) != 0) {
    return true;
  }
  breakpoint.original = value;
  if (breakpoint.owners.erase(tracer) != 0) breakpoint.last_owner = tracer;
  // The others' breakpoint stays over what was written.
  return !breakpoint.owners.empty() || Put(address, value);
}

ssize_t AddressSpace::Write(pid_t tracer, uint64_t address, std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  const int memory = Memory();
  if (memory < 0) return memory;
  const auto end = [&] { return breakpoints_.lower_bound(address + bytes.size()); };
  const bool over_breakpoints = breakpoints_.lower_bound(address) != end();
  if (bytes.size() > kWord && !over_breakpoints) {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = pwrite(memory, bytes.data() + done, bytes.size() - done,
                                   static_cast<off_t>(address + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && done == 0) return -errno;
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    return static_cast<ssize_t>(done);
  }
  std::vector<std::byte> actual(bytes.size());
  const ssize_t there = Transfer(address, actual);
  if (there < 0) return there;
  const auto size = static_cast<size_t>(there);
  // The instruction in the place of one other byte; a longer change is data.
  size_t changed = 0;
  size_t changed_at = 0;
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] == ViewOf(tracer, address + i, actual[i])) continue;
    ++changed;
    changed_at = i;
  }
  const bool sets_breakpoint = breakpoint_ >= 0 && changed == 1 && bytes.size() <= kWord &&
                               bytes[changed_at] == static_cast<std::byte>(breakpoint_);
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] == ViewOf(tracer, address + i, actual[i])) continue;
    if (!WriteOne(tracer, address + i, bytes[i], actual[i], sets_breakpoint)) {
      return i == 0 ? -EIO : static_cast<ssize_t>(i);
    }
  }
  return there;
}

std::set<pid_t> AddressSpace::OwnersAt(uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto found = breakpoints_.find(address);
  if (found == breakpoints_.end()) return {};
  if (!found->second.owners.empty()) return found->second.owners;
  // Run before it was taken away, reported after.
  std::byte now{};
  const bool still_there =
      Transfer(address, std::span(&now, 1)) == 1 && now == static_cast<std::byte>(breakpoint_);
  if (still_there) return {};  // then it is the program's own
  return {found->second.last_owner};
}

bool AddressSpace::HasBreakpoint(uint64_t address) {
  const std::lock_guard lock(mutex_);
  const auto found = breakpoints_.find(address);
  return found != breakpoints_.end() && !found->second.owners.empty();
}

bool AddressSpace::HasTrapsOf(pid_t tracer) {
  const std::lock_guard lock(mutex_);
  return std::any_of(breakpoints_.begin(), breakpoints_.end(), [&](const auto& entry) {
    return entry.second.last_owner == tracer || entry.second.owners.count(tracer) != 0;
  });
}

void AddressSpace::Forget(pid_t tracer) {
  const std::lock_guard lock(mutex_);
  for (auto& [address, breakpoint] : breakpoints_) {
    if (breakpoint.owners.erase(tracer) == 0) continue;
    breakpoint.last_owner = tracer;
    if (breakpoint.owners.empty()) Put(address, breakpoint.original);
  }
}

void AddressSpace::CopyTo(AddressSpace& copy) {
  const std::scoped_lock lock(mutex_, copy.mutex_);
  copy.breakpoints_ = breakpoints_;
}

}  // namespace utrace::ptrace_compat
