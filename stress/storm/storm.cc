#include "stress/storm/storm.h"

#include <cerrno>
#include <csignal>
#include <thread>

#include "conformance/kit/history_recorder.h"
#include "stress/storm/party.h"
#include "stress/storm/visit.h"

namespace utrace::storm {
namespace {

using kit::api;

// For the callbacks from which watchers leave.
constexpr auto kTimeForCallbacks = std::chrono::seconds(2);

// A trap that a single step made, and not the program.
bool IsStep(const siginfo_t& info) {
  return info.si_signo == SIGTRAP && info.si_code >= TRAP_BRKPT && info.si_code <= TRAP_BRANCH;
}

// Attached to every task first: sees all, follows what is created, keeps the traps of steps from the program.
class Watcher final : public Party {
 public:
  Watcher(Storm* storm, const std::shared_ptr<Watched>& watched)
      : Party(storm->counts()),
        storm_(*storm),
        watched_(watched),
        tid_(api().utrace_task_tid(watched->task)) {}
  ~Watcher() override {
    // Nothing lost, nothing doubled.
    if (storm_.leaving() || late_) return;
    const bool death_due = (storm_.options().watched & UTRACE_EVENT(DEATH)) != 0;
    if (deaths_ == (death_due ? 1 : 0) && reaps_ == 1) return;
    counts().Breach("task " + std::to_string(tid_) + " has " + std::to_string(deaths_) +
                    " reports of its death and " + std::to_string(reaps_) + " of its reaping");
  }

  // It was dead before its events could be chosen, or was never attached.
  void Late() { late_ = true; }

  // The recorder shall not take it for the task that had this address before.
  void MeetNewborn(utrace_task* child) override { kit::RecordNewborn(child); }

  uint32_t Answer(const Report& report) override {
    switch (report.what) {
      case history::What::kClone:
        storm_.WatchNewborn(report.child);
        break;
      case history::What::kSignal:
        if (report.info != nullptr && IsStep(*report.info))
          return uint32_t{UTRACE_SIGNAL_IGN} | UTRACE_RESUME;
        break;
      case history::What::kDeath:
        ++deaths_;
        break;
      case history::What::kReap:
        ++reaps_;
        Forget();
        return UTRACE_RESUME;
      default:
        break;
    }
    // Behind every trap that was due.
    if (storm_.leaving() && report.asked_for()) {
      Forget();
      return report.With(UTRACE_DETACH);
    }
    return report.With(UTRACE_RESUME);
  }

 private:
  void Forget() {
    if (const auto watched = watched_.lock()) storm_.Forget(watched);
  }

