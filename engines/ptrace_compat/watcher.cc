#include "engines/ptrace_compat/watcher.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace utrace::ptrace_compat {
namespace {

constexpr uint64_t kWake = 0;  // no entry's name

int OrThrow(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

}  // namespace

Watcher::Watcher()
    : epoll_(OrThrow(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_(OrThrow(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  OrThrow(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event), "epoll_ctl");
  thread_ = std::thread([this] { Run(); });
}

Watcher::~Watcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  Wake();
  thread_.join();
  close(wake_);
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

void Watcher::Post(Ready work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  Wake();
}

void Watcher::Wake() {
  const uint64_t one = 1;
  // Fails only where it is awake anyway.
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

// False: that was all, for ever.
bool Watcher::DoPosted() {
  uint64_t wakes = 0;
  [[maybe_unused]] const ssize_t count = read(wake_, &wakes, sizeof(wakes));
  std::vector<Ready> posted;
  bool stop = false;
  {
    const std::lock_guard lock(mutex_);
    posted = std::move(posted_);
    posted_.clear();
    stop = stop_;
  }
  for (const Ready& work : posted) work();
  return !stop;
}

void Watcher::Run() {
  for (;;) {
    epoll_event event{};
    const int count = epoll_wait(epoll_, &event, 1, -1);
    if (count < 0 && errno != EINTR) return;  // the descriptor is ours: it cannot fail otherwise
    if (count <= 0) continue;
    if (event.data.u64 == kWake) {
      if (!DoPosted()) return;
      continue;
    }
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
