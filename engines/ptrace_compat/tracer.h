// Who traces: threads of tracing programs, what they can wait for, and who waits.
#ifndef ENGINES_PTRACE_COMPAT_TRACER_H_
#define ENGINES_PTRACE_COMPAT_TRACER_H_

#include <sys/types.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "core/owner.h"
#include "engines/ptrace_compat/connection.h"
#include "engines/ptrace_compat/link.h"
#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat {

// A wait that is not answered yet.
struct PendingWait {
  wire::WaitRequest request;
};

struct TracerProcess;

// One thread of a tracing program, connected or not. All of it is guarded by World::mutex; `links` are
// changed by World and Tracee alone.
struct Tracer {
  pid_t tid = 0;
  std::shared_ptr<TracerProcess> process;
  std::shared_ptr<Connection> connection;  // null while there is none
  std::shared_ptr<Owner> owner;
  int pidfd = -1;
  uint64_t watch = 0;
  bool ended = false;
  // By thread id; what is dead and not waited for included.
  std::map<pid_t, std::shared_ptr<Link>> links;
  std::list<PendingWait> waits;
};

// The threads of one tracing program: they wait for each other's tracees, and share dispositions.
struct TracerProcess {
  pid_t pid = 0;
  uint64_t sigchld = 0;  // wire::SigchldFlags
  std::vector<std::shared_ptr<Tracer>> threads;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_TRACER_H_
