// wait*: what can be waited for, and who waits.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "engines/ptrace_compat/tracee.h"
#include "engines/ptrace_compat/world.h"

namespace utrace::ptrace_compat {
namespace {

constexpr int kContinuedStatus = 0xffff;
// Of one thread, which natively has one; signal handlers may add theirs.
constexpr size_t kMostWaits = 64;

pid_t ParentOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  // After the name: a blank, the state, a blank.
  return static_cast<pid_t>(
      strtol(text.c_str() + std::min(name_end + 4, text.size()), nullptr, 10));
}

bool IsRing(const PendingWait& wait) { return (wait.request.header.flags & wire::kRing) != 0; }

bool Stands(const PendingWait& wait) { return (wait.request.header.flags & wire::kStanding) != 0; }

// si_code and si_status of SIGCHLD for a wait status.
void Explain(int status, bool by_job_control, siginfo_t& info) {
  if (WIFEXITED(status)) {
    info.si_errno = CLD_EXITED;
    info.si_status = WEXITSTATUS(status);
  } else if (WIFSIGNALED(status)) {
    info.si_errno = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
    info.si_status = WTERMSIG(status);
  } else {
    info.si_errno = by_job_control ? CLD_STOPPED : CLD_TRAPPED;
    info.si_status = (status >> 8) & 0x7f;
  }
}

}  // namespace

// ---- Telling ----------------------------------------------------------------------------------------

void World::Tell(Link& link, int status) {
  link.status = status;
  link.unreported = true;
  link.event_number = ++last_event_;
  if (link.state == Link::State::kDead) {
    // The kernel tells a real parent by itself.
    link.reap_natively = link.tid == link.tgid && ParentOf(link.tid) == link.tracer->process->pid;
  }
  // Whoever has seen the signal finds what it tells of: that must be on its way, or under this lock.
  const bool standing = IsStanding(link);
  if (standing) Offer(link);
  if (!link.reap_natively) SendSigchld(link);
  if (!standing) Offer(link);
}

void World::TellContinued(Link& link) {
  link.continued = true;
  Offer(link);
}

void World::SendSigchld(const Link& link) {
  const TracerProcess& process = *link.tracer->process;
  if ((process.sigchld & wire::kSigchldIgnored) != 0) return;
  const bool stop = WIFSTOPPED(link.status);
  if (stop && (process.sigchld & wire::kNoCldStop) != 0) return;
  siginfo_t info{};
  info.si_signo = SIGCHLD;
  info.si_code = wire::kSigchldCode;
  info.si_pid = link.tid;
  info.si_uid = OwnUid();
  Explain(link.status, link.stop.is_event_stop() || !link.stop.has_info, info);
  // Fails if the process is gone, or the user's queue of signals is full: the kernel drops a SIGCHLD in
  // such a case, too.
  syscall(SYS_rt_sigqueueinfo, process.pid, SIGCHLD, &info);
}

// ---- Matching ---------------------------------------------------------------------------------------

// Whether the wait is for the link; *event: and there is something to tell.
bool World::Matches(const Tracer& waiter, const wire::WaitRequest& request, const Link& link,
                    bool* event) const {
  *event = false;
  if ((request.options & __WNOTHREAD) != 0 && link.tracer != &waiter) return false;
  switch (request.id_type) {
    case P_ALL:
      break;
    case P_PID:
      if (request.id != link.tid) return false;
      break;
    case P_PGID: {
      const pid_t group = request.id != 0 ? request.id : getpgid(waiter.process->pid);
      if (getpgid(link.tgid) != group) return false;
      break;
    }
    default:
      return false;
  }
  // Whoever traces a task may wait for it whatever signal it sends its parent, and for its stops without
  // being asked for them: __WALL, __WCLONE and WSTOPPED change nothing.
  if (link.unreported) *event = link.is_alive() || (request.options & WEXITED) != 0;
  if (link.continued && (request.options & WCONTINUED) != 0) *event = true;
  return true;
}

// The link whose event is the oldest; null if there is none. *any: some link matches at all.
Link* World::Search(const Tracer& waiter, const wire::WaitRequest& request, bool* any) const {
  Link* oldest = nullptr;
  *any = false;
  for (const auto& thread : waiter.process->threads) {
    for (const auto& [_, link] : thread->links) {
      bool event = false;
      if (!Matches(waiter, request, *link, &event)) continue;
      *any = true;
      if (!event) continue;
      if (oldest == nullptr || link->event_number < oldest->event_number) oldest = link.get();
    }
  }
  return oldest;
}

// Whether nothing can happen to the process's tracees but death. That one was continued may still be told
// of, to who asks for that.
bool World::IsQuiet(const TracerProcess& process) {
  for (const auto& thread : process.threads) {
    for (const auto& [_, link] : thread->links) {
      if (!link->is_stopped() || link->unreported) return false;
    }
  }
  return true;
}

