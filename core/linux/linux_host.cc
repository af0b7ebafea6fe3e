#include "core/linux/linux_host.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <thread>

#include "core/linux/brief_fd.h"
#include "core/linux/proc.h"

namespace utrace {

Host& TheHost() { return linux_host::LinuxHost::Get(); }

namespace linux_host {
namespace {

constexpr size_t kMostLanes = 8;

constexpr const char* kLimits =
    "LIM-01 after SIGKILL the exit report may be missing\n"
    "LIM-02 a report on a task in user mode, a change of its events and the leaving of its last "
    "engine may interrupt and restart a system call, unnoticed by the program\n"
    "LIM-03 TERM and CORE with a signal whose kernel default is not fatal end the process by "
    "SIGTERM "
    "and SIGQUIT\n"
    "LIM-04 a task with a ptracer outside this process cannot be attached\n"
    "LIM-05 the exit code can be changed only where the thread exits by its own call and some "
    "engine "
    "has SYSCALL_ENTRY enabled\n";
constexpr const char* kNoAlternateStack =
    "NO-CHOSEN-ALTSTACK a handler that an engine chooses runs on the stack in use, whatever its "
    "SA_ONSTACK: ptrace does not tell the alternate stack\n";
constexpr const char* kLateReap =
    "LIM-06 the reap of a task that is not this process's child is seen within 100 ms\n";
constexpr const char* kNoSingleStep = "NO-SINGLESTEP this machine cannot single-step\n";
constexpr const char* kNoBlockStep = "NO-BLOCKSTEP this machine cannot stop at branches only\n";

}  // namespace

LinuxHost& LinuxHost::Get() {
  // Never destroyed: lanes and engines may use it until the process ends.
  static auto* const host = new LinuxHost;
  return *host;
}

LinuxHost::LinuxHost() : features_(Features::Probe()), watcher_(features_.thread_pidfds) {
  BriefFd::Reserve();
}

arch::StepAbilities LinuxHost::Steps() {
  const std::lock_guard lock(probes_mutex_);
  if (!steps_probed_) {
    // On a thread of its own: the probe waits for children of its thread.
    std::thread([this] { steps_ = arch::ProbeStepping(); }).join();
    steps_probed_ = true;
  }
  return steps_;
}

const char* LinuxHost::DeclaredLimits() {
  const arch::StepAbilities steps = Steps();
  const std::lock_guard lock(probes_mutex_);
  if (limits_.empty()) {
    limits_ = kLimits;
    limits_ += kNoAlternateStack;
    if (!features_.thread_pidfds) limits_ += kLateReap;
    if (!steps.single_step) limits_ += kNoSingleStep;
    if (!steps.block_step) limits_ += kNoBlockStep;
  }
  return limits_.c_str();
}

WaitResult LinuxHost::WaitOn(Atomic<uint32_t>& word, uint32_t expected) {
  // With a time limit the kernel reports every signal handler as EINTR, whatever its SA_RESTART.
  constexpr timespec kLong{.tv_sec = 3600, .tv_nsec = 0};
  const long status = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, &kLong, nullptr, 0);
  // In a lane the only signal is the ring, which is no signal to the caller.
  const bool interrupted = status != 0 && errno == EINTR && Lane::Current() == nullptr;
  return interrupted ? WaitResult::kInterrupted : WaitResult::kWoken;
}

void LinuxHost::WakeAll(Atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// ---- Tasks -----------------------------------------------------------------------------------------

Task* LinuxHost::FindMade(pid_t tid) {
  const std::lock_guard lock(tasks_mutex_);
  const auto found = tasks_.find(tid);
  if (found == tasks_.end() || !found->second->core().TryRef()) return nullptr;
  return &found->second->core();
}

std::vector<Task*> LinuxHost::Tasks() {
  const std::lock_guard lock(tasks_mutex_);
  std::vector<Task*> tasks;
  tasks.reserve(tasks_.size());
  for (const auto& [tid, task] : tasks_) {
    if (task->core().TryRef()) tasks.push_back(&task->core());
  }
  return tasks;
}

Task* LinuxHost::FindOrMake(pid_t tid) {
  const uint64_t identity = IdentityOf(tid, features_);
  const auto stat = ReadStat(tid);
  const auto status = ReadStatus(tid);
  if (identity == 0 || !stat || !status) return nullptr;
  const std::lock_guard lock(tasks_mutex_);
  const auto found = tasks_.find(tid);
  if (found != tasks_.end() && found->second->identity() == identity &&
      found->second->core().TryRef()) {
    return &found->second->core();
  }
  auto host_task = std::make_unique<LinuxTask>(tid, status->tgid, identity, stat->IsKernelThread());
  LinuxTask* const raw = host_task.get();
  auto* task = new Task(std::move(host_task));
  raw->Bind(task);
  tasks_[tid] = raw;
  return task;
}

Task* LinuxHost::FindTask(pid_t tid, int* status, std::string* error) {
  Task* task = FindOrMake(tid);
  if (task == nullptr) {
    *status = -ESRCH;
    *error = "there is no thread " + std::to_string(tid);
  }
  return task;
}

void LinuxHost::Forget(const LinuxTask* task, pid_t tid) {
  const std::lock_guard lock(tasks_mutex_);
  const auto found = tasks_.find(tid);
  if (found != tasks_.end() && found->second == task) tasks_.erase(found);
}

void LinuxHost::Rename(LinuxTask* task, pid_t old_tid) {
  const std::lock_guard lock(tasks_mutex_);
  const auto found = tasks_.find(old_tid);
  if (found != tasks_.end() && found->second == task) tasks_.erase(found);
  tasks_[task->tid()] = task;
}

// ---- Lanes -----------------------------------------------------------------------------------------

Lane* LinuxHost::LaneFor(pid_t tgid) {
  const std::lock_guard lock(lanes_mutex_);
  const auto found = served_.find(tgid);
  if (found != served_.end()) return found->second.lane;
  Lane* best = nullptr;
  for (Lane* lane : lanes_) {
    if (best == nullptr || load_[lane] < load_[best]) best = lane;
  }
  if (best == nullptr || (load_[best] > 0 && lanes_.size() < kMostLanes)) {
    best = Lane::Start();
    lanes_.push_back(best);
  }
  // Counts from now on, so that two attaches at once do not choose two lanes for one process.
  served_[tgid] = Served{.lane = best, .tasks = 0};
  return best;
}

void LinuxHost::NoteAdded(Lane* lane, pid_t tgid) {
  const std::lock_guard lock(lanes_mutex_);
  Served& served = served_[tgid];
  served.lane = lane;
  ++served.tasks;
  ++load_[lane];
}

void LinuxHost::NoteRemoved(Lane* lane, pid_t tgid) {
  const std::lock_guard lock(lanes_mutex_);
  --load_[lane];
  const auto found = served_.find(tgid);
  if (found != served_.end() && --found->second.tasks <= 0) served_.erase(found);
}

}  // namespace linux_host
}  // namespace utrace
