// World: all tracers and tracees of one server, under one lock.
#ifndef ENGINES_PTRACE_COMPAT_WORLD_H_
#define ENGINES_PTRACE_COMPAT_WORLD_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/engine.h"
#include "engines/ptrace_compat/emulation.h"
#include "engines/ptrace_compat/host_requests.h"
#include "engines/ptrace_compat/link.h"
#include "engines/ptrace_compat/tracer.h"
#include "engines/ptrace_compat/watcher.h"

namespace utrace::ptrace_compat {

class AddressSpace;
class Tracee;
using Lock = std::unique_lock<std::mutex>;

class World {
 public:
  World(HostRequests& host, Emulation::MakeOwner make_owner);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- Any thread, without the lock; emulation.h. ----
  void Serve(int socket, const wire::Hello& hello, uint64_t arrival);
  bool Idle();
  void EndAll();
  std::vector<pid_t> TracersOf(pid_t tid);

  // ---- With the lock. ----

  // The link of `tracer` on thread `tid`; null if there is none.
  static Link* Find(Tracer& tracer, pid_t tid);
  // A new link on `tracee`, behind those that are there.
  std::shared_ptr<Link> Connect(Tracer& tracer, const std::shared_ptr<Tracee>& tracee, bool seized,
                                uint32_t options);
  // The link's tracer has it no longer.
  void Drop(Link& link);
  // It has a new id: after an exec.
  void Rekey(Link& link, pid_t tid);
  // Something happened to the link that a wait can tell: with this status.
  void Tell(Link& link, int status);
  // A group's stop was ended; told where WCONTINUED was asked for.
  void TellContinued(Link& link);
  // The memory of a task's process; with or without the lock.
  static std::shared_ptr<AddressSpace> MakeSpace(TaskView task);
  std::shared_ptr<Tracee> FindTracee(TaskView task);
  // The tracees of a process.
  std::vector<std::shared_ptr<Tracee>> TraceesOf(pid_t tgid);
  void AddTracee(TaskView task, const std::shared_ptr<Tracee>& tracee);
  // It leaves its task, or that is dead: soon it cannot be controlled any more.
  void RemoveTracee(TaskView task);
  // Calls the tracee's Trap, on another thread: in a callback of one task no other can be made to stop.
  void TrapSoon(const std::shared_ptr<Tracee>& tracee);
  // A leader that is dead before its threads: calls its GroupIsDead when they are, too.
  void WatchGroup(const std::shared_ptr<Tracee>& tracee);

  HostRequests& host;
  std::mutex mutex;

 private:
  friend class Requests;

  // Thread `tid` of process `pid` as a tracer, made if it is none yet; null if it is gone, or has a later
  // connection. `connection` is null for one that has not connected yet, whose child called PTRACE_TRACEME.
  std::shared_ptr<Tracer> Enter(Lock& lock, pid_t pid, pid_t tid,
                                const std::shared_ptr<Connection>& connection);
  // The thread is gone, or leaves: then it said so by connection `by`, which has to be its latest.
  void Ended(const std::shared_ptr<Tracer>& tracer, const Connection* by);
  void Forget(const std::shared_ptr<Tracer>& tracer);
  void EndLinks(Lock& lock, Tracer& tracer);

  // waiting.cc
  void Wait(Tracer& tracer, const wire::WaitRequest& request);
  void Cancel(Tracer& tracer, uint64_t serial);
  bool Matches(const Tracer& waiter, const wire::WaitRequest& request, const Link& link,
               bool* event) const;
  Link* Search(const Tracer& waiter, const wire::WaitRequest& request, bool* any) const;
  static bool IsQuiet(const TracerProcess& process);
  void Answer(Tracer& waiter, const wire::WaitRequest& request, wire::WaitOutcome outcome,
              Link* link);
  void Offer(Link& link);
  static bool IsStanding(const Link& link);
  void EndStanding(Tracer& tracer);
  void LookForLost(TracerProcess& process);
  void SendSigchld(const Link& link);

  const Emulation::MakeOwner make_owner_;
  // ---- Guarded by mutex. ----
  std::unordered_map<pid_t, std::shared_ptr<Tracer>> tracers_;  // by thread id
  std::unordered_map<pid_t, std::shared_ptr<TracerProcess>> processes_;
  std::unordered_map<utrace_task*, std::shared_ptr<Tracee>> tracees_;
  std::vector<std::weak_ptr<Tracee>> all_tracees_;  // those that have left their task included
  uint64_t last_link_ = 0;
  uint64_t last_event_ = 0;
  bool closing_ = false;
  // Last, so that its thread ends before what it calls is gone.
  Watcher watcher_;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_WORLD_H_
