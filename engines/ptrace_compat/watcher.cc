#include "engines/ptrace_compat/watcher.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace utrace::ptrace_compat {
namespace {

constexpr uint64_t kStop = 0;  // no entry's name

int OrThrow(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

}  // namespace

Watcher::Watcher()
    : epoll_(OrThrow(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      stop_(OrThrow(eventfd(0, EFD_CLOEXEC), "eventfd")) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kStop;
  OrThrow(epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &event), "epoll_ctl");
  thread_ = std::thread([this] { Run(); });
}

Watcher::~Watcher() {
  const uint64_t one = 1;
  // An eventfd that counts to one does not fail.
  [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof(one));
  thread_.join();
  close(stop_);
  close(epoll_);
}

uint64_t Watcher::Add(int fd, uint32_t events, Ready ready) {
  const std::lock_guard lock(mutex_);
  const uint64_t name = ++last_name_;
  epoll_event event{};
  event.events = events | EPOLLONESHOT;
  event.data.u64 = name;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) return 0;
  entries_.emplace(name, Entry{fd, std::move(ready)});
  return name;
}

void Watcher::Remove(uint64_t name) {
  Entry removed;  // destroyed without the lock: it may hold the last reference to anything
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, found->second.fd, nullptr);
  removed = std::move(found->second);
  entries_.erase(found);
}

void Watcher::Run() {
  for (;;) {
    epoll_event event{};
    const int count = epoll_wait(epoll_, &event, 1, -1);
    if (count < 0 && errno != EINTR) return;  // the descriptor is ours: it cannot fail otherwise
    if (count <= 0) continue;
    if (event.data.u64 == kStop) return;
    Ready ready;
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find(event.data.u64);
      if (found == entries_.end()) continue;
      epoll_ctl(epoll_, EPOLL_CTL_DEL, found->second.fd, nullptr);
      ready = std::move(found->second.ready);
      entries_.erase(found);
    }
    ready();
  }
}

}  // namespace utrace::ptrace_compat
