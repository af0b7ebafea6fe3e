#include "engines/ptrace_compat/requests.h"

#include <linux/ptrace.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include "core/machine.h"
#include "engines/ptrace_compat/address_space.h"
#include "engines/ptrace_compat/tracee.h"

namespace utrace::ptrace_compat {
namespace {

constexpr uint64_t kLargestSignal = 64;

// The state letter and the parent of a thread as /proc tells; 0 and 0 if it is gone.
struct Stat {
  char state = 0;
  pid_t parent = 0;
};

Stat StatOf(pid_t tid) {
  std::ifstream file("/proc/" + std::to_string(tid) + "/stat");
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= text.size()) return {};
  return {text[name_end + 2], static_cast<pid_t>(strtol(text.c_str() + name_end + 4, nullptr, 10))};
}

// The thread of process `parent` that made its child `pid`, and is what the kernel takes for the parent; its
// leader if that thread is gone.
pid_t ParentThreadOf(pid_t pid, pid_t parent) {
  const std::string tasks = "/proc/" + std::to_string(parent) + "/task";
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) {
      if (child == pid)
        return static_cast<pid_t>(strtol(task.path().filename().c_str(), nullptr, 10));
    }
  }
  return parent;
}

}  // namespace

bool Requests::Handle(std::span<const std::byte> packet) {
  wire::RequestHeader header{};
  if (!Parse(packet, &header)) return false;
  long result = -EINVAL;
  Bytes out;
  wire::PlainRequest plain;
  wire::WaitRequest wait;
  wire::MemoryRequest memory;
  wire::PtraceRequest request;
  switch (header.op) {
    case wire::Op::kPtrace:
      if (!Parse(packet, &request)) return false;
      result = Ptrace(request, packet.subspan(sizeof(request)), &out);
      break;
    case wire::Op::kTraceMe:
      if (!Parse(packet, &plain)) return false;
      result = TraceMe(plain.pid);
      break;
    case wire::Op::kWait: {
      if (!Parse(packet, &wait)) return false;
      const Lock lock(world_.mutex);
      world_.Wait(*tracer_, wait);
      return true;
    }
    case wire::Op::kCancel: {
      if (!Parse(packet, &plain)) return false;
      const Lock lock(world_.mutex);
      world_.Cancel(*tracer_, plain.target);
      return true;
    }
    case wire::Op::kSigchld: {
      if (!Parse(packet, &plain)) return false;
      const Lock lock(world_.mutex);
      tracer_->process->sigchld = plain.value;
      result = 0;
      break;
    }
    case wire::Op::kReadMem:
    case wire::Op::kWriteMem:
      if (!Parse(packet, &memory)) return false;
      result =
          Memory(memory, header.op == wire::Op::kWriteMem, packet.subspan(sizeof(memory)), &out);
      break;
    case wire::Op::kStopThread:
      if (!Parse(packet, &plain)) return false;
      result = StopThread(plain.pid);
      break;
    case wire::Op::kBye:
      return false;
    default:
      break;
  }
  if ((header.flags & wire::kNoReply) != 0) return true;
  wire::Reply reply{.serial = header.serial};
  const bool word =
      header.op == wire::Op::kPtrace && ArgumentOf(request.request).passing == Passing::kOutWord;
  if (result < 0) {
    reply.error = static_cast<int32_t>(-result);
    out.clear();
  } else if (word) {
    long value = 0;
    std::memcpy(&value, out.data(), std::min(out.size(), sizeof(value)));
    reply.result = value;
    out.clear();
  } else {
    reply.result = result;
  }
  connection_->Send(reply, out);
  return true;
}

// ---- Attaching --------------------------------------------------------------------------------------

long Requests::AttachTo(Lock& lock, const std::shared_ptr<Tracer>& tracer, pid_t tid, bool seize,
                        uint32_t options, bool stops) {
  lock.unlock();
  const Result<PidRef> pid = PidRef::Find(tid);
  const Result<TaskRef> found = pid ? pid->FindTask() : Result<TaskRef>(Status(-ESRCH));
  const Stat stat = StatOf(tid);
  lock.lock();
  if (!found || stat.state == 0) return -ESRCH;
  const TaskRef& task = *found;
  if (task.tgid() == tracer->process->pid || stat.state == 'Z' || stat.state == 'X') return -EPERM;
  std::shared_ptr<Tracee> tracee = world_.FindTracee(task);
  if (tracee == nullptr) {
    const auto others = world_.TraceesOf(task.tgid());
    const auto space = others.empty() ? World::MakeSpace(task) : others.front()->space();
    auto made = std::make_shared<Tracee>(world_, task, space);
    lock.unlock();
    Status status;
    {
      const OwnerScope scope(tracer->owner.get());
      status = made->Attach(options);
    }
    lock.lock();
    if (!status.ok()) return status.code() == -ESRCH ? -ESRCH : -EPERM;
    tracee = world_.FindTracee(task);
    if (tracee != nullptr) {
      // Another tracer was faster.
      made->Abandon();
    } else {
      if (made->dead()) return -ESRCH;
      tracee = made;
      world_.AddTracee(task, tracee);
      if (stat.state == 'T') tracee->FoundStopped();
    }
  }
  if (tracee->dead()) return -EPERM;
  for (const auto& link : tracee->links()) {
    // As the kernel refuses a second tracer; only that here a tracer is a program.
    if (link->tracer->process == tracer->process) return -EPERM;
  }
  if (tracer->ended) {
    tracee->LeaveIfUnused();
    return -ESRCH;
  }
  const auto link = world_.Connect(*tracer, tracee, seize, options);
  if (stops) {
    if (tracee->group_stop() != 0) {
      link->own.push_back(Tracee::GroupStop(*link, tracee->group_stop()));
    }
    if (!seize) link->own.push_back(Tracee::AttachStop());
  }
  tracee->ChooseEvents(lock);
  if (!link->own.empty()) tracee->Approach(lock);
  return 0;
}

