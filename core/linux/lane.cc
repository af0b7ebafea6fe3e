#include "core/linux/lane.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "core/linux/all_signals_blocked.h"
#include "core/linux/fault_stack.h"
#include "core/linux/linux_task.h"
#include "core/task.h"

namespace utrace::linux_host {
namespace {

thread_local Lane* current_lane = nullptr;

// What every wait of a lane has in common: all kinds of children, but no other thread's.
constexpr int kOwnTracees = __WALL | __WNOTHREAD;
// A callback that takes longer is taken to be blocked.
constexpr std::chrono::milliseconds kLongCallback{50};

}  // namespace

std::mutex Lane::mutex_;
// Never destroyed: lanes run until the process is gone.
std::condition_variable& Lane::progress_ = *new std::condition_variable;

Lane* Lane::Current() { return current_lane; }

Lane* Lane::Start() {
  // Lanes live as long as the process: a tracee may be on one at any time, and the kernel lets it go
  // when the process ends.
  std::unique_ptr<Lane> lane(new Lane);
  const AllSignalsBlocked blocked;
  std::thread([raw = lane.get()] { raw->Run(); }).detach();
  return lane.release();
}

// ---- Requests --------------------------------------------------------------------------------------

void Lane::Queue(Asked& asked, Requests requests) {
  asked.requests |= requests;
  ++asked_count_;
  if (asked.queued) return;
  asked.task->core().Ref();
  asked.queued = true;
  asked.next = nullptr;
  (asked_last_ == nullptr ? asked_first_ : asked_last_->next) = &asked;
  asked_last_ = &asked;
}

void Lane::Ask(Asked& asked, Requests requests) {
  {
    const std::lock_guard lock(mutex_);
    Queue(asked, requests);
  }
  bell_.Ring();
}

void Lane::AskPromptly(Asked& asked, Requests requests) {
  std::unique_lock lock(mutex_);
  Queue(asked, requests);
  const uint64_t mine = asked_count_;
  lock.unlock();
  bell_.Ring();
  // Two lanes that waited for each other would wait for ever.
  if (Current() != nullptr) return;
  lock.lock();
  while (served_count_ < mine) {
    if (in_callback_ == 0) {
      progress_.wait(lock);
    } else if (progress_.wait_for(lock, kLongCallback) == std::cv_status::timeout &&
               in_callback_ != 0) {
      return;
    }
  }
}

// Runs the first of the waiting calls; false if there is none.
bool Lane::RunCaller(std::unique_lock<std::mutex>& lock) {
  Caller* const caller = callers_first_;
  if (caller == nullptr) return false;
  callers_first_ = caller->next;
  if (callers_first_ == nullptr) callers_last_ = nullptr;
  lock.unlock();
  caller->Run();
  lock.lock();
  caller->done = true;  // it may be gone right after
  progress_.notify_all();
  return true;
}

void Lane::CallAndWait(Caller& caller) {
  std::unique_lock lock(mutex_);
  (callers_last_ == nullptr ? callers_first_ : callers_last_->next) = &caller;
  callers_last_ = &caller;
  progress_.notify_all();
  lock.unlock();
  bell_.Ring();
  lock.lock();
  Lane* const own = Current();
  while (!caller.done) {
    if (own == nullptr || !own->RunCaller(lock)) {
      if (!caller.done) progress_.wait(lock);
    }
  }
}

void Lane::ServeAsked() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (RunCaller(lock)) continue;
    Asked* const asked = asked_first_;
    if (asked == nullptr) {
      served_count_ = asked_count_;
      progress_.notify_all();
      return;
    }
    asked_first_ = asked->next;
    if (asked_first_ == nullptr) asked_last_ = nullptr;
    asked->queued = false;
    const Requests requests = std::exchange(asked->requests, 0);
    LinuxTask* const task = asked->task;
    lock.unlock();
    task->Serve(requests);
    task->core().Unref();
    lock.lock();
  }
}

