#include "engines/crash_catcher/reporter.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "engines/crash_catcher/collect.h"
#include "engines/crash_catcher/core_file.h"
#include "engines/crash_catcher/output_file.h"
#include "engines/crash_catcher/proc_files.h"
#include "engines/crash_catcher/report.h"
#include "fmt/chrono.h"
#include "fmt/format.h"

namespace utrace::crash {
namespace {

std::string ErrorText(Status status) { return strerror(-status.code()); }

// "crash-name-4711-20261125T140000.123Z"
std::string BaseName(const Snapshot& snapshot) {
  std::string name = snapshot.name;
  for (char& c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '.' || c == '_' || c == '-';
    if (!plain) c = '_';
  }
  std::string time = TimeText(snapshot.time);
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return fmt::format("{}-{}-{}-{}", snapshot.signal ? "crash" : "hang", name, snapshot.pid, time);
}

}  // namespace

Reporter::Reporter(const Settings& settings, int directory_fd, std::shared_ptr<LineWriter> messages)
    : settings_(settings), directory_fd_(directory_fd), messages_(std::move(messages)) {
  // Neither its end of a pipe nor a limit on files ends the process that a report is written by.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Reporter::~Reporter() {
  if (directory_fd_ >= 0) close(directory_fd_);
}

bool Reporter::OnCrash(TaskView task, const siginfo_t& info) {
  std::shared_ptr<Job> job;
  bool others = false;
  {
    const std::lock_guard lock(mutex_);
    if (finishing_) return false;
    const auto found = active_.find(task.tgid());
    others = found != active_.end();
    job = others ? found->second : AddJob(task);
    if (!others) job->signal = info;
  }
  if (!others) return Begin(job);
  // If it is over by now, the stop fails, and the signal comes back at once.
  (void)job->stopper->Stop(task);
  return true;
}

std::shared_ptr<Reporter::Job> Reporter::AddJob(TaskView task) {
  auto job = std::make_shared<Job>();
  job->task = TaskRef::Share(task);
  job->stopper = std::make_shared<Stopper>(task.tgid());
  active_[task.tgid()] = job;
  return job;
}

bool Reporter::Begin(const std::shared_ptr<Job>& job) {
  const TaskView task = job->task;
  const Status stopped = job->stopper->StopAll(task);
  const std::lock_guard lock(mutex_);
  if (!stopped.ok()) {
    active_.erase(task.tgid());
    SayNotHeld(task.tid(), stopped);
    return false;
  }
  if (job->signal) NoteReported(task);
  queue_.push_back(job);
  changed_.notify_all();
  return true;
}

void Reporter::SayNotHeld(pid_t id, Status status) {
  Say(fmt::format("{} cannot be held for a report: {}", id, ErrorText(status)));
}

void Reporter::NoteReported(TaskView task) {
  // Those that were reaped make room, now and then.
  constexpr size_t kSome = 64;
  if (reported_.size() % kSome == kSome - 1) {
    std::erase_if(reported_, [](const auto& item) { return !item.second.FindTask(); });
  }
  auto pid = PidRef::Find(task.tid());
  if (pid) reported_[task.tgid()] = std::move(*pid);
}

bool Reporter::WasReported(TaskView task) {
  const std::lock_guard lock(mutex_);
  const auto found = reported_.find(task.tgid());
  // The number may name another process by now.
  return found != reported_.end() && !active_.contains(task.tgid()) && found->second.FindTask();
}

void Reporter::OnRequest(TaskView task, const std::string& trigger) {
  std::shared_ptr<Job> job;
  {
    const std::lock_guard lock(mutex_);
    // One that is being made already shows the same.
    if (finishing_ || active_.contains(task.tgid())) return;
    job = AddJob(task);
    job->trigger = trigger;
  }
  (void)Begin(job);
}

void Reporter::WatchForHang(TaskView task) {
  auto pid = PidRef::Find(task.tgid());
  if (!pid) return;  // it is gone
  Owner* const owner = OwnerScope::Current();
  const std::lock_guard lock(mutex_);
  const pid_t number = task.tgid();
  std::erase_if(watched_, [number](const Watched& watched) {
    return watched.number == number && !watched.pid.FindTask();
  });
  if (std::ranges::find(watched_, number, &Watched::number) != watched_.end()) return;
  // Processes that ended meanwhile make room, now and then.
  constexpr size_t kSome = 64;
  if (watched_.size() % kSome == kSome - 1) {
    std::erase_if(watched_, [](const Watched& watched) { return !watched.pid.FindTask(); });
  }
  watched_.push_back({.pid = std::move(*pid),
                      .number = number,
                      .when = Clock::now() + *settings_.hang_timeout,
                      .owner = owner == nullptr ? nullptr : owner->shared_from_this()});
  changed_.notify_all();
}

void Reporter::Finish() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Reporter::Cancel() {
  cancelled_ = true;
  Finish();
}

void Reporter::Run() {
  prctl(PR_SET_NAME, "crash_catcher");
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!queue_.empty()) {
      const std::shared_ptr<Job> job = queue_.front();
      queue_.pop_front();
      lock.unlock();
      const pid_t pid = job->task.tgid();
      try {
        Work(*job);
      } catch (const std::exception& error) {
        // No memory, most likely. The process must go on all the same.
        Say(fmt::format("{}: the report failed: {}", pid, error.what()));
      }
      // From here on a signal that comes back is not taken for another crash: see CrashCatcher.
      lock.lock();
      active_.erase(pid);
      lock.unlock();
      job->stopper->Release();
      lock.lock();
      continue;
    }
    if (finishing_) return;
    const auto first = std::ranges::min_element(watched_, {}, &Watched::when);
    if (first == watched_.end()) {
      changed_.wait(lock);
    } else if (first->when <= Clock::now()) {
      ServeTimeout(lock);
    } else {
      changed_.wait_until(lock, first->when);
    }
  }
}