long Requests::TraceMe(pid_t pid) {
  const Stat stat = StatOf(pid);
  if (stat.parent <= 0) return -ESRCH;
  const pid_t thread = ParentThreadOf(pid, stat.parent);
  Lock lock(world_.mutex);
  if (pid != tracer_->process->pid) return -EPERM;
  const std::shared_ptr<Tracer> parent = world_.Enter(lock, stat.parent, thread, nullptr);
  if (parent == nullptr) return -ESRCH;
  return AttachTo(lock, parent, tracer_->tid, false, 0, false);
}

// A debugger stops its tracee so. Sent as it is, the signal would be shown to all, and not come to a thread that
// another tracer holds; who may never let it go, if it waits for the one that waits for this.
long Requests::StopThread(pid_t tid) {
  Lock lock(world_.mutex);
  for (const auto& thread : tracer_->process->threads) {
    const auto found = thread->links.find(tid);
    if (found == thread->links.end()) continue;
    const std::shared_ptr<Link> link = found->second;
    if (!link->is_alive() || link->tracee->links().size() == 1) return -ESRCH;
    const std::shared_ptr<Tracee> tracee = link->tracee;
    tracee->StopByTracer(lock, *link);
    return 0;
  }
  return -ESRCH;
}

// ---- ptrace -----------------------------------------------------------------------------------------

long Requests::Ptrace(const wire::PtraceRequest& request, std::span<const std::byte> in,
                      Bytes* out) {
  Lock lock(world_.mutex);
  switch (request.request) {
    case PTRACE_ATTACH:
      return AttachTo(lock, tracer_, request.pid, false, 0, true);
    case PTRACE_SEIZE:
      if (request.address != 0 || (request.data & ~uint64_t{kAllOptions}) != 0) return -EIO;
      if ((request.data & kOptionSuspendSeccomp) != 0) return -EPERM;
      return AttachTo(lock, tracer_, request.pid, true, static_cast<uint32_t>(request.data), true);
    default:
      break;
  }
  const auto found = tracer_->links.find(request.pid);
  if (found == tracer_->links.end()) return -ESRCH;
  const std::shared_ptr<Link> link = found->second;
  if (request.request == PTRACE_KILL) {
    // One that is dead and not waited for is killed without effect.
    if (link->is_alive()) syscall(SYS_tgkill, link->tgid, link->tid, SIGKILL);
    return 0;
  }
  if (!link->is_alive()) return -ESRCH;
  if (request.request == PTRACE_INTERRUPT) {
    if (!link->seized) return -EIO;
    const std::shared_ptr<Tracee> tracee = link->tracee;
    tracee->Interrupt(lock, *link);
    return 0;
  }
  if (!link->is_stopped()) return -ESRCH;
  return OfStopped(lock, link, request, in, out);
}

