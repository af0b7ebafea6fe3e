// Descriptors of the host: those that it holds for a moment, to look at something in /proc, and those that it keeps.
#ifndef CORE_LINUX_BRIEF_FD_H_
#define CORE_LINUX_BRIEF_FD_H_

#include <functional>
#include <mutex>

#include "core/linux/fd.h"

namespace utrace::linux_host {

// What a tracer does next to a thread depends on what /proc says of it: a process that has used up its descriptors
// would leave tracees stopped. So one is kept in reserve. Whoever gets it has it alone; keep it for one look only,
// and open no other one meanwhile. Any thread.
class BriefFd {
 public:
  // `open` gives a descriptor, or -1 and errno.
  explicit BriefFd(const std::function<int()>& open);
  ~BriefFd();
  BriefFd(const BriefFd&) = delete;
  BriefFd& operator=(const BriefFd&) = delete;

  // Sets the reserve aside. Once, early.
  static void Reserve();
  // The host opens what it keeps by this, so that it does not itself take a reserve that is in use.
  static Fd Keep(const std::function<int()>& open);

  bool valid() const { return fd_.valid(); }
  int get() const { return fd_.get(); }
  // Gives it to the caller, who closes it before this goes.
  int Release() { return fd_.Release(); }

 private:
  Fd fd_;
  std::unique_lock<std::mutex> reserve_;  // owned: this is the reserve's descriptor
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_BRIEF_FD_H_