void Reporter::ServeTimeout(std::unique_lock<std::mutex>& lock) {
  const auto first = std::ranges::min_element(watched_, {}, &Watched::when);
  const Watched watched = std::move(*first);
  watched_.erase(first);
  // A crash that is being reported has the better claim.
  if (active_.contains(watched.number)) return;
  lock.unlock();
  const std::shared_ptr<Job> job = StopForTimeout(watched);
  lock.lock();
  if (job == nullptr) return;
  if (active_.contains(watched.number)) {
    lock.unlock();
    job->stopper->Release();
    lock.lock();
    return;
  }
  active_[watched.number] = job;
  queue_.push_back(job);
}

std::shared_ptr<Reporter::Job> Reporter::StopForTimeout(const Watched& watched) {
  if (!watched.pid.FindTask()) return nullptr;  // it ended in time
  const OwnerScope scope(watched.owner.get());
  auto job = std::make_shared<Job>();
  job->stopper = std::make_shared<Stopper>(watched.number);
  job->trigger = fmt::format("timeout: it was watched for {}", *settings_.hang_timeout);
  Status failure;
  // The leader may have ended before its threads.
  for (const pid_t tid : ThreadIds(watched.number)) {
    const auto pid = PidRef::Find(tid);
    const auto task = pid ? pid->FindTask() : pid.status();
    if (!task) continue;
    const Status stopped = job->stopper->StopAll(*task);
    if (stopped.ok()) {
      job->task = *task;
      return job;
    }
    if (stopped.code() != -ESRCH && stopped.code() != -EALREADY) failure = stopped;
  }
  if (!failure.ok()) SayNotHeld(watched.number, failure);
  return nullptr;
}

void Reporter::Work(Job& job) {
  if (cancelled_) return;
  auto taken = HeldProcess::Take(*job.stopper, job.task, settings_.patience);
  if (!taken) {
    const bool killed = taken.code() == -ESRCH;
    Say(fmt::format("{} {}; there is no report", job.task.tgid(),
                    killed ? "was killed before it could be looked at" : "does not stop"));
    return;
  }
  const std::unique_ptr<HeldProcess> process = *std::move(taken);
  Snapshot& snapshot = process->snapshot();
  snapshot.signal = job.signal;
  snapshot.trigger = job.trigger;
  process->Describe(settings_.environment);
  if (!process->StillHeld()) {
    Say(fmt::format("{} ({}) was killed while its report was being made; there is none",
                    snapshot.pid, OneLine(snapshot.name)));
    return;
  }
  if (directory_fd_ >= 0) {
    Say(Summary(snapshot) + WriteFiles(*process));
    return;
  }
  Say(Summary(snapshot));
  if (settings_.text) messages_->Write(TextReport(snapshot));
  if (settings_.json) messages_->Write(JsonReport(snapshot));
}

// What follows the summary: "; report: DIR/a.txt; core: DIR/a.core".
std::string Reporter::WriteFiles(HeldProcess& process) {
  const std::string name = BaseName(process.snapshot());
  std::string written;
  if (settings_.text) {
    written += "; report: " + WriteReport(name + ".txt", TextReport(process.snapshot()));
  }
  if (settings_.json) {
    written += "; report: " + WriteReport(name + ".json", JsonReport(process.snapshot()));
  }
  if (settings_.core != Settings::Core::kNo) written += "; core: " + WriteCoreFile(name, process);
  return written;
}

// Likewise.
std::string Reporter::WriteCoreFile(const std::string& base, HeldProcess& process) {
  const bool compress = settings_.core == Settings::Core::kZstd;
  const std::string name = base + (compress ? ".core.zst" : ".core");
  const std::string path = settings_.directory + "/" + name;
  auto file = OutputFile::Create(directory_fd_, name);
  Status status = file.status();
  CoreOutcome outcome;
  if (file) {
    outcome = WriteCore(process.snapshot(), process.memory(), compress, cancelled_, &*file);
    status = outcome.status;
  }
  if (status.ok() && !process.StillHeld()) status = Status(-ESRCH);
  if (status.ok()) status = file->Commit();
  if (status.code() == -ESRCH) return "none, since the process was killed while it was written";
  if (status.code() == -ECANCELED) return "none, since the work was ended while it was written";
  if (!status.ok()) {
    return fmt::format("none, since {} cannot be written: {}", path, ErrorText(status));
  }
  if (outcome.unreadable_pages == 0) return path;
  return fmt::format("{} (pages that cannot be read and are zero there: {})", path,
                     outcome.unreadable_pages);
}

// The path of the file, or why there is none.
std::string Reporter::WriteReport(const std::string& name, const std::string& content) const {
  const std::string path = settings_.directory + "/" + name;
  auto file = OutputFile::Create(directory_fd_, name);
  Status status = file.status();
  if (file) status = file->Write(std::as_bytes(std::span(content)));
  if (status.ok()) status = file->Commit();
  if (status.ok()) return path;
  return fmt::format("none, since {} cannot be written: {}", path, ErrorText(status));
}

}  // namespace utrace::crash