  Storm& storm_;
  const std::weak_ptr<Watched> watched_;  // which holds a reference to the engine, and so to this
  const pid_t tid_;
  int deaths_ = 0;
  int reaps_ = 0;
  std::atomic<bool> late_ = false;
};

}  // namespace

Watched::~Watched() {
  if (watcher != nullptr) api().utrace_engine_put(watcher);
  if (pid != nullptr) api().utrace_pid_put(pid);
  if (task != nullptr) api().utrace_task_put(task);
}

Storm::Storm(const Options& options) : options_(options) {
  if (options.scarce) counts_.Allow({-EMFILE, -ENFILE, -ENOMEM, -EAGAIN});
  if (options.interrupted) counts_.Allow({-UTRACE_ERESTARTSYS, -UTRACE_ERESTARTNOINTR});
}

std::string Storm::Watch(pid_t tid) {
  utrace_pid* const pid = api().utrace_pid_find(tid);
  if (UTRACE_IS_ERR(pid)) return api().utrace_last_error_text();
  utrace_task* const task = api().utrace_pid_task(pid);
  api().utrace_pid_put(pid);
  if (UTRACE_IS_ERR(task)) return api().utrace_last_error_text();
  root_ = tid;
  const int status = Attach(task);
  api().utrace_task_put(task);
  if (status == 0) return "";
  const std::string text = api().utrace_last_error_text();
  return text.empty() ? "thread " + std::to_string(tid) + " cannot be watched" : text;
}

void Storm::WatchNewborn(utrace_task* child) {
  if (leaving_) return;
  Attach(child);
}

int Storm::Attach(utrace_task* task) {
  auto watched = std::make_shared<Watched>();
  watched->task = api().utrace_task_get(task);
  utrace_pid* const pid = api().utrace_pid_find(api().utrace_task_tid(task));
  if (!UTRACE_IS_ERR(pid)) watched->pid = pid;
  auto watcher = std::make_unique<Watcher>(this, watched);
  utrace_engine* const engine = api().utrace_attach_task(task, UTRACE_ATTACH_CREATE, &Party::kOps,
                                                         static_cast<Party*>(watcher.get()));
  // It may have been killed meanwhile.
  const int attached = UTRACE_IS_ERR(engine) ? UTRACE_PTR_ERR(engine) : 0;
  counts_.Call("watch", attached, {0, -ESRCH});
  if (attached != 0) {
    watcher->Late();
    return attached;
  }
  Watcher* const kept = watcher.release();  // the engine's from now on
  ++counts_.attached;
  ++counts_.tasks;
  watched->watcher = engine;
  {
    const std::lock_guard lock(mutex_);
    watched->place = watched_.size();
    watched_.push_back(watched);
    if (watched_.size() > counts_.most_tasks) counts_.most_tasks = watched_.size();
  }
  const unsigned long events = options_.watched | UTRACE_EVENT(REAP);
  int status = counts_.Call("watch events", api().utrace_set_events(task, engine, events),
                            {0, -EALREADY, -ESRCH});
  if (status != 0) kept->Late();
  if (status == -EALREADY) {  // dead: what can still be reported
    status = api().utrace_set_events(task, engine, UTRACE_EVENT(REAP));
    counts_.Call("watch reap", status, {0, -ESRCH});
  }
  if (status != 0) Forget(watched);
  return 0;
}

void Storm::Forget(const std::shared_ptr<Watched>& watched) {
  const std::lock_guard lock(mutex_);
  if (watched->place >= watched_.size() || watched_[watched->place] != watched) return;
  watched_[watched->place] = std::move(watched_.back());
  watched_[watched->place]->place = watched->place;
  watched_.pop_back();
  if (watched_.empty()) changed_.notify_all();
}

std::shared_ptr<Watched> Storm::Any(Random* random) {
  const std::lock_guard lock(mutex_);
  if (watched_.empty()) return nullptr;
  return watched_[random->Below(watched_.size())];
}

bool Storm::Run(Clock::time_point deadline) {
  std::vector<std::thread> controllers;
  for (int i = 0; i < options_.controllers; ++i) {
    controllers.emplace_back([this, i] {
      Random random(options_.seed * 1000 + static_cast<uint64_t>(i));
      while (!calm_) {
        if (const auto watched = Any(&random)) Visit(this, watched, &random);
        Pause(this, &random);
      }
    });
  }
  bool ended;
  {
    std::unique_lock lock(mutex_);
    ended = changed_.wait_until(lock, deadline, [this] { return watched_.empty(); });
  }
  calm_ = true;
  for (std::thread& controller : controllers) controller.join();
  if (!ended) Leave();
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, options_.guard, [this] { return watched_.empty(); })) {
    counts_.Breach(std::to_string(watched_.size()) + " tasks are still watched, the first is " +
                   std::to_string(api().utrace_task_tid(watched_.front()->task)));
    return false;
  }
  lock.unlock();
  return AwaitReleased();
}

std::vector<std::shared_ptr<Watched>> Storm::All() {
  const std::lock_guard lock(mutex_);
  return watched_;
}

// Every watcher leaves from a callback that says that no signal is due; or, if that does not come because the task is
// stopped by job control or dead, without one.
void Storm::Leave() {
  leaving_ = true;
  for (const auto& watched : All()) {
    counts_.Call("leave", api().utrace_control(watched->task, watched->watcher, UTRACE_INTERRUPT),
                 {0, -ESRCH});
  }
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kTimeForCallbacks, [this] { return watched_.empty(); });
  }
  for (const auto& watched : All()) {
    utrace_task* const task = watched->task;
    utrace_engine* const watcher = watched->watcher;
    while (counts_.Call("leave by DETACH", api().utrace_control(task, watcher, UTRACE_DETACH),
                        {0, -EALREADY, -EINPROGRESS, -ESRCH}) == -EALREADY) {
      counts_.Call("leave by barrier", api().utrace_barrier(task, watcher), {0, -ESRCH});
    }
    Forget(watched);
  }
}

bool Storm::AwaitReleased() {
  const auto deadline = Clock::now() + options_.guard;
  while (counts_.released != counts_.attached) {
    if (Clock::now() > deadline) {
      counts_.Breach(std::to_string(counts_.attached - counts_.released) +
                     " engines were never released");
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

}  // namespace utrace::storm
