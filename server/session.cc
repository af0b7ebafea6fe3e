#include "server/session.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "core/linux/fault_stack.h"
#include "core/linux/filtered_tasks.h"
#include "core/linux/traced_tasks.h"
#include "engines/registry.h"
#include "server/control.h"
#include "server/crash.h"
#include "server/listing.h"

namespace utrace::server {
namespace {

constexpr size_t kMostEngines = 64;
// Threads between two messages about the progress.
constexpr size_t kProgressEvery = 64;

}  // namespace

class Session::SessionAnswer final : public Answer {
 public:
  explicit SessionAnswer(Session& session) : session_(session) {}
  void Send(const Reply& reply) override { session_.outbox_->Send(reply); }
  bool cancelled() const override { return session_.cancelled_ || session_.closed_; }

 private:
  Session& session_;
};

Session::Session(Shared& shared, uint64_t id, ClientIdentity client, std::shared_ptr<Outbox> outbox,
                 Fd standard_error)
    : shared_(shared),
      id_(id),
      client_(std::move(client)),
      outbox_(std::move(outbox)),
      standard_error_(std::move(standard_error)) {
  client_.socket = outbox_->socket();
  client_.error_fd = standard_error_.get();
}

Session::~Session() {
  if (thread_.joinable()) thread_.join();
}

// ---- The main thread ---------------------------------------------------------------------------

void Session::Ask(Request request, std::vector<Fd> descriptors) {
  answered_ = false;
  cancelled_ = false;
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back({std::move(request), std::move(descriptors)});
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  bell_->Ring();
}

void Session::Close() {
  closed_ = true;
  if (!thread_.joinable()) ended_ = true;
  bell_->Ring();
}

// ---- The session's thread ------------------------------------------------------------------------

void Session::Run() {
  linux_host::UseFaultStack();
  error_writer_ =
      std::make_shared<LineWriter>(standard_error_.get(), LineWriter::Limits{.flush_at = 0});
  while (!closed_) {
    bell_->Wait();
    std::deque<Asked> asked;
    {
      const std::lock_guard lock(mutex_);
      asked.swap(asked_);
    }
    for (Asked& one : asked) {
      try {
        Serve(one.request, std::move(one.descriptors));
      } catch (const std::exception& error) {  // out of memory, or an engine's
        SessionAnswer(*this).Fail(fmt::format("the request failed: {}", error.what()));
      }
      answered_ = true;
      shared_.notify(id_);
    }
    FinishIdle();
  }
  StopFollowing();
  for (const auto& served : engines_) {
    Finish(*served);
    const OwnerScope scope(served->owner.get());
    served->instance.reset();
  }
  // What the host still has to put right about a task it lets go, it does while we live.
  linux_host::AwaitReleased();
  ended_ = true;
  shared_.notify(id_);
}

void Session::Serve(const Request& request, std::vector<Fd> descriptors) {
  SessionAnswer answer(*this);
  const auto owner = [this](EngineOwner::Kind kind, std::string name) {
    return MakeOwner(kind, std::move(name), "");
  };
  if (const auto* make = std::get_if<MakeEngineRequest>(&request)) {
    Make(*make, std::move(descriptors), answer);
  } else if (const auto* attach = std::get_if<AttachRequest>(&request)) {
    Attach(*attach, answer);
  } else if (std::holds_alternative<EndRequest>(request)) {
    StopFollowing();
    for (const auto& served : engines_) {
      for (std::string& line : Finish(*served)) answer.Note(0, std::move(line));
    }
    answer.Done(0);
  } else if (const auto* detach = std::get_if<DetachRequest>(&request)) {
    DetachEngines(*detach, client_, answer);
  } else if (const auto* list = std::get_if<ListRequest>(&request)) {
    ListTasks(*list, shared_.tracers_of, answer);
  } else if (const auto* control = std::get_if<ControlRequest>(&request)) {
    ControlTasks(*control, client_, owner, answer);
  } else {
    answer.Fail("a client says hello once");
  }
}

std::shared_ptr<EngineOwner> Session::MakeOwner(EngineOwner::Kind kind, std::string name,
                                                std::string spec) {
  std::function<void()> none_left;
  if (kind == EngineOwner::Kind::kEngine) none_left = [bell = bell_] { bell->Ring(); };
  // A stop outlives its session, and may be what keeps the server.
  if (kind == EngineOwner::Kind::kStop || kind == EngineOwner::Kind::kFilter) {
    none_left = shared_.wake;
  }
  return std::make_shared<EngineOwner>(EngineOwner::About{.kind = kind,
                                                          .id = shared_.next_engine++,
                                                          .name = std::move(name),
                                                          .spec = std::move(spec),
                                                          .client = client_},
                                       std::move(none_left));
}

void Session::Make(const MakeEngineRequest& request, std::vector<Fd> descriptors, Answer& answer) {
  if (engines_.size() == kMostEngines) {
    answer.Fail(fmt::format("a client may have {} engines", kMostEngines));
    return;
  }
  std::string error;
  auto served = std::make_unique<Served>();
  // What is loaded here runs code as well: if that crashes, it has a name.
  served->owner = MakeOwner(EngineOwner::Kind::kEngine, request.spec, request.spec);
  const OwnerScope scope(served->owner.get());
  std::shared_ptr<const Plugin> plugin;
  if (request.plugin) {
    plugin = Plugin::Load(descriptors[0].get(), request.spec, &error);
    descriptors.erase(descriptors.begin());
    if (plugin == nullptr) {
      answer.Fail(error);
      return;
    }
  }
  const std::optional<EngineChoice> choice = ChooseEngine(request.spec, plugin, &error);
  if (!choice) {
    answer.Fail(error);
    return;
  }
  EngineFiles files;
  files.SetStandardError(error_writer_);
  for (size_t n = 0; n < request.files.size(); ++n) {
    files.Add(request.files[n], descriptors[n].Release());
  }
  served->owner =
      MakeOwner(EngineOwner::Kind::kEngine, std::string(choice->info->name), request.spec);
  served->plugin = plugin;
  {
    const OwnerScope engine_scope(served->owner.get());
    served->instance = MakeEngine(*choice, files, &error);
  }
  if (served->instance == nullptr) {
    answer.Fail(error);
    return;
  }
  const uint64_t id = served->owner->about().id;
  std::vector<std::string> calls;
  if (const auto wanted = served->instance->SystemCalls()) {
    for (const long number : *wanted) calls.push_back(std::to_string(number));
  } else {
    calls.emplace_back("all");
  }
  {
    const std::lock_guard lock(mutex_);
    engines_.push_back(std::move(served));
  }
  answer.Send({.kind = Reply::Kind::kDone, .number = id, .lines = std::move(calls)});
}

// The tasks of a command that will have a filter: empty, or why there can be none.
std::string Session::PrepareFilter(pid_t target) {
  for (const auto& served : engines_) {
    if (served->instance->SystemCalls()) served->owner->WantNamedCallsOnly();
  }
  const auto pid = PidRef::Find(target);
  const auto task = pid ? pid->FindTask() : pid.status();
  if (!task) return ExplainFailure(target, task.code());
  const auto keeper = MakeOwner(EngineOwner::Kind::kFilter, "filter", "");
  const OwnerScope scope(keeper.get());
  const int status = linux_host::KeepFiltered(*task);
  return status == 0 ? "" : ExplainFailure(target, status);
}

void Session::Attach(const AttachRequest& request, Answer& answer) {
  if (engines_.empty()) {
    answer.Fail("there is no engine to attach");
    return;
  }
  if (request.fast && request.command) {
    for (const pid_t target : request.targets) {
      const std::string why = PrepareFilter(target);
      if (why.empty()) continue;
      answer.Fail(why);
      return;
    }
  }
  const auto follower = std::make_shared<Follower>(
      MakeOwner(EngineOwner::Kind::kFollow, "follow", ""), request.follow,
      [this](const std::vector<EngineOwner*>& parents, TaskView child) {
        AttachFollowed(parents, child);
      });
  if (!request.command) followers_.push_back(follower);
  uint64_t attached = 0;
  for (const pid_t id : request.targets) {
    std::string reason;
    const auto target = ResolveTarget(
        id, {.threads = request.threads, .force = request.force, .client = client_.pid}, &reason);
    if (!target) {
      answer.Refuse(id, reason);
      continue;
    }
    const bool follows = !request.command && (request.follow || target->whole);
    const Visited visited = VisitThreads(
        *target, answer,
        [&](const TaskRef& task, std::string* why) {
          // First: what the thread creates from now on is not missed.
          if (follows) {
            const int status = follower->AttachTask(task, follower);
            if (status != 0 && status != -EEXIST) return status;
          }
          return AttachEngines(task, why);
        },
        [&](size_t done, size_t seen) {
          if (done % kProgressEvery != 0) return;
          answer.Send({.kind = Reply::Kind::kProgress, .pid = id, .number = done, .total = seen});
        });
    if (visited.done == 0) {
      if (!answer.cancelled()) answer.Refuse(id, visited.reason);
    } else if (visited.refused != 0) {
      answer.Refuse(id, visited.reason);
    }
    attached += visited.done;
  }
  if (attached != 0) {
    for (const auto& served : engines_) served->armed = true;
  }
  answer.Done(attached);
}

int Session::AttachEngines(const TaskRef& task, std::string* reason) {
  for (const auto& served : engines_) {
    if (served->finished) continue;
    const OwnerScope scope(served->owner.get());
    const int status = served->instance->Attach(task.get());
    if (status == 0 || status == -EEXIST) continue;
    *reason = ExplainFailure(task.tid(), status);
    if (engines_.size() > 1) *reason = fmt::format("{}: {}", served->owner->about().name, *reason);
    return status;
  }
  return 0;
}

void Session::AttachFollowed(const std::vector<EngineOwner*>& parents, TaskView child) {
  const std::lock_guard lock(mutex_);
  for (const auto& served : engines_) {
    if (std::ranges::find(parents, served->owner.get()) == parents.end()) continue;
    const OwnerScope scope(served->owner.get());
    // Fails if the child is dead, or the engine is being finished: nothing is left to do.
    (void)served->instance->Attach(child.get());
  }
}

void Session::FinishIdle() {
  bool working = false;
  for (const auto& served : engines_) {
    if (served->finished) continue;
    if (!served->armed || served->owner->attachments() != 0) {
      working = true;
      continue;
    }
    const pid_t detached_by = served->owner->detached_by();
    Reply reply{.kind = Reply::Kind::kEnded, .number = served->owner->about().id};
    reply.text = detached_by != 0 ? fmt::format("utrace detach (pid {}) took it off", detached_by)
                                  : "its targets have ended";
    reply.lines = Finish(*served);
    outbox_->Send(reply);
  }
  if (!working) StopFollowing();
}

std::vector<std::string> Session::Finish(Served& served) {
  if (std::exchange(served.finished, true)) return {};
  const OwnerScope scope(served.owner.get());
  std::vector<std::string> problems = served.instance->Finish();
  for (std::string& problem : problems) problem.insert(0, served.owner->about().spec + ": ");
  return problems;
}

void Session::StopFollowing() {
  for (const auto& follower : followers_) follower->DetachEverywhere();
  followers_.clear();
}

}  // namespace utrace::server
