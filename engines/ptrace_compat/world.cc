// Who is there: tracers that come and go, links, tracees.
#include "engines/ptrace_compat/world.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "core/machine.h"
#include "engines/ptrace_compat/address_space.h"
#include "engines/ptrace_compat/tracee.h"

namespace utrace::ptrace_compat {
namespace {

// Of thread `tid`; of its process where the kernel has no others (before Linux 6.9).
int OpenPidfd(pid_t tid, pid_t pid) {
  constexpr unsigned kPidfdThread = O_EXCL;
  const long fd = syscall(SYS_pidfd_open, tid, kPidfdThread);
  return static_cast<int>(fd >= 0 ? fd : syscall(SYS_pidfd_open, pid, 0));
}

int BreakpointOf(TaskView task) {
  constexpr int kInt3 = 0xcc;
  const utrace_regset_view* view = utrace_task_regset_view(task.get());
  return view != nullptr && view->elf_machine == EM_X86_64 ? kInt3 : -1;
}

}  // namespace

World::World(HostRequests& requests, Emulation::MakeOwner make_owner)
    : host(requests), make_owner_(std::move(make_owner)) {}

World::~World() {
  EndAll();
  std::vector<std::shared_ptr<Tracee>> left;
  {
    const Lock lock(mutex);
    for (const auto& [_, tracee] : tracees_) left.push_back(tracee);
  }
  for (const auto& tracee : left) tracee->DetachEverywhere();
  // What ended before: their callbacks may still run.
  std::vector<std::weak_ptr<Tracee>> all;
  {
    const Lock lock(mutex);
    all = std::move(all_tracees_);
  }
  for (const auto& weak : all) {
    const auto tracee = weak.lock();
    if (tracee == nullptr) continue;
    tracee->DetachEverywhere();
    tracee->GiveUpControl();
  }
}

bool World::Idle() {
  const Lock lock(mutex);
  return tracers_.empty() && tracees_.empty();
}

std::vector<pid_t> World::TracersOf(pid_t tid) {
  std::map<uint64_t, pid_t> found;
  const Lock lock(mutex);
  for (const auto& [_, tracer] : tracers_) {
    const Link* const link = Find(*tracer, tid);
    if (link != nullptr && link->is_alive()) found.emplace(link->id, tracer->process->pid);
  }
  std::vector<pid_t> tracers;
  for (const auto& [_, pid] : found) tracers.push_back(pid);
  return tracers;
}

// ---- Tracers ----------------------------------------------------------------------------------------

std::shared_ptr<Tracer> World::Enter(Lock& lock, pid_t pid, pid_t tid,
                                     const std::shared_ptr<Connection>& connection) {
  const auto find = [&]() -> std::shared_ptr<Tracer> {
    const auto found = tracers_.find(tid);
    return found != tracers_.end() && !found->second->ended ? found->second : nullptr;
  };
  std::shared_ptr<Tracer> tracer = find();
  if (tracer == nullptr) {
    lock.unlock();
    auto made = std::make_shared<Tracer>();
    made->tid = tid;
    made->pidfd = OpenPidfd(tid, pid);
    made->owner = make_owner_ ? make_owner_(pid) : nullptr;
    lock.lock();
    tracer = find();
    if (tracer == nullptr && made->pidfd >= 0 && !closing_) {
      auto& process = processes_[pid];
      if (process == nullptr) {
        process = std::make_shared<TracerProcess>();
        process->pid = pid;
      }
      made->process = process;
      process->threads.push_back(made);
      tracers_[tid] = made;
      made->watch = watcher_.Add(made->pidfd, EPOLLIN, [this, made] { Ended(made, nullptr); });
      tracer = made;
    } else if (made->pidfd >= 0) {
      close(made->pidfd);
    }
  }
  if (tracer != nullptr && connection != nullptr) {
    // The one before belonged to the program that this thread ran before its exec.
    if (tracer->connection != nullptr) {
      if (tracer->connection->arrival() > connection->arrival()) return nullptr;
      tracer->connection->ShutDown();
    }
    tracer->connection = connection;
    tracer->waits.clear();
    tracer->process->sigchld = 0;
  }
  return tracer;
}

void World::Ended(const std::shared_ptr<Tracer>& tracer, const Connection* by) {
  Lock lock(mutex);
  if (tracer->ended) return;
  if (by != nullptr && tracer->connection.get() != by) return;
  tracer->ended = true;
  EndLinks(lock, *tracer);
  if (tracer->connection != nullptr) tracer->connection->ShutDown();
  tracer->connection = nullptr;
  Forget(tracer);
}

void World::EndLinks(Lock& lock, Tracer& tracer) {
  // First of all what all threads of a tracee run into: one that is let go must not die of it.
  for (const auto& [_, link] : tracer.links) {
    if (link->is_alive()) link->tracee->ForgetBreakpoints(tracer);
  }
  while (!tracer.links.empty()) {
    const std::shared_ptr<Link> link = tracer.links.begin()->second;
    if (!link->is_alive()) {
      // Also of a leader that is dead before its threads: whoever tells of it finds it gone.
      link->state = Link::State::kGone;
      Drop(*link);
      continue;
    }
    constexpr uint32_t kExitKill = 1U << 20;
    if ((link->options & kExitKill) != 0) {
      syscall(SYS_tgkill, link->tgid, link->tid, SIGKILL);
    }
    const std::shared_ptr<Tracee> tracee = link->tracee;
    tracee->Settle(lock);
    if (link->is_alive()) tracee->LeaveUnasked(lock, *link);
  }
}

void World::Forget(const std::shared_ptr<Tracer>& tracer) {
  watcher_.Remove(std::exchange(tracer->watch, 0));
  if (tracer->pidfd >= 0) close(std::exchange(tracer->pidfd, -1));
  const auto found = tracers_.find(tracer->tid);
  if (found != tracers_.end() && found->second == tracer) tracers_.erase(found);
  auto& threads = tracer->process->threads;
  threads.erase(std::remove(threads.begin(), threads.end(), tracer), threads.end());
  if (threads.empty()) {
    processes_.erase(tracer->process->pid);
  } else {
    LookForLost(*tracer->process);
  }
}

void World::EndAll() {
  std::vector<std::shared_ptr<Tracer>> all;
  {
    const Lock lock(mutex);
    closing_ = true;
    for (const auto& [_, tracer] : tracers_) all.push_back(tracer);
  }
  for (const auto& tracer : all) Ended(tracer, nullptr);
}

// ---- Links ------------------------------------------------------------------------------------------

Link* World::Find(Tracer& tracer, pid_t tid) {
  const auto found = tracer.links.find(tid);
  return found != tracer.links.end() ? found->second.get() : nullptr;
}

std::shared_ptr<Link> World::Connect(Tracer& tracer, const std::shared_ptr<Tracee>& tracee,
                                     bool seized, uint32_t options) {
  auto link = std::make_shared<Link>();
  link->id = ++last_link_;
  link->tracer = &tracer;
  link->tracee = tracee;
  link->tid = tracee->task().tid();
  link->tgid = tracee->task().tgid();
  link->seized = seized;
  link->options = options;
  tracer.links[link->tid] = link;
  tracee->Add(link);
  return link;
}

void World::Drop(Link& link) {
  Tracer& tracer = *link.tracer;
  const auto found = tracer.links.find(link.tid);
  std::shared_ptr<Link> kept;
  if (found != tracer.links.end() && found->second.get() == &link) {
    kept = found->second;
    tracer.links.erase(found);
  }
  LookForLost(*tracer.process);
}

void World::Rekey(Link& link, pid_t tid) {
  Tracer& tracer = *link.tracer;
  const auto found = tracer.links.find(link.tid);
  if (found == tracer.links.end() || found->second.get() != &link) return;
  const std::shared_ptr<Link> kept = found->second;
  tracer.links.erase(found);
  link.tid = tid;
  tracer.links[tid] = kept;
}

// ---- Tracees ----------------------------------------------------------------------------------------

std::shared_ptr<AddressSpace> World::MakeSpace(TaskView task) {
  return std::make_shared<AddressSpace>(task.tid(), BreakpointOf(task));
}

std::shared_ptr<Tracee> World::FindTracee(TaskView task) {
  const auto found = tracees_.find(task.get());
  return found != tracees_.end() ? found->second : nullptr;
}

std::vector<std::shared_ptr<Tracee>> World::TraceesOf(pid_t tgid) {
  std::vector<std::shared_ptr<Tracee>> found;
  for (const auto& [_, tracee] : tracees_) {
    if (tracee->task().tgid() == tgid) found.push_back(tracee);
  }
  return found;
}

void World::AddTracee(TaskView task, const std::shared_ptr<Tracee>& tracee) {
  tracees_[task.get()] = tracee;
  all_tracees_.erase(std::remove_if(all_tracees_.begin(), all_tracees_.end(),
                                    [](const auto& weak) { return weak.expired(); }),
                     all_tracees_.end());
  all_tracees_.push_back(tracee);
}

void World::RemoveTracee(TaskView task) {
  const auto found = tracees_.find(task.get());
  if (found == tracees_.end()) return;
  // Not here: it may be the last who has the tracee, and the caller is one of its functions.
  watcher_.Post([tracee = std::move(found->second)] { tracee->GiveUpControl(); });
  tracees_.erase(found);
}

void World::TrapSoon(const std::shared_ptr<Tracee>& tracee) {
  watcher_.Post([this, tracee] {
    Lock lock(mutex);
    tracee->Trap(lock);
  });
}

void World::WatchGroup(const std::shared_ptr<Tracee>& tracee) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, tracee->task().tgid(), 0));
  if (fd < 0) return;  // gone: its reaping tells
  const uint64_t name = watcher_.Add(fd, EPOLLIN, [tracee, fd] {
    close(fd);
    tracee->GroupIsDead();
  });
  if (name == 0) close(fd);
}

}  // namespace utrace::ptrace_compat
