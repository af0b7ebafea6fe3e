#include "server/control.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/look.h"
#include "core/machine.h"
#include "engines/syscall_log/decode/syscall_names.h"
#include "server/listing.h"

namespace utrace::server {
namespace {

using Kind = EngineOwner::Kind;

// How long a command waits for threads to come to a safe point. One in user mode is there at once; one in
// a system call when that ends, which may be never.
constexpr std::chrono::seconds kPatience{1};

// The tasks that have come to a safe point, for a thread that waits for them.
class Arrivals {
 public:
  void Arrive(pid_t tid) {
    const std::lock_guard lock(mutex_);
    arrived_.insert(tid);
    changed_.notify_all();
  }
  // Waits until all of `tids` have arrived; returns those that have not in time.
  std::vector<pid_t> Wait(const std::vector<pid_t>& tids) {
    std::unique_lock lock(mutex_);
    const auto missing = [&](pid_t tid) { return !arrived_.contains(tid); };
    changed_.wait_for(lock, kPatience, [&] { return std::ranges::none_of(tids, missing); });
    std::vector<pid_t> late;
    std::ranges::copy_if(tids, std::back_inserter(late), missing);
    return late;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<pid_t> arrived_;  // guarded by mutex_
};

// Holds its tasks wherever they come to a safe point.
class StopEngine final : public Engine {
 public:
  std::string Name() const override { return "stop"; }
  Action OnQuiesce(QuiesceReport& report) override { return Hold(report.task()); }
  SignalResult OnSignal(SignalReport& report) override { return Hold(report.task()); }
  Action OnDeath(DeathReport& report) override {
    arrivals_.Arrive(report.task().tid());
    return Action::kDetach;
  }
  Arrivals& arrivals() { return arrivals_; }

 private:
  Action Hold(TaskView task) {
    arrivals_.Arrive(task.tid());
    return Action::kStop;
  }
  Arrivals arrivals_;
};

// Leaves at the report that it asked for.
class InterruptEngine final : public Engine {
 public:
  std::string Name() const override { return "interrupt"; }
  SignalResult OnSignal(SignalReport& report) override {
    arrivals_.Arrive(report.task().tid());
    return Action::kDetach;
  }
  Action OnDeath(DeathReport& report) override {
    arrivals_.Arrive(report.task().tid());
    return Action::kDetach;
  }
  Arrivals& arrivals() { return arrivals_; }

