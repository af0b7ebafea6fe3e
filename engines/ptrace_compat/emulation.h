// Emulation: ptrace(2) for the clients of one server, on top of the tracing contract.
//
// All tracers (threads of programs that trace) and tracees meet here. docs/ptrace-compat.md says how it
// works.
#ifndef ENGINES_PTRACE_COMPAT_EMULATION_H_
#define ENGINES_PTRACE_COMPAT_EMULATION_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "core/owner.h"
#include "engines/ptrace_compat/host_requests.h"
#include "engines/ptrace_compat/wire.h"

namespace utrace::ptrace_compat {

class World;

class Emulation {
 public:
  // Makes the owner of what process `tracer_pid` attaches; called on the threads that serve it, with no
  // lock held. May return null: then it has none.
  using MakeOwner = std::function<std::shared_ptr<Owner>(pid_t tracer_pid)>;

  // Borrows `host`, which must outlive it. One for each server.
  Emulation(HostRequests& host, MakeOwner make_owner);
  // EndAll(), and waits until no callback runs. No Serve may be running any more.
  ~Emulation();
  Emulation(const Emulation&) = delete;
  Emulation& operator=(const Emulation&) = delete;

  // Serves one tracing thread, from after its Hello was read (which this answers) until its connection
  // closes or its thread ends. Blocks: on a thread of its own. Takes over `socket`. `hello.pid` must have
  // been compared with the socket's peer.
  //
  // `arrival` is its place among the connections of the server: of two that a thread has, the later counts,
  // whichever is read first; the other is closed, and a farewell that comes in
  // by it is void.
  //
  // What the thread traces stays traced when the connection closes: it is detached, or killed if it asked
  // for PTRACE_O_EXITKILL, when the thread ends or says Op::kBye.
  void Serve(int socket, const wire::Hello& hello, uint64_t arrival);

  // Whether nothing is traced and no tracer is connected. Any thread.
  bool Idle() const;

  // The processes that trace thread `tid`, in order of attachment. Any thread.
  std::vector<pid_t> TracersOf(pid_t tid) const;

  // Detaches everything and closes all connections, so that every Serve returns soon. Any thread but those
  // of callbacks.
  void EndAll();

 private:
  const std::unique_ptr<World> world_;
};

}  // namespace utrace::ptrace_compat

#endif  // ENGINES_PTRACE_COMPAT_EMULATION_H_
