// For starting threads that must take none of the program's signals.
#ifndef CORE_LINUX_ALL_SIGNALS_BLOCKED_H_
#define CORE_LINUX_ALL_SIGNALS_BLOCKED_H_

#include <pthread.h>

#include <csignal>

namespace utrace::linux_host {

// Blocks all signals of the calling thread while it lives; a thread started meanwhile inherits that.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &old_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t old_;
};

}  // namespace utrace::linux_host

#endif  // CORE_LINUX_ALL_SIGNALS_BLOCKED_H_
