// Reporter: the thread that makes the reports while their processes are held.
#ifndef ENGINES_CRASH_CATCHER_REPORTER_H_
#define ENGINES_CRASH_CATCHER_REPORTER_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/engine.h"
#include "core/owner.h"
#include "engines/crash_catcher/settings.h"
#include "engines/crash_catcher/stopper.h"
#include "engines/line_writer.h"

namespace utrace::crash {

struct Snapshot;
class HeldProcess;

// Any thread may call its functions.
class Reporter {
 public:
  // `directory_fd` is taken over; -1: there is none, and reports go to `messages`.
  Reporter(const Settings& settings, int directory_fd, std::shared_ptr<LineWriter> messages);
  ~Reporter();
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  // In the callback of a thread that gets a fatal signal. True: a report of it, or another one of its
  // process, is being made; the thread stops as soon as its callback is over, and its signal is to be
  // put back, to be seen again when the report is finished. False: no report can be made.
  bool OnCrash(TaskView task, const siginfo_t& info);
  // Whether the task's process was reported to crash: then its signals come back from that, or it was
  // rescued in spite of it. One report tells of one end.
  bool WasReported(TaskView task);
  // In a callback, for a report without a death; `trigger` says why, for the reader.
  void OnRequest(TaskView task, const std::string& trigger);

  // Has a report without a death made when the process, which is being watched from now on, was watched
  // for settings.hang_timeout. Only with that setting.
  void WatchForHang(TaskView task);

  // Waits until all reports that were begun are finished. No other is begun. To be called, or Cancel,
  // before the end of this object, and not in a callback.
  void Finish();
  // The same, but what takes long is dropped.
  void Cancel();

 private:
  using Clock = std::chrono::steady_clock;

  struct Job {
    TaskRef task;  // the thread that it is about
    std::optional<siginfo_t> signal;
    std::string trigger;
    std::shared_ptr<Stopper> stopper;
  };
  struct Watched {
    PidRef pid;
    pid_t number;
    Clock::time_point when;
    std::shared_ptr<Owner> owner;
  };

  void Run();
  // With mutex_ held. A job about the task's process, for which there is none yet.
  std::shared_ptr<Job> AddJob(TaskView task);
  // Has the threads stop and the job done; false, and told to the user, if that cannot be.
  bool Begin(const std::shared_ptr<Job>& job);
  // With mutex_ held.
  void NoteReported(TaskView task);
  // With mutex_ held, which it gives up meanwhile.
  void ServeTimeout(std::unique_lock<std::mutex>& lock);
  std::shared_ptr<Job> StopForTimeout(const Watched& watched);
  void Work(Job& job);
  std::string WriteFiles(HeldProcess& process);
  std::string WriteCoreFile(const std::string& base, HeldProcess& process);
  std::string WriteReport(const std::string& name, const std::string& content) const;
  void SayNotHeld(pid_t id, Status status);
  void Say(const std::string& line) { messages_->Write("crash_catcher: " + line + "\n"); }

  const Settings settings_;
  const int directory_fd_;
  const std::shared_ptr<LineWriter> messages_;
  std::atomic<bool> cancelled_ = false;

  std::mutex mutex_;
  // ---- Guarded by mutex_. ----
  std::condition_variable changed_;
  bool finishing_ = false;
  std::deque<std::shared_ptr<Job>> queue_;
  std::map<pid_t, std::shared_ptr<Job>> active_;  // queued or being worked on, by process
  std::map<pid_t, PidRef> reported_;              // the thread that crashed, by process
  std::vector<Watched> watched_;

  std::thread thread_;
};

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_REPORTER_H_
