#include "server/targets.h"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "core/linux/proc.h"

namespace utrace::server {
namespace {

using linux_host::DescribeProcess;
using linux_host::ProcStat;
using linux_host::ProcStatus;
using linux_host::ReadStat;
using linux_host::ReadStatus;
using linux_host::ThreadsOf;

std::string DescribeUser(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return fmt::format("user {}", uid);
  }
  return fmt::format("user {}", found->pw_name);
}

bool AllDead(pid_t process) {
  for (const pid_t tid : ThreadsOf(process)) {
    const auto stat = ReadStat(tid);
    if (stat && !stat->IsDead()) return false;
  }
  return true;
}

// Empty if nothing speaks against it.
std::string Objection(const Target& target, const ProcStat& stat, const TargetRules& rules) {
  const std::string name = DescribeProcess(target.process);
  if (stat.IsKernelThread()) {
    return fmt::format("{} is a kernel thread: it runs no user code that could be traced", name);
  }
  if (target.process == rules.client) return "this is the utrace command itself";
  if (target.process == getpid()) {
    return "this is the utrace server, which does the tracing and cannot trace itself";
  }
  if (target.whole ? AllDead(target.process) : stat.IsDead()) {
    const auto leader = ReadStat(target.process);
    return fmt::format("{} is a zombie: it has ended, and its parent {} has not waited for it yet",
                       name, leader ? DescribeProcess(leader->parent) : "");
  }
  if (target.process == 1 && !rules.force) {
    return fmt::format(
        "{} is the first process, on which the whole system depends; --force traces it all the "
        "same",
        name);
  }
  return "";
}

}  // namespace

std::optional<Target> ResolveTarget(pid_t id, const TargetRules& rules, std::string* reason) {
  const std::optional<ProcStatus> status = id > 0 ? ReadStatus(id) : std::nullopt;
  const std::optional<ProcStat> stat = id > 0 ? ReadStat(id) : std::nullopt;
  if (!status || !stat) {
    *reason = "there is no such process or thread";
    return std::nullopt;
  }
  const Target target{
      .id = id, .process = status->tgid, .whole = rules.threads || status->tgid == id};
  *reason = Objection(target, *stat, rules);
  if (!reason->empty()) return std::nullopt;
  return target;
}

std::string ExplainFailure(pid_t tid, int status) {
  const std::string known = utrace_last_error_text();
  const auto thread = ReadStatus(tid);
  if (status == -EPERM && thread && thread->tracer == 0 && geteuid() != 0 &&
      thread->user != geteuid()) {
    return fmt::format(
        "it belongs to {}, and this is {}: only root may trace other users' processes",
        DescribeUser(thread->user), DescribeUser(geteuid()));
  }
  return known.empty() ? strerror(-status) : known;
}

Visited VisitThreads(const Target& target, const Answer& answer,
                     const std::function<int(const TaskRef& task, std::string* reason)>& visit,
                     const std::function<void(size_t done, size_t seen)>& progress) {
  Visited visited;
  std::set<pid_t> seen;
  for (bool again = true; again && !answer.cancelled();) {
    again = false;
    std::vector<pid_t> fresh;
    const std::vector<pid_t> threads =
        target.whole ? ThreadsOf(target.process) : std::vector<pid_t>{target.id};
    for (const pid_t tid : threads) {
      if (seen.insert(tid).second) fresh.push_back(tid);
    }
    for (const pid_t tid : fresh) {
      if (answer.cancelled()) break;
      again = target.whole;
      std::string reason;
      int status = 0;
      if (const auto pid = PidRef::Find(tid); !pid) {
        status = pid.code();
      } else if (const auto task = pid->FindTask(); !task) {
        status = task.code();
      } else {
        status = visit(*task, &reason);
      }
      if (status == 0) {
        ++visited.done;
        progress(visited.done, seen.size());
        continue;
      }
      // A dead leader among living threads is no obstacle.
      if (status == -ESRCH || (status == -EALREADY && target.whole)) continue;
      if (visited.refused++ == 0) {
        visited.reason = reason.empty() ? ExplainFailure(tid, status) : reason;
      }
    }
  }
  if (visited.done == 0 && visited.refused == 0 && !answer.cancelled()) {
    visited.reason = "it has just ended";
  } else if (visited.refused > 1) {
    visited.reason += fmt::format(" (and {} threads more)", visited.refused - 1);
  }
  return visited;
}

}  // namespace utrace::server
