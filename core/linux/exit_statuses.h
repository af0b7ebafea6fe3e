// Wait statuses of children of this process that a lane reaped, for who started them.
#ifndef CORE_LINUX_EXIT_STATUSES_H_
#define CORE_LINUX_EXIT_STATUSES_H_

#include <sys/types.h>

#include <mutex>
#include <optional>
#include <unordered_map>

namespace utrace::linux_host {

class ExitStatuses {
 public:
  // Keep what the child ends with until Take or Forget. Any thread.
  void Expect(pid_t pid) {
    const std::lock_guard lock(mutex_);
    statuses_[pid] = std::nullopt;
  }
  // Kept only if somebody expects it. Any thread.
  void Record(pid_t pid, int raw_status) {
    const std::lock_guard lock(mutex_);
    const auto found = statuses_.find(pid);
    if (found != statuses_.end()) found->second = raw_status;
  }
  // The raw status, if it was recorded; then it is forgotten. Any thread.
  std::optional<int> Take(pid_t pid) {
    const std::lock_guard lock(mutex_);
    const auto found = statuses_.find(pid);
    if (found == statuses_.end() || !found->second) return std::nullopt;
    const std::optional<int> status = found->second;
    statuses_.erase(found);
    return status;
  }
  void Forget(pid_t pid) {
    const std::lock_guard lock(mutex_);
    statuses_.erase(pid);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<pid_t, std::optional<int>> statuses_;  // guarded by mutex_
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_EXIT_STATUSES_H_
