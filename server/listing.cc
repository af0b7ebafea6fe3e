#include "server/listing.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/linux/proc.h"
#include "core/linux/traced_tasks.h"
#include "core/machine.h"

namespace utrace::server {
namespace {

using Json = nlohmann::json;
using linux_host::NameOf;
using linux_host::ReadStat;
using linux_host::ReadStatus;

// Of what a client may have made as long as it likes.
constexpr size_t kLongestText = 1024;
// Of all engines of a task together; the rest of the message is small.
constexpr size_t kLongestList = kMaxMessage / 2;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

Json NamesOf(Events events) {
  Json names = Json::array();
  for (unsigned kind = 0; kind < UTRACE_EVENT_BITS; ++kind) {
    const Events one(1UL << kind);
    if (events.Contains(one)) names.push_back(one.ToString());
  }
  return names;
}

std::string StateOf(const TracedTask& task) {
  if (task.dead) return "dead";
  if (task.held) return "stopped";
  const bool wanted = std::ranges::any_of(task.engines, &AttachedEngine::stops);
  return wanted ? "stopping" : "running";
}

Json DescribeChanges(const ChangeCounts& changes) {
  return {{"signals", changes.signals}, {"calls", changes.calls},
          {"aborts", changes.aborts},   {"registers", changes.registers},
          {"memory", changes.memory},   {"overruled", changes.overruled}};
}

using TracersOf = std::function<std::vector<pid_t>(pid_t tid)>;

Json DescribeEngine(const AttachedEngine& engine, pid_t tid, const TracersOf& tracers_of) {
  Json json = {{"events", NamesOf(engine.events)},
               {"stops", engine.stops},
               {"changes", DescribeChanges(engine.changes)}};
  const EngineOwner* const owner = ToEngineOwner(engine.owner.get());
  if (owner == nullptr) return json;
  const EngineOwner::About& about = owner->about();
  json["id"] = about.id;
  json["name"] = about.name.substr(0, kLongestText);
  json["spec"] = about.spec.substr(0, kLongestText);
  json["client"] = {{"pid", about.client.pid}, {"command", about.client.command}};
  if (about.kind == EngineOwner::Kind::kTracer) {
    // They share it. Whoever came first may be gone.
    Json tracers = Json::array();
    for (const pid_t pid : tracers_of(tid)) {
      tracers.push_back({{"pid", pid}, {"command", "wrap " + NameOf(pid)}});
    }
    if (!tracers.empty()) json["client"] = tracers[0];
    json["tracers"] = std::move(tracers);
  }
  return json;
}

Json DescribeTask(const TracedTask& task, const TracersOf& tracers_of) {
  // "Utrace:\t<hex>\n" [STA-01].
  std::array<char, 64> line{};
  utrace_task_status(task.task.get(), line.data(), line.size());
  std::string utrace = line.data();
  while (!utrace.empty() && utrace.back() == '\n') utrace.pop_back();
  Json engines = Json::array();
  Json stopped_by = Json::array();
  size_t size = 0;
  size_t left_out = 0;
  for (const AttachedEngine& engine : task.engines) {
    Json described = DescribeEngine(engine, task.task.tid(), tracers_of);
    size += Dump(described).size();
    if (size > kLongestList) {
      ++left_out;
      continue;
    }
    engines.push_back(std::move(described));
    const EngineOwner* const owner = ToEngineOwner(engine.owner.get());
    if (engine.stops && owner != nullptr) stopped_by.push_back(owner->about().id);
  }
  const auto stat = ReadStat(task.task.tid());
  return {{"tid", task.task.tid()},
          {"pid", task.task.tgid()},
          {"command", NameOf(task.task.tid())},
          {"process", NameOf(task.task.tgid())},
          {"status", utrace},
          {"mask", NamesOf(task.interest)},
          {"state", StateOf(task)},
          {"stopped_by", stopped_by},
          {"kernel_state", stat ? std::string(1, stat->state) : ""},
          {"engines", engines},
          {"engines_left_out", left_out}};
}

bool Matches(const std::string& wanted, const EngineOwner& owner) {
  if (wanted.empty()) return true;
  if (wanted[0] == '#') return wanted == fmt::format("#{}", owner.about().id);
  return wanted == owner.about().name;
}

// Whether an engine that this client has asked for by name is attached to the task.
bool HasEngineOf(const TracedTask& task, pid_t client) {
  return std::ranges::any_of(task.engines, [&](const AttachedEngine& engine) {
    const EngineOwner* const owner = ToEngineOwner(engine.owner.get());
    return owner != nullptr && owner->about().kind == EngineOwner::Kind::kEngine &&
           owner->about().client.pid == client;
  });
}

// Zero once it is gone.
int DetachOne(const TracedTask& task, const AttachedEngine& engine) {
  const int status = utrace_control(task.task.get(), engine.engine.get(), UTRACE_DETACH);
  if (status == -EINPROGRESS) {
    while (utrace_barrier(task.task.get(), engine.engine.get()) == -UTRACE_ERESTARTSYS) {
    }
    return 0;
  }
  // It was gone already, or the task dies and the engine is about to go.
  return status == -ESRCH || status == -EALREADY ? 0 : status;
}

}  // namespace

std::vector<TracedTask> TracedTasksOf(const std::vector<pid_t>& targets, bool threads,
                                      Answer& answer) {
  std::vector<TracedTask> all = linux_host::TracedTasks();
  std::ranges::sort(
      all, {}, [](const TracedTask& task) { return std::pair(task.task.tgid(), task.task.tid()); });
  if (targets.empty()) return all;
  std::set<pid_t> processes;
  std::set<pid_t> tids;
  for (const pid_t id : targets) {
    const auto status = ReadStatus(id);
    const bool whole = status && (threads || status->tgid == id);
    (whole ? processes : tids).insert(whole ? status->tgid : id);
    const bool found = std::ranges::any_of(all, [&](const TracedTask& task) {
      return whole ? task.task.tgid() == status->tgid : task.task.tid() == id;
    });
    if (!found) {
      answer.Refuse(id,
                    status ? "no engine is attached to it" : "there is no such process or thread");
    }
  }
  std::erase_if(all, [&](const TracedTask& task) {
    return !processes.contains(task.task.tgid()) && !tids.contains(task.task.tid());
  });
  return all;
}

void ListTasks(const ListRequest& request, const TracersOf& tracers_of, Answer& answer) {
  const std::vector<TracedTask> tasks = TracedTasksOf(request.targets, /*threads=*/false, answer);
  for (const TracedTask& task : tasks) {
    if (answer.cancelled()) break;
    answer.Send({.kind = Reply::Kind::kItem, .item = Dump(DescribeTask(task, tracers_of))});
  }
  answer.Done(tasks.size());
}

void DetachEngines(const DetachRequest& request, const ClientIdentity& client, Answer& answer) {
  struct Detached {
    std::string name;
    size_t tasks = 0;
  };
  std::map<uint64_t, Detached> detached;
  std::set<pid_t> seen;   // processes and threads with engines
  std::set<pid_t> found;  // those with engines that are meant
  // Again while there is something: a thread may create others before its engines are gone.
  for (bool again = true, first = true; again && !answer.cancelled(); first = false) {
    again = false;
    // What is found nowhere is refused once.
    class Silent final : public Answer {
      void Send(const Reply&) override {}
      bool cancelled() const override { return false; }
    } silent;
    for (const TracedTask& task :
         TracedTasksOf(request.targets, request.threads, first ? answer : silent)) {
      if (task.dead) continue;
      seen.insert({task.task.tgid(), task.task.tid()});
      for (const AttachedEngine& engine : task.engines) {
        EngineOwner* const owner = ToEngineOwner(engine.owner.get());
        if (owner == nullptr || !Matches(request.engine, *owner)) continue;
        // Calls that the filter names would fail from then on; and a program that traces by ptrace(2)
        // counts on its tracees.
        if (owner->about().kind == EngineOwner::Kind::kFilter ||
            owner->about().kind == EngineOwner::Kind::kTracer) {
          continue;
        }
        owner->NoteDetachedBy(client.pid);
        if (DetachOne(task, engine) != 0) continue;
        again = true;
        found.insert({task.task.tgid(), task.task.tid()});
        Detached& entry = detached[owner->about().id];
        entry.name = fmt::format("{} of {}", owner->Describe(), owner->about().client.Describe());
        ++entry.tasks;
      }
      // What only followed for engines that are gone goes too.
      const TracedTask left = LookAt(task.task);
      for (const AttachedEngine& engine : left.engines) {
        EngineOwner* const owner = ToEngineOwner(engine.owner.get());
        if (owner != nullptr && owner->about().kind == EngineOwner::Kind::kFollow &&
            !HasEngineOf(left, owner->about().client.pid)) {
          DetachOne(left, engine);
        }
      }
    }
  }
  for (const auto& [id, entry] : detached) {
    answer.Note(0, fmt::format("{}: detached from {} {}", entry.name, entry.tasks,
                               entry.tasks == 1 ? "thread" : "threads"));
  }
  for (const pid_t id : request.targets) {
    if (!seen.contains(id) || found.contains(id)) continue;
    answer.Refuse(id, fmt::format("no engine {} is attached to it", request.engine));
  }
  answer.Done(detached.size());
}

std::string DescribeHolders(const TracedTask& task, EngineOwner::Kind except) {
  std::string holders;
  for (const AttachedEngine& engine : task.engines) {
    const EngineOwner* const owner = ToEngineOwner(engine.owner.get());
    if (!engine.stops || owner == nullptr || owner->about().kind == except) continue;
    if (!holders.empty()) holders += ", ";
    holders += fmt::format("{} of {}", owner->Describe(), owner->about().client.Describe());
  }
  return holders;
}

}  // namespace utrace::server
