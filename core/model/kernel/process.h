// A process of the model: what its threads share.
#ifndef CORE_MODEL_KERNEL_PROCESS_H_
#define CORE_MODEL_KERNEL_PROCESS_H_

#include <array>
#include <memory>
#include <vector>

#include "core/model/kernel/address_space.h"
#include "core/model/kernel/pending_signals.h"
#include "core/utrace.h"

namespace utrace::model {

class Thread;
class World;

// All of it belongs to the run's one thread of the operating system: fibers switch only at points,
// and nothing here reaches one.
class Process {
 public:
  // `parent` is null for the first process. The others' group and session are inherited.
  Process(World& world, pid_t pid, Process* parent);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  World& world;
  const pid_t pid;
  Process* parent;  // null: nobody waits for it
  pid_t group;
  pid_t session;
  int exit_signal = SIGCHLD;
  int parent_death_signal = 0;
  std::shared_ptr<AddressSpace> memory;

  // Those that are not reaped, in order of creation.
  std::vector<Thread*> threads;
  Thread* Leader() const;
  size_t Alive() const;  // threads that are not dead

  // ---- Signals
  std::array<utrace_sigaction, kSignals> actions{};
  PendingSignals shared;
  // To the process, or with `only` to that thread of it.
  void Send(const siginfo_t& info, Thread* only);
  // Every thread dies; `status` is the process's wait status unless it ends already.
  void Kill(long status, Thread* except);
  // Whether a signal makes no difference to this process, now.
  bool Ignores(int signal) const;

  // ---- Job control
  bool stopped = false;       // all threads are
  int stop_signal = 0;        // of the stop that is under way or complete
  bool stop_to_tell = false;  // for the parent's wait
  bool continue_to_tell = false;
  bool first_to_continue = false;  // the next thread that runs on tells the parent
  void BeginStop(int signal);
  // All live threads stopped: the parent is told. Whether that is so now.
  bool CompleteStop();
  bool IsOrphaned() const;

  // ---- End
  bool ending = false;  // as a whole: `status` is decided
  long status = 0;
  bool finished = false;         // all threads are dead
  bool reaps_itself = false;     // decided when it finished
  bool released_parent = false;  // vfork: its parent goes on
  // A child's change; SIGCHLD if it is wanted.
  void TellParent(int code, int value);
  // Whether it needs no wait of its parent.
  bool ReapsItself() const;

 private:
  void Continue();
  void NotifySomeThread(int signal);
};

}  // namespace utrace::model

#endif  // CORE_MODEL_KERNEL_PROCESS_H_