long Requests::OfStopped(Lock& lock, const std::shared_ptr<Link>& link,
                         const wire::PtraceRequest& request, std::span<const std::byte> in,
                         Bytes* out) {
  const auto give = [out](const auto& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    out->assign(bytes.begin(), bytes.end());
    return 0L;
  };
  switch (request.request) {
    case PTRACE_CONT:
      return Resume(lock, *link, Run::kContinue, request.data);
    case PTRACE_SYSCALL:
      return Resume(lock, *link, Run::kSyscall, request.data);
    case PTRACE_SINGLESTEP:
      if (!utrace_has_single_step()) return -EIO;
      return Resume(lock, *link, Run::kStep, request.data);
#ifdef PTRACE_SINGLEBLOCK
    case PTRACE_SINGLEBLOCK:
      // Where the machine stops at no branch, after each instruction.
      if (!utrace_has_single_step()) return -EIO;
      return Resume(lock, *link, Run::kBlockStep, request.data);
#endif
#ifdef PTRACE_SYSEMU
    case PTRACE_SYSEMU:
      return Resume(lock, *link, Run::kSysemu, request.data);
    case PTRACE_SYSEMU_SINGLESTEP:
      if (!utrace_has_single_step()) return -EIO;
      return Resume(lock, *link, Run::kSysemuStep, request.data);
#endif
    case PTRACE_DETACH:
      return Detach(lock, *link, request.data);
    case PTRACE_LISTEN:
      return Listen(lock, *link);
    case PTRACE_SETOPTIONS:
#ifdef PTRACE_OLDSETOPTIONS
    case PTRACE_OLDSETOPTIONS:
#endif
      return SetOptions(lock, *link, request.data);
    case PTRACE_GETEVENTMSG:
      return give(static_cast<unsigned long>(link->stop.message));
    case PTRACE_GETSIGINFO:
      return link->stop.has_info ? give(link->stop.info) : -EINVAL;
    case PTRACE_SETSIGINFO:
      if (in.size() < sizeof(siginfo_t)) return -EFAULT;
      if (!link->stop.has_info) return -EINVAL;
      std::memcpy(&link->stop.info, in.data(), sizeof(siginfo_t));
      return 0;
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA: {
      const std::shared_ptr<AddressSpace> space = link->tracee->space();
      const pid_t tracer = tracer_->process->pid;
      lock.unlock();
      long word = 0;
      const auto bytes = std::as_writable_bytes(std::span(&word, 1));
      if (space->Read(tracer, request.address, bytes) != sizeof(word)) return -EIO;
      return give(word);
    }
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA: {
      const std::shared_ptr<AddressSpace> space = link->tracee->space();
      const pid_t tracer = tracer_->process->pid;
      lock.unlock();
      const auto word = static_cast<long>(request.data);
      const auto bytes = std::as_bytes(std::span(&word, 1));
      return space->Write(tracer, request.address, bytes) == sizeof(word) ? 0 : -EIO;
    }
    default:
      return OfMachine(lock, *link, request, in, out);
  }
}

long Requests::Resume(Lock& lock, Link& link, Run run, uint64_t signal) {
  if (signal > kLargestSignal) return -EIO;
  const std::shared_ptr<Tracee> tracee = link.tracee;
  tracee->Settle(lock);
  if (!link.is_stopped()) return -ESRCH;
  tracee->Resume(link, run, static_cast<int>(signal));
  return 0;
}

long Requests::Detach(Lock& lock, Link& link, uint64_t signal) {
  if (signal > kLargestSignal) return -EIO;
  const std::shared_ptr<Tracee> tracee = link.tracee;
  tracee->DropDebugRegisters(lock, link);
  tracee->Settle(lock);
  if (!link.is_stopped()) return -ESRCH;
  tracee->Leave(link, static_cast<int>(signal));
  return 0;
}

long Requests::Listen(Lock& lock, Link& link) {
  if (!link.seized || !link.stop.is_event_stop()) return -EIO;
  const std::shared_ptr<Tracee> tracee = link.tracee;
  tracee->Settle(lock);
  if (!link.is_stopped()) return -ESRCH;
  tracee->Listen(link);
  return 0;
}

long Requests::SetOptions(Lock& lock, Link& link, uint64_t options) {
  if ((options & ~uint64_t{kAllOptions}) != 0) return -EINVAL;
  if ((options & kOptionSuspendSeccomp) != 0) return -EPERM;
  link.options = static_cast<uint32_t>(options);
  const std::shared_ptr<Tracee> tracee = link.tracee;
  tracee->ChooseEvents(lock);
  return 0;
}

// ---- Connections ------------------------------------------------------------------------------------

void World::Serve(int socket, const wire::Hello& hello, uint64_t arrival) {
  const auto connection = std::make_shared<Connection>(socket, watcher_, arrival);
  if (hello.magic != wire::kMagic || hello.version != wire::kWireVersion) {
    connection->Send({.error = EPROTO});
    return;
  }
  std::shared_ptr<Tracer> tracer;
  {
    Lock lock(mutex);
    tracer = Enter(lock, hello.pid, hello.tid, connection);
  }
  connection->Send({.error = tracer != nullptr ? 0 : ESRCH});
  if (tracer == nullptr) return;
  Requests requests(*this, tracer, connection);
  for (;;) {
    const auto packet = connection->Receive();
    if (packet.empty()) break;
    if (requests.Handle(packet)) continue;
    // It said farewell, or what nobody says.
    Ended(tracer, connection.get());
    return;
  }
  const Lock lock(mutex);
  if (tracer->connection != connection) return;
  tracer->connection = nullptr;
  tracer->waits.clear();
  if (!tracer->links.empty() || tracer->ended) return;
  tracer->ended = true;
  Forget(tracer);
}

}  // namespace utrace::ptrace_compat
