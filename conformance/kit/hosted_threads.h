// The kit's threads under the scheduler of a hosted implementation (core/utrace_target.h, part B).
#ifndef CONFORMANCE_KIT_HOSTED_THREADS_H_
#define CONFORMANCE_KIT_HOSTED_THREADS_H_

#include <functional>
#include <mutex>
#include <string>

#include "conformance/kit/target.h"
#include "conformance/kit/threads.h"

namespace utrace::kit {

// One of these threads runs at a time, and another only goes on where one calls the implementation. So
// the kit's mutexes, under which it never does, are always free.
class HostedThreads final : public Threads {
 public:
  explicit HostedThreads(const Target& target) : target_(target) {}

  ThreadId Self() const override;
  void Start(const std::string& name, std::function<void()> body) override;
  Look LookAt(ThreadId thread) override;
  int LooksOfTheBlocked() const override { return 1; }
  void Interrupt(ThreadId thread) override;
  bool Await(std::unique_lock<std::mutex>& lock, Condition& condition,
             const std::function<bool()>& ready, std::chrono::nanoseconds timeout) override;
  void Yield() override;
  void Pause(int round) override;
  std::chrono::nanoseconds Now() const override;
  Ran Run(const std::string& schedule, const std::function<void()>& body) override;

 private:
  const Target& target_;
  bool running_ = false;  // within Run
  long looks_ = 0;
};

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_HOSTED_THREADS_H_
