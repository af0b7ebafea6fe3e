// Watcher: a thread that waits until descriptors are ready.
#ifndef ENGINES_PTRACE_COMPAT_WATCHER_H_
#define ENGINES_PTRACE_COMPAT_WATCHER_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace utrace::ptrace_compat {

class Watcher {
 public:
  using Ready = std::function<void()>;

  // Throws std::system_error if the kernel refuses it a descriptor or a thread.
  Watcher();
  // Does what was posted, and ends the thread. Not in a Ready.
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Calls `ready` once, on the watcher's thread, when `fd` has one of `events` (EPOLLIN, EPOLLOUT) or is
  // hung up. Borrows `fd`: it must stay open until `ready` is called or Remove has returned. `ready` must
  // not block for long. Any thread. Returns a name for Remove, never zero; zero if the kernel refuses.
  uint64_t Add(int fd, uint32_t events, Ready ready);
  // Afterwards the call named so will not begin; it may be running. Any thread; zero is ignored.
  void Remove(uint64_t name);
  // Calls `work` once, on the watcher's thread, soon, and destroys it there: for what a caller cannot do where
  // it is. It must not block for long. Any thread.
  void Post(Ready work);

 private:
  struct Entry {
    int fd = -1;
    Ready ready;
  };

  void Run();
  void Wake();
  bool DoPosted();

  const int epoll_;
  const int wake_;  // an eventfd
  std::mutex mutex_;
  // ---- Guarded by mutex_. ----
  std::unordered_map<uint64_t, Entry> entries_;
  uint64_t last_name_ = 0;
  std::vector<Ready> posted_;
  bool stop_ = false;
  // ---- ----
  std::thread thread_;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_WATCHER_H_
