// What stands behind Nanny: the shared memory and the kit's ends of channels and pipes.
#ifndef CONFORMANCE_KIT_NANNY_STATE_H_
#define CONFORMANCE_KIT_NANNY_STATE_H_

#include <sys/types.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "conformance/kit/puppet.h"

namespace utrace::kit {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { Reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  int get() const { return fd_; }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

struct Nanny::State {
  pid_t pid = 0;
  Fd control;  // its end of file tells the nanny to end everything
  puppet::Shared* shared = nullptr;
  std::vector<Fd> channels;  // by slot
  std::vector<Fd> pipes;     // write ends, by slot
  int next_slot = 0;
  std::vector<std::unique_ptr<PuppetThread>> threads;  // by order of creation
  PuppetThread* parent = nullptr;
  PuppetThread* waiter = nullptr;

  // A slot that was never used.
  int TakeSlot();
};

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_NANNY_STATE_H_