void World::Answer(Tracer& waiter, const wire::WaitRequest& request, wire::WaitOutcome outcome,
                   Link* link) {
  if (waiter.connection == nullptr) return;
  wire::WaitReply reply;
  reply.outcome = outcome;
  const bool keep = (request.options & WNOWAIT) != 0;
  bool drop = false;
  if (outcome == wire::WaitOutcome::kEvent) {
    reply.pid = link->tid;
    reply.tgid = link->tgid;
    reply.uid = OwnUid();
    const bool exits = link->state == Link::State::kDead;
    if (link->unreported) {
      reply.status = link->status;
      reply.reap_natively = exits && link->reap_natively ? 1 : 0;
      if (!keep) link->unreported = false;
      drop = exits && !keep;
    } else {
      reply.status = kContinuedStatus;
      if (!keep) link->continued = false;
    }
    if (link->is_stopped()) {
      const Stop& stop = link->stop;
      reply.stopped = 1;
      reply.quiet = IsQuiet(*waiter.process) ? 1 : 0;
      reply.detail.has_siginfo = stop.has_info ? 1 : 0;
      reply.detail.siginfo = stop.info;
      reply.detail.event_message = stop.message;
      reply.detail.has_syscall_info = stop.syscall_info_size != 0 ? 1 : 0;
      reply.detail.syscall_info_size = static_cast<uint16_t>(stop.syscall_info_size);
      std::memcpy(reply.detail.syscall_info, stop.syscall_info.data(), stop.syscall_info_size);
    }
  }
  waiter.connection->Send({.serial = request.header.serial}, std::as_bytes(std::span(&reply, 1)));
  if (!drop) return;
  link->state = Link::State::kGone;
  Drop(*link);
}

// ---- Waiting ----------------------------------------------------------------------------------------

// Somebody waits in such a way for what the link's tracer traces.
bool World::IsStanding(const Link& link) {
  const auto& threads = link.tracer->process->threads;
  return std::any_of(threads.begin(), threads.end(), [](const auto& thread) {
    return std::any_of(thread->waits.begin(), thread->waits.end(), Stands);
  });
}

void World::EndStanding(Tracer& tracer) {
  for (auto it = tracer.waits.begin(); it != tracer.waits.end();) {
    if (!Stands(*it)) {
      ++it;
      continue;
    }
    const wire::WaitRequest request = it->request;
    it = tracer.waits.erase(it);
    Answer(tracer, request, wire::WaitOutcome::kNothing, nullptr);
  }
}

void World::Wait(Tracer& tracer, const wire::WaitRequest& request) {
  for (const auto& thread : tracer.process->threads) {
    if (thread.get() != &tracer) EndStanding(*thread);
  }
  bool any = false;
  Link* link = Search(tracer, request, &any);
  const bool stands = (request.header.flags & wire::kStanding) != 0;
  while (stands && link != nullptr) {
    Answer(tracer, request, wire::WaitOutcome::kEvent, link);
    link = Search(tracer, request, &any);
  }
  if (link != nullptr) {
    Answer(tracer, request, wire::WaitOutcome::kEvent, link);
    return;
  }
  const bool rings = (request.header.flags & wire::kRing) != 0;
  const bool at_once = (request.options & WNOHANG) != 0;
  if (rings || at_once || !any) {
    Answer(tracer, request, any ? wire::WaitOutcome::kNothing : wire::WaitOutcome::kNoTracee,
           nullptr);
  }
  // A child that is none yet may become a tracee (PTRACE_TRACEME): who asks to be rung is told of that.
  if (!any && !rings) return;
  if (rings) std::erase_if(tracer.waits, IsRing);
  if (tracer.waits.size() >= kMostWaits) {
    // One that rings has been answered, and is not held.
    if (!rings && !at_once) {
      tracer.connection->Send({.serial = request.header.serial, .error = EAGAIN});
    }
    return;
  }
  if (rings || !at_once) tracer.waits.push_back({request});
}

void World::Cancel(Tracer& tracer, uint64_t serial) {
  for (auto it = tracer.waits.begin(); it != tracer.waits.end(); ++it) {
    if (it->request.header.serial != serial) continue;
    const wire::WaitRequest request = it->request;
    tracer.waits.erase(it);
    // There was nothing, or it would have been answered. Who is rung has been answered.
    if ((request.header.flags & wire::kRing) == 0) {
      Answer(tracer, request, wire::WaitOutcome::kNothing, nullptr);
    }
    return;
  }
}

// The link has an event: for the first who waits for it, and for all who look without taking it.
void World::Offer(Link& link) {
  const std::shared_ptr<TracerProcess> process = link.tracer->process;
  for (const auto& thread : process->threads) {
    for (auto it = thread->waits.begin(); it != thread->waits.end();) {
      bool event = false;
      if (!Matches(*thread, it->request, link, &event) || !event) {
        ++it;
        continue;
      }
      const wire::WaitRequest request = it->request;
      if (Stands(*it)) {
        Answer(*thread, request, wire::WaitOutcome::kEvent, &link);
        return;
      }
      it = thread->waits.erase(it);
      if ((request.header.flags & wire::kRing) != 0) {
        syscall(SYS_tgkill, process->pid, thread->tid, request.ring);
        continue;
      }
      Answer(*thread, request, wire::WaitOutcome::kEvent, &link);
      if ((request.options & WNOWAIT) == 0) return;
    }
  }
}

// A link is gone: who waited for it alone waits for nothing.
void World::LookForLost(TracerProcess& process) {
  for (const auto& thread : process.threads) {
    for (auto it = thread->waits.begin(); it != thread->waits.end();) {
      bool any = IsRing(*it);
      if (!any) Search(*thread, it->request, &any);
      if (any) {
        ++it;
        continue;
      }
      const wire::WaitRequest request = it->request;
      it = thread->waits.erase(it);
      Answer(*thread, request, wire::WaitOutcome::kNoTracee, nullptr);
    }
  }
}

}  // namespace utrace::ptrace_compat
