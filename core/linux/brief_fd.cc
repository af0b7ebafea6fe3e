#include "core/linux/brief_fd.h"

#include <fcntl.h>
#include <sched.h>

#include <atomic>
#include <cerrno>

namespace utrace::linux_host {
namespace {

// A thread of the program that the host is part of may take what was just set free.
constexpr int kAttempts = 1000;

struct TheReserve {
  std::mutex mutex;
  Fd fd;                             // guarded by mutex
  std::atomic<bool> missing = true;  // whether there is none in `fd`
};

// Never destroyed: lanes run until the process ends.
TheReserve& Reserved() {
  static auto* reserve = new TheReserve;
  return *reserve;
}

// With the mutex.
void Refill(TheReserve* reserve) {
  reserve->fd.Reset(open("/", O_PATH | O_CLOEXEC));
  reserve->missing = !reserve->fd.valid();
}

bool IsScarcity(int error) { return error == EMFILE || error == ENFILE; }

}  // namespace

void BriefFd::Reserve() {
  TheReserve& reserve = Reserved();
  const std::lock_guard lock(reserve.mutex);
  if (reserve.missing) Refill(&reserve);
}

Fd BriefFd::Keep(const std::function<int()>& open) {
  TheReserve& reserve = Reserved();
  const std::lock_guard lock(reserve.mutex);
  if (reserve.missing) Refill(&reserve);
  return Fd(open());
}

BriefFd::BriefFd(const std::function<int()>& open) : fd_(open()) {
  if (fd_.valid() || !IsScarcity(errno)) return;
  TheReserve& reserve = Reserved();
  reserve_ = std::unique_lock(reserve.mutex);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    reserve.fd.Reset();
    reserve.missing = true;
    fd_.Reset(open());
    if (fd_.valid() || !IsScarcity(errno)) return;
    sched_yield();
  }
}

BriefFd::~BriefFd() {
  const int error = errno;  // is for the caller to read
  fd_.Reset();
  TheReserve& reserve = Reserved();
  if (reserve_.owns_lock()) {
    Refill(&reserve);
  } else if (reserve.missing) {
    Reserve();
  }
  errno = error;
}

}  // namespace utrace::linux_host
