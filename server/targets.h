// Targets: the numbers that a user names, and what speaks against tracing them.
#ifndef SERVER_TARGETS_H_
#define SERVER_TARGETS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/handles.h"
#include "server/protocol.h"

namespace utrace::server {

// Where replies to a request go. For the thread that serves it.
class Answer {
 public:
  virtual ~Answer() = default;
  virtual void Send(const Reply& reply) = 0;
  // The client wants no more of it.
  virtual bool cancelled() const = 0;

  void Refuse(pid_t target, std::string reason) {
    Send({.kind = Reply::Kind::kRefused, .pid = target, .text = std::move(reason)});
  }
  void Note(pid_t about, std::string text) {
    Send({.kind = Reply::Kind::kNote, .pid = about, .text = std::move(text)});
  }
  void Done(uint64_t number) { Send({.kind = Reply::Kind::kDone, .number = number}); }
  void Fail(std::string reason) { Send({.kind = Reply::Kind::kError, .text = std::move(reason)}); }
};

struct Target {
  pid_t id = 0;        // as the user named it
  pid_t process = 0;   // that it is, or belongs to
  bool whole = false;  // all threads of the process
};

struct TargetRules {
  bool threads = false;  // the process of a thread that is named, as a whole
  bool force = false;    // process 1 too
  pid_t client = 0;      // who asks
};

// A process id names the whole process, another thread's id that thread alone. Nullopt, and *reason
// without the number, if there is nothing or it must not be traced.
std::optional<Target> ResolveTarget(pid_t id, const TargetRules& rules, std::string* reason);

// Why the call that has just failed with `status` on this thread says no: what the host knows, or who
// owns the thread.
std::string ExplainFailure(pid_t tid, int status);

// What became of a target's threads.
struct Visited {
  size_t done = 0;
  size_t refused = 0;
  std::string reason;  // of the first that was refused, with its number if it is one of several
};

// Calls `visit` for each thread of the target, and for those that appear meanwhile, until none is new.
// It returns zero or a negative errno, and in the latter case may set the reason; -ESRCH, the thread is
// gone, counts as neither done nor refused. `progress` is told how many are done, of how many seen.
Visited VisitThreads(const Target& target, const Answer& answer,
                     const std::function<int(const TaskRef& task, std::string* reason)>& visit,
                     const std::function<void(size_t done, size_t seen)>& progress);

}  // namespace utrace::server

#endif  // SERVER_TARGETS_H_