 private:
  Arrivals arrivals_;
};

// The engine of `utrace stop` on the task; null if there is none.
const AttachedEngine* FindStop(const TracedTask& task) {
  const auto found = std::ranges::find_if(task.engines, [](const AttachedEngine& engine) {
    const EngineOwner* const owner = ToEngineOwner(engine.owner.get());
    return owner != nullptr && owner->about().kind == Kind::kStop;
  });
  return found == task.engines.end() ? nullptr : &*found;
}

// "the system call read"; empty if it is in none.
std::string SystemCallOf(TaskView task) {
  utrace_current_syscall call{};
  if (utrace_task_current_syscall(task.get(), &call) != 0 || call.number < 0) return "";
  const std::string_view name = syscall_log::SyscallName(call.number);
  return name.empty() ? fmt::format("system call {}", call.number)
                      : fmt::format("the system call {}", name);
}

// Attaches `engine` and controls by it. Zero: its effect is there, or one that needs no wait; or
// -EINPROGRESS, it will be; or another negative errno, with nothing attached.
int AttachAndControl(const TaskRef& task, const std::shared_ptr<Engine>& engine, Action action) {
  auto attachment = Attachment::Attach(task, engine, Events::kQuiesce | Events::kDeath,
                                       Attachment::Mode::kUnlessAttached);
  if (!attachment) return attachment.code() == -EEXIST ? 0 : attachment.code();
  const Status status = attachment->Control(action);
  if (status.ok() || status.code() == -EINPROGRESS) attachment->Leave();
  return status.code();
}

// Calls `visit` for the threads of all targets; how many there were, and those it was done for.
std::vector<TaskRef> VisitTargets(
    const ControlRequest& request, const ClientIdentity& client, Answer& answer,
    const std::function<int(const TaskRef& task, std::string* reason)>& visit) {
  std::vector<TaskRef> done;
  for (const pid_t id : request.targets) {
    std::string reason;
    const auto target = ResolveTarget(
        id, {.threads = request.threads, .force = request.force, .client = client.pid}, &reason);
    if (!target) {
      answer.Refuse(id, reason);
      continue;
    }
    const Visited visited = VisitThreads(
        *target, answer,
        [&](const TaskRef& task, std::string* why) {
          const int status = visit(task, why);
          if (status == 0) done.push_back(task);
          return status;
        },
        [](size_t, size_t) {});
    if (visited.done == 0 || visited.refused != 0) answer.Refuse(id, visited.reason);
  }
  return done;
}

// What keeps threads from stopping: a line for each process.
void TellLate(const std::vector<TaskRef>& tasks, const std::set<pid_t>& late, Answer& answer) {
  struct Waiting {
    size_t threads = 0;
    pid_t first = 0;
    std::set<std::string> calls;
  };
  std::map<pid_t, Waiting> processes;
  for (const TaskRef& task : tasks) {
    if (!late.contains(task.tid()) || LookAt(task).held) continue;
    Waiting& waiting = processes[task.tgid()];
    if (waiting.threads++ == 0) waiting.first = task.tid();
    const std::string call = SystemCallOf(task);
    waiting.calls.insert(call.empty() ? "something else" : call);
  }
  for (const auto& [process, waiting] : processes) {
    const bool one = waiting.threads == 1;
    const pid_t id = one ? waiting.first : process;
    answer.Note(id, fmt::format("{} in {} and {} when that ends; utrace interrupt {} stops {} now",
                                one ? "is" : fmt::format("has {} threads", waiting.threads),
                                fmt::join(waiting.calls, ", "), one ? "stops" : "stop", id,
                                one ? "it" : "them"));
  }
}

void Stop(const ControlRequest& request, const ClientIdentity& client,
          const MakeOwnerFunction& make_owner, Answer& answer) {
  const auto owner = make_owner(Kind::kStop, "stop");
  const auto engine = std::make_shared<StopEngine>();
  std::vector<pid_t> awaited;
  std::map<std::pair<pid_t, std::string>, size_t> stopped;  // by process, and who stopped it
  const std::vector<TaskRef> tasks =
      VisitTargets(request, client, answer, [&](const TaskRef& task, std::string*) {
        const TracedTask seen = LookAt(task);
        if (const AttachedEngine* stop = FindStop(seen)) {
          ++stopped[{task.tgid(), ToEngineOwner(stop->owner.get())->about().client.Describe()}];
          return 0;
        }
        const OwnerScope scope(owner.get());
        const int status = AttachAndControl(task, engine, Action::kStop);
        if (status != -EINPROGRESS) return status;
        awaited.push_back(task.tid());
        return 0;
      });
  const std::vector<pid_t> late = engine->arrivals().Wait(awaited);
  for (const auto& [what, threads] : stopped) {
    answer.Note(what.first, fmt::format("has {} {} stopped already, by {}", threads,
                                        threads == 1 ? "thread" : "threads", what.second));
  }
  TellLate(tasks, {late.begin(), late.end()}, answer);
  answer.Done(tasks.size());
}

void Interrupt(const ControlRequest& request, const ClientIdentity& client,
               const MakeOwnerFunction& make_owner, Answer& answer) {
  const auto owner = make_owner(Kind::kInterrupt, "interrupt");
  const auto engine = std::make_shared<InterruptEngine>();
  std::vector<pid_t> awaited;
  const std::vector<TaskRef> tasks =
      VisitTargets(request, client, answer, [&](const TaskRef& task, std::string* reason) {
        const TracedTask seen = LookAt(task);
        if (seen.held) {
          *reason = fmt::format("thread {} is stopped already", task.tid());
          return -EBUSY;
        }
        const OwnerScope scope(owner.get());
        const int status = AttachAndControl(task, engine, Action::kInterrupt);
        if (status == 0) awaited.push_back(task.tid());
        return status;
      });
  const std::vector<pid_t> late = engine->arrivals().Wait(awaited);
  engine->DetachEverywhere();
  for (const pid_t tid : late) answer.Refuse(tid, "it has come to no safe point within 1 s");
  answer.Done(tasks.size() - late.size());
}

void Resume(const ControlRequest& request, Answer& answer) {
  uint64_t lifted = 0;
  std::set<pid_t> seen;     // threads and processes with engines
  std::set<pid_t> stopped;  // those that an engine holds, or held
  for (const TracedTask& task : TracedTasksOf(request.targets, request.threads, answer)) {
    if (task.dead) continue;
    seen.insert({task.task.tid(), task.task.tgid()});
    const AttachedEngine* const stop = FindStop(task);
    if (stop != nullptr) {
      stopped.insert({task.task.tid(), task.task.tgid()});
      if (utrace_control(task.task.get(), stop->engine.get(), UTRACE_DETACH) == -EINPROGRESS) {
        utrace_barrier(task.task.get(), stop->engine.get());
      }
      ++lifted;
    }
    const TracedTask left = LookAt(task.task);
    const std::string holders = DescribeHolders(left, Kind::kStop);
    if (holders.empty()) continue;
    stopped.insert({task.task.tid(), task.task.tgid()});
    answer.Refuse(task.task.tid(), "it is still stopped, by " + holders);
  }
  for (const pid_t id : request.targets) {
    if (!seen.contains(id) || stopped.contains(id)) continue;
    answer.Refuse(id, "it is not stopped by utrace stop");
  }
  answer.Done(lifted);
}

}  // namespace

void ControlTasks(const ControlRequest& request, const ClientIdentity& client,
                  const MakeOwnerFunction& make_owner, Answer& answer) {
  if (request.targets.empty()) {
    answer.Fail("there is no target");
    return;
  }
  switch (request.kind) {
    case ControlRequest::Kind::kStop:
      Stop(request, client, make_owner, answer);
      return;
    case ControlRequest::Kind::kResume:
      Resume(request, answer);
      return;
    case ControlRequest::Kind::kInterrupt:
      Interrupt(request, client, make_owner, answer);
      return;
  }
}

}  // namespace utrace::server
