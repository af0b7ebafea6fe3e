// Newborns whose stop is seen before their maker announces them; and those that nobody announces.
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <utility>

#include "core/linux/linux_host.h"
#include "core/linux/linux_task.h"
#include "core/linux/proc.h"

namespace utrace::linux_host {
namespace {

constexpr int kOwnTracees = __WALL | __WNOTHREAD;

// The flags of the call that made thread `tid`, which has run no instruction yet: its registers are its maker's.
std::optional<uint64_t> FlagsThatMade(pid_t tid) {
  arch::GeneralRegisters registers{};
  if (!GetGeneralRegisters(tid, &registers)) return std::nullopt;
  return arch::CloneFlags(registers, [tid](uint64_t address) -> std::optional<uint64_t> {
    uint64_t value = 0;
    const iovec here{&value, sizeof(value)};
    const iovec there{reinterpret_cast<void*>(address), sizeof(value)};
    if (process_vm_readv(tid, &here, 1, &there, 1, 0) != sizeof(value)) return std::nullopt;
    return value;
  });
}

}  // namespace

void LinuxTask::OnUnknown(Lane& lane, pid_t tid, const siginfo_t& info) {
  if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
    // A newborn that died before its maker announced it.
    lane.unannounced().erase(tid);
    siginfo_t gone{};
    waitid(P_PID, static_cast<id_t>(tid), &gone, WEXITED | WNOHANG | kOwnTracees);
    return;
  }
  const Stop stop = DecodeStop(info.si_status);
  if (stop.kind == StopKind::kExec) {
    // The thread goes by the leader's id from now on.
    unsigned long former = 0;
    ptrace(PTRACE_GETEVENTMSG, tid, nullptr, &former);
    LinuxTask* task = lane.Find(static_cast<pid_t>(former));
    if (task != nullptr) {
      task->core().Ref();
      task->Renamed(tid);
      task->OnStop(info.si_status);
      task->core().Unref();
      return;
    }
  }
  const auto flags = FlagsThatMade(tid);
  lane.unannounced()[tid] = {.stop = info.si_status, .makers = MakersOf(lane, tid, flags)};
  // With CLONE_PTRACE the kernel ties it to us even if its maker's options ask for no event.
  if (flags && (*flags & CLONE_PTRACE) != 0) AskMakers(lane, tid);
}

// The threads that may have made `tid` and are going to announce it.
std::set<pid_t> LinuxTask::MakersOf(Lane& lane, pid_t tid, std::optional<uint64_t> flags) {
  std::set<pid_t> makers;
  if (flags && (*flags & CLONE_UNTRACED) != 0) return makers;
  const auto status = ReadStatus(tid);
  const auto stat = ReadStat(tid);
  if (!status || !stat) return makers;
  const bool may_be_sibling = !flags || (*flags & CLONE_PARENT) != 0;
  for (const LinuxTask* task : lane.Tasks()) {
    // Until its event is looked at, who made it is not in any stop that we know of.
    if (task->place_ != Place::kRunning || (task->options_ & PTRACE_O_TRACECLONE) == 0) continue;
    bool related = task->tgid_ == status->tgid || task->tgid_ == stat->parent;
    if (!related && may_be_sibling) {
      const auto other = ReadStat(task->tid());
      related = other && other->parent == stat->parent;
    }
    if (related) makers.insert(task->tid());
  }
  return makers;
}

// Brings all that may have made `tid` to a stop: the first one after the call is that of its event.
void LinuxTask::AskMakers(Lane& lane, pid_t tid) {
  for (const pid_t maker : lane.unannounced()[tid].makers) {
    if (LinuxTask* const task = lane.Find(maker)) task->Interrupt();
  }
}

void LinuxTask::OnPossibleMaker(Lane& lane, pid_t tid, bool died) {
  for (auto& [newborn, waiting] : lane.unannounced()) {
    if (waiting.makers.erase(tid) != 0 && died) AskMakers(lane, newborn);
  }
}

void LinuxTask::ReleaseOrphans(Lane& lane) {
  auto& unannounced = lane.unannounced();
  for (auto it = unannounced.begin(); it != unannounced.end();) {
    std::erase_if(it->second.makers, [&](pid_t maker) { return lane.Find(maker) == nullptr; });
    if (!it->second.makers.empty()) {
      ++it;
      continue;
    }
    const pid_t tid = it->first;
    ptrace(PTRACE_DETACH, tid, nullptr, nullptr);
    it = unannounced.erase(it);
    if (Task* task = LinuxHost::Get().FindMade(tid)) {
      static_cast<LinuxTask&>(task->host()).Retry();
      task->Unref();
    }
  }
}

}  // namespace utrace::linux_host