Lane::CallbackRegion::CallbackRegion() {
  Lane* lane = Current();
  if (lane == nullptr) return;
  const std::lock_guard lock(mutex_);
  ++lane->in_callback_;
  lane->progress_.notify_all();
}

Lane::CallbackRegion::~CallbackRegion() {
  Lane* lane = Current();
  if (lane == nullptr) return;
  const std::lock_guard lock(mutex_);
  --lane->in_callback_;
}

// ---- Tasks ---------------------------------------------------------------------------------------

void Lane::Add(LinuxTask* task) {
  task->core().Ref();
  tasks_[task->tid()] = task;
}

void Lane::Remove(LinuxTask* task) {
  const auto found = tasks_.find(task->tid());
  if (found == tasks_.end() || found->second != task) return;
  tasks_.erase(found);
  task->core().Unref();
}

void Lane::Rekey(LinuxTask* task, pid_t old_tid) {
  tasks_.erase(old_tid);
  tasks_[task->tid()] = task;
}

LinuxTask* Lane::Find(pid_t tid) {
  const auto found = tasks_.find(tid);
  return found == tasks_.end() ? nullptr : found->second;
}

std::vector<LinuxTask*> Lane::TasksOf(pid_t tgid) {
  std::vector<LinuxTask*> threads;
  for (const auto& [tid, task] : tasks_) {
    if (task->tgid() == tgid) threads.push_back(task);
  }
  return threads;
}

std::vector<LinuxTask*> Lane::Tasks() {
  std::vector<LinuxTask*> tasks;
  for (const auto& [_, task] : tasks_) tasks.push_back(task);
  return tasks;
}

// ---- The loop --------------------------------------------------------------------------------------

void Lane::Run() {
  current_lane = this;
  prctl(PR_SET_NAME, "utrace-lane");
  sigset_t taken;
  sigemptyset(&taken);
  sigaddset(&taken, Bell::Signal());
  bell_.Bind();
  // A fault of an engine's callback is for whoever handles it in this process: with the signal blocked
  // the kernel would not ask.
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) sigaddset(&taken, fault);
  UseFaultStack();
  pthread_sigmask(SIG_UNBLOCK, &taken, nullptr);

  for (;;) {
    ServeAsked();
    if (!unannounced_.empty()) LinuxTask::ReleaseOrphans(*this);
    // Deaths are only looked at: a zombie goes to its real parent when its report is made.
    siginfo_t info{};
    const int status = bell_.WaitId(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOWAIT | kOwnTracees);
    if (status == -ECHILD) {
      bell_.WaitForRing();
      continue;
    }
    if (status < 0 || info.si_pid == 0) continue;
    if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) {
      Dispatch(info.si_pid, info);
      continue;
    }
    // Take all stops that there are before acting on the first: a busy tracee must not starve others.
    std::vector<siginfo_t> stops;
    const size_t most = std::max<size_t>(1, tasks_.size() + unannounced_.size());
    while (stops.size() < most) {
      siginfo_t stop{};
      if (waitid(P_ALL, 0, &stop, WSTOPPED | WNOHANG | kOwnTracees) != 0 || stop.si_pid == 0) break;
      stops.push_back(stop);
    }
    for (const siginfo_t& stop : stops) Dispatch(stop.si_pid, stop);
  }
}

void Lane::Dispatch(pid_t tid, const siginfo_t& info) {
  const bool stopped = info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED;
  LinuxTask* task = Find(tid);
  if (task == nullptr) {
    LinuxTask::OnUnknown(*this, tid, info);
    return;
  }
  // Keeps the object while its handlers run.
  task->core().Ref();
  if (stopped) {
    task->OnStop(info.si_status);
  } else {
    task->OnZombie(info);
  }
  task->core().Unref();
  if (!unannounced_.empty()) LinuxTask::OnPossibleMaker(*this, tid, !stopped);
}

}  // namespace utrace::linux_host
