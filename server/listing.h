// What is traced, and taking engines off it.
#ifndef SERVER_LISTING_H_
#define SERVER_LISTING_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "core/look.h"
#include "server/engine_owner.h"
#include "server/protocol.h"
#include "server/targets.h"

namespace utrace::server {

// The traced tasks that the numbers name: a process id means all its threads, another thread's id that
// thread, or with `threads` all of its process. All traced tasks if there is no number. Numbers without
// one are refused to `answer`.
std::vector<TracedTask> TracedTasksOf(const std::vector<pid_t>& targets, bool threads,
                                      Answer& answer);

// An item for each task, as docs/server.md describes it.
void ListTasks(const ListRequest& request,
               const std::function<std::vector<pid_t>(pid_t tid)>& tracers_of, Answer& answer);

// Takes the engines off the targets, with a note for each engine. Returns when no callback of them runs
// there any more.
void DetachEngines(const DetachRequest& request, const ClientIdentity& client, Answer& answer);

// "is held stopped by A, B"; empty if no engine holds it. Engines of kind `except` do not count.
std::string DescribeHolders(const TracedTask& task, EngineOwner::Kind except);

}  // namespace utrace::server

#endif  // SERVER_LISTING_H_
