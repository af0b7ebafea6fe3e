// Where puppets live: in processes of their own, or in a hosted implementation. What Puppet and Nanny
// say to whoever does it.
#ifndef CONFORMANCE_KIT_PUPPET_HOST_H_
#define CONFORMANCE_KIT_PUPPET_HOST_H_

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/kit/puppet.h"

namespace utrace::kit {

// The images of Op REGISTERS_SPIN and REGISTERS_SYSCALL.
struct RegisterArea {
  uint64_t* go;
  RegisterImage* in;
  RegisterImage* out;
};

// A thread as the host names it.
struct Named {
  pid_t pid = 0;
  pid_t tid = 0;
};

// One world of puppets. Errors of the host's own end the test (Broken).
class PuppetHost {
 public:
  virtual ~PuppetHost() = default;

  // Ends everything; nothing but the destructor is called afterwards.
  virtual void End() = 0;
  // The process that is every puppet's parent.
  virtual pid_t ParentPid() const = 0;

  virtual utrace_target_slot& Slot(int slot) = 0;
  // Where the slot's thread sees it.
  virtual uint64_t SlotAddress(int slot) const = 0;
  virtual const Addresses& addresses() const = 0;
  virtual RegisterArea Registers() = 0;

  // Makes a puppet in that slot, which will say that it is ready. False: it is left to the parent
  // thread, which is told to clone.
  virtual bool Spawn(int slot) = 0;
  virtual void Send(int slot, const puppet::Command& command) = 0;
  // Takes an answer, with `pid` filled in, if there is one; the other waits until there may be one.
  virtual bool Receive(int slot, puppet::Reply* reply) = 0;
  virtual void AwaitReply(int slot, int round, std::chrono::nanoseconds left) = 0;
  virtual void Feed(int slot, std::string_view bytes) = 0;

  // kill and tgkill (tid nonzero) from outside; zero or a negative errno.
  virtual long Signal(Named thread, bool to_thread, const siginfo_t& info) = 0;
  // The state letter of /proc; '-' once it is gone.
  virtual char State(Named thread) const = 0;
  // Whether the thread, in state S or D, sleeps in system call `nr` of its own.
  virtual bool SleepsIn(Named thread, int slot, uint32_t sent, long nr) const = 0;
  // What more can be said about where it is.
  virtual std::string Where(Named thread) const = 0;
  virtual ContextSwitches Switches(Named thread) const = 0;
  virtual pid_t TracerPid(Named thread) const = 0;
  // CLOCK_MONOTONIC as puppets read it.
  virtual int64_t ClockNs() const = 0;
};

// Of this run's implementation.
std::unique_ptr<PuppetHost> MakePuppetHost();
std::unique_ptr<PuppetHost> MakeLivePuppets();
std::unique_ptr<PuppetHost> MakeHostedPuppets();

struct Nanny::State {
  std::unique_ptr<PuppetHost> host;
  int next_slot = 0;
  std::vector<std::unique_ptr<PuppetThread>> threads;  // by order of creation
  PuppetThread* parent = nullptr;
  PuppetThread* waiter = nullptr;

  // A slot that was never used.
  int TakeSlot();
};

}  // namespace utrace::kit

#endif  // CONFORMANCE_KIT_PUPPET_HOST_H_
