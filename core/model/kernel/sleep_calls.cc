// System calls that wait for time, for bytes, or for a signal, and what is left of them when they are
// interrupted.
#include <linux/futex.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <string>

#include "arch/absent_calls.h"
#include "core/model/kernel/calls.h"
#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"

namespace utrace::model {
namespace {

constexpr int kRestartSys = 512;
constexpr int kRestartNoHand = 514;
constexpr int kRestartBlock = 516;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kMicrosecond = 1'000;

using Slept = Thread::Slept;

bool Never() { return false; }

// A timespec (unit 1) or timeval (unit 1000) at `address`, in ns; kForever for a null pointer.
bool LoadTime(Thread& thread, uint64_t address, int64_t unit, int64_t* nanoseconds) {
  *nanoseconds = kForever;
  if (address == 0) return true;
  std::array<int64_t, 2> time{};
  if (!thread.process->memory->Load(address, &time)) return false;
  *nanoseconds = time[0] * kSecond + time[1] * unit;
  return true;
}

void StoreTime(Thread& thread, uint64_t address, int64_t unit, int64_t nanoseconds) {
  if (address == 0) return;
  const std::array<int64_t, 2> time = {nanoseconds / kSecond, nanoseconds % kSecond / unit};
  thread.process->memory->Store(address, time);
}

int64_t Until(int64_t span) { return span >= kForever - Now() ? kForever : Now() + span; }
int64_t Left(int64_t until) {
  return until == kForever ? kForever : std::max<int64_t>(0, until - Now());
}

// Sleeps to `until`; what is left goes to `left_at` when it is interrupted, and restart_syscall goes
// on from there. `done` is the result when the time is over.
int64_t SleepUntil(Thread& thread, const char* what, int64_t until, int64_t done,
                   uint64_t left_at) {
  if (thread.Sleep(what, Never, Left(until)) == Slept::kTimeout) return done;
  StoreTime(thread, left_at, 1, Left(until));
  thread.restart = [&thread, what, until, done, left_at] {
    return SleepUntil(thread, what, until, done, left_at);
  };
  return -kRestartBlock;
}

int64_t ClockNanosleep(Thread& thread) {
  int64_t time = 0;
  if (!LoadTime(thread, thread.Argument(2), 1, &time)) return -EFAULT;
  if ((thread.Argument(1) & TIMER_ABSTIME) == 0) {
    return SleepUntil(thread, "the end of its sleep", Until(time), 0, thread.Argument(3));
  }
  const Slept slept = thread.Sleep("the end of its sleep", Never, Left(time));
  return slept == Slept::kTimeout ? 0 : -kRestartNoHand;
}

// select, pselect6, ppoll without descriptors: what is left is written into the timeout itself.
int64_t WaitForDescriptors(Thread& thread, uint64_t timeout_at, int64_t unit) {
  int64_t span = 0;
  if (!LoadTime(thread, timeout_at, unit, &span)) return -EFAULT;
  const int64_t until = Until(span);
  const Slept slept = thread.Sleep("its timeout", Never, Left(until));
  if (until != kForever) StoreTime(thread, timeout_at, unit, Left(until));
  return slept == Slept::kTimeout ? 0 : -kRestartNoHand;
}

// Until the word at `address` differs from `expected`; goes on after a restart as SleepUntil does.
int64_t WaitForWord(Thread& thread, uint64_t address, uint32_t expected, int64_t until) {
  const auto changed = [&thread, address, expected] {
    uint32_t word = 0;
    return !thread.process->memory->Load(address, &word) || word != expected;
  };
  switch (thread.Sleep("a futex", changed, Left(until))) {
    case Slept::kReady:
      return 0;
    case Slept::kTimeout:
      return -ETIMEDOUT;
    default:
      break;
  }
  if (until == kForever) return -kRestartSys;
  thread.restart = [&thread, address, expected, until] {
    return WaitForWord(thread, address, expected, until);
  };
  return -kRestartBlock;
}

int64_t Futex(Thread& thread) {
  const uint64_t address = thread.Argument(0);
  const int operation = static_cast<int>(thread.Argument(1)) & FUTEX_CMD_MASK;
  if (operation == FUTEX_WAKE) return 0;
  if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET) return -ENOSYS;
  const auto expected = static_cast<uint32_t>(thread.Argument(2));
  uint32_t word = 0;
  if (!thread.process->memory->Load(address, &word)) return -EFAULT;
  if (word != expected) return -EAGAIN;
  int64_t time = 0;
  if (!LoadTime(thread, thread.Argument(3), 1, &time)) return -EFAULT;
  const int64_t until = operation == FUTEX_WAIT_BITSET ? time : Until(time);
  return WaitForWord(thread, address, expected, until);
}

int64_t Read(Thread& thread) {
  World& world = thread.world();
  for (int slot = 0; slot < UTRACE_TARGET_SLOTS; ++slot) {
    if (world.slot(slot).pipe != static_cast<int>(thread.Argument(0))) continue;
    std::string& pipe = world.channel(slot).pipe;
    const Slept slept = thread.Sleep("bytes from its pipe", [&pipe] { return !pipe.empty(); });
    if (slept != Slept::kReady) return -kRestartSys;
    const size_t count = std::min<size_t>(pipe.size(), thread.Argument(2));
    const ssize_t read = thread.process->memory->Write(thread.Argument(1), pipe.data(), count,
                                                       AddressSpace::By::kProgram);
    if (read > 0) pipe.erase(0, static_cast<size_t>(read));
    return read;
  }
  return -EBADF;
}

int64_t Restart(Thread& thread) {
  if (!thread.restart) return -EINTR;
  const auto restart = thread.restart;
  thread.restart = nullptr;
  return restart();
}

// Milliseconds as poll and epoll_wait take them.
int64_t Milliseconds(uint64_t argument) {
  const auto count = static_cast<int32_t>(argument);
  return count < 0 ? kForever : count * kMillisecond;
}

}  // namespace

bool IsSleepCall(long number) {
  switch (number) {
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_futex:
    case SYS_read:
    case SYS_pause:
    case SYS_restart_syscall:
      return true;
    default:
      return false;
  }
}

int64_t SleepCall(Thread& thread, long number) {
  switch (number) {
    case SYS_nanosleep: {
      int64_t span = 0;
      if (!LoadTime(thread, thread.Argument(0), 1, &span)) return -EFAULT;
      return SleepUntil(thread, "the end of its sleep", Until(span), 0, thread.Argument(1));
    }
    case SYS_clock_nanosleep:
      return ClockNanosleep(thread);
    case SYS_poll:
      if (thread.Argument(1) != 0) return -EFAULT;
      return SleepUntil(thread, "its timeout", Until(Milliseconds(thread.Argument(2))), 0, 0);
    case SYS_ppoll:
      return WaitForDescriptors(thread, thread.Argument(2), 1);
    case SYS_select:
      return WaitForDescriptors(thread, thread.Argument(4), kMicrosecond);
    case SYS_pselect6:
      return WaitForDescriptors(thread, thread.Argument(4), 1);
    case SYS_epoll_wait:
    case SYS_epoll_pwait: {
      const int64_t span = Milliseconds(thread.Argument(3));
      const Slept slept = thread.Sleep("its timeout", Never, span);
      return slept == Slept::kTimeout ? 0 : -EINTR;
    }
    case SYS_futex:
      return Futex(thread);
    case SYS_read:
      return Read(thread);
    case SYS_pause:
      thread.Sleep("a signal", Never);
      return -kRestartNoHand;
    default:
      return Restart(thread);
  }
}

}  // namespace utrace::model
