// Puppets as tasks of a hosted implementation, by its driver (core/utrace_target.h).
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>

#include "conformance/kit/puppet_host.h"
#include "conformance/kit/target.h"
#include "conformance/kit/threads.h"

namespace utrace::kit {
namespace {

class HostedPuppets final : public PuppetHost {
 public:
  explicit HostedPuppets(const Target& target) : target_(target) {
    const int result = target_.utrace_target_begin();
    if (result != 0) Broken("utrace_target_begin gives " + ErrnoName(result));
    const utrace_target_addresses* from = target_.utrace_target_program();
    addresses_.handler = from->handler;
    addresses_.restorer = from->restorer;
    addresses_.memory = from->memory;
    addresses_.read_only = from->read_only;
    addresses_.unmapped = from->unmapped;
    addresses_.entry = from->entry;
    std::ranges::copy(from->step, addresses_.step);
    addresses_.branch_start = from->branch_start;
    std::ranges::copy(from->branch, addresses_.branch);
  }
  ~HostedPuppets() override { End(); }

  void End() override {
    if (!ended_) target_.utrace_target_end();
    ended_ = true;
  }
  pid_t ParentPid() const override { return target_.utrace_target_parent(); }

  utrace_target_slot& Slot(int slot) override {
    return *target_.utrace_target_slot_memory(Number(slot));
  }
  uint64_t SlotAddress(int slot) const override {
    return target_.utrace_target_slot_address(Number(slot));
  }
  const Addresses& addresses() const override { return addresses_; }
  // The driver has no way to pass the images.
  RegisterArea Registers() override { NotApplicable("registers"); }

  bool Spawn(int slot) override {
    const int result = target_.utrace_target_spawn(Number(slot));
    if (result != 0) Broken("utrace_target_spawn gives " + ErrnoName(result));
    return true;
  }

  void Send(int slot, const puppet::Command& command) override {
    const int result = target_.utrace_target_send(Number(slot), &command);
    if (result != 0) StepFailed(CurrentStep() + ": cannot send: " + ErrnoName(result));
  }

  bool Receive(int slot, puppet::Reply* reply) override {
    return target_.utrace_target_receive(Number(slot), reply) == 1;
  }

  void AwaitReply(int, int round, std::chrono::nanoseconds) override { TheThreads().Pause(round); }

  void Feed(int slot, std::string_view bytes) override {
    const int result = target_.utrace_target_feed(Number(slot), bytes.data(), bytes.size());
    if (result != 0) Broken("utrace_target_feed gives " + ErrnoName(result));
  }

  long Signal(Named thread, bool to_thread, const siginfo_t& info) override {
    return target_.utrace_target_kill(to_thread ? thread.tid : thread.pid, to_thread ? 1 : 0,
                                      &info);
  }

  char State(Named thread) const override {
    const int state = target_.utrace_target_state(thread.tid);
    return state == -ESRCH ? '-' : static_cast<char>(state);
  }

  // The driver does not tell the call, but what the thread was told to do says it.
  bool SleepsIn(Named, int slot, uint32_t sent, long nr) const override {
    const utrace_target_slot& shared = *target_.utrace_target_slot_memory(Number(slot));
    const uint32_t started = __atomic_load_n(&shared.started, __ATOMIC_SEQ_CST);
    const uint32_t done = __atomic_load_n(&shared.done, __ATOMIC_SEQ_CST);
    return nr == SYS_recvfrom ? done == sent : started == sent && done != sent;
  }

  std::string Where(Named thread) const override {
    return std::string("task ") + std::to_string(thread.tid);
  }
  ContextSwitches Switches(Named) const override { NotApplicable("live"); }
  pid_t TracerPid(Named) const override { NotApplicable("live"); }

  int64_t ClockNs() const override {
    if (target_.schedules) return target_.utrace_target_now();
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
  }

 private:
  static unsigned Number(int slot) { return static_cast<unsigned>(slot); }

  const Target& target_;
  Addresses addresses_ = {};
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<PuppetHost> MakeHostedPuppets() {
  return std::make_unique<HostedPuppets>(*TheTarget());
}

}  // namespace utrace::kit
