// Clone, exec, exit, death and reaping of a thread.
#include <sched.h>
#include <sys/syscall.h>

#include <cerrno>
#include <string>
#include <utility>

#include "core/model/kernel/program.h"
#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"

namespace utrace::model {
namespace {

constexpr int kExitSignalMask = 0xff;
constexpr int kReapsItself = -1;
constexpr int kLeaderBeforeThreads = -2;

}  // namespace

int64_t Thread::Clone(unsigned long flags, uint64_t parent_tid_at, uint64_t clear_tid_at) {
  const bool is_thread = (flags & CLONE_THREAD) != 0;
  if (is_thread && (flags & (CLONE_SIGHAND | CLONE_VM)) != (CLONE_SIGHAND | CLONE_VM)) {
    return -EINVAL;
  }
  // As in the kernel, so that no signal to the process escapes the child.
  if (notified_ || killed_) return -UTRACE_ERESTARTNOINTR;
  const int its_slot = std::exchange(spawn_slot, -1);
  const pid_t id = world().NewId();
  std::shared_ptr<Process> its_process = process;
  if (!is_thread) {
    Process* const parent = (flags & CLONE_PARENT) != 0 ? process->parent : process.get();
    its_process = world().AddProcess(id, parent);
    its_process->group = process->group;
    its_process->session = process->session;
    its_process->exit_signal = static_cast<int>(flags & kExitSignalMask);
    its_process->actions = process->actions;
    its_process->memory = (flags & CLONE_VM) != 0
                              ? process->memory
                              : std::make_shared<AddressSpace>(*process->memory);
  }
  const auto child =
      world().AddThread(its_process, id, its_slot, its_slot < 0 ? Program::kExits : Program::kSlot);
  child->blocked = blocked;
  child->machine = machine;
  child->machine.LeaveCall();
  arch::SetSyscallResult(child->machine.general, 0);
  if ((flags & CLONE_PARENT_SETTID) != 0) process->memory->Store(parent_tid_at, id);
  if ((flags & CLONE_CHILD_CLEARTID) != 0) child->clear_tid_at_ = clear_tid_at;

  bool hold = false;
  if (traced_ && (interest_ & UTRACE_EVENT(CLONE)) != 0) {
    Task& child_core = child->core();
    child->traced_ = true;
    child->release_ = true;  // unless somebody attaches
    child_core.MarkNewborn(core_);
    child_core.MarkAdopted();
    world().Show(child);
    child->Start();
    hold = core_->OnClone(flags, child_core).hold;
  } else {
    world().Show(child);
    child->Start();
  }
  child->EndNewborn();
  if (hold) Hold();
  if ((flags & CLONE_VFORK) != 0) {
    SleepUnlessKilled("the child of vfork", [&] { return its_process->released_parent; });
  }
  return id;
}

std::optional<int64_t> Thread::Exec(uint64_t path_at) {
  std::string path;
  for (char byte = 0; process->memory->Load(path_at + path.size(), &byte) && byte != '\0';) {
    path += byte;
  }
  const bool found = path_at == kProgramPathAt || path == kProgramPath;
  if (!found) return -ENOENT;
  for (Thread* other : process->threads) {
    if (other != this && !other->dead_) other->Kill();
  }
  const bool alone =
      SleepUnlessKilled("the other threads", [this] { return process->Alive() == 1; });
  if (!alone) return -EINTR;
  const pid_t former = tid;
  if (tid != process->pid) {
    const std::shared_ptr<Thread> leader = process->Leader()->shared_from_this();
    world().TakeLeadership(*this, *leader);
    leader->gone_ = true;
  }
  for (utrace_sigaction& action : process->actions) {
    if (action.handler != UTRACE_SIG_IGN) action = utrace_sigaction{};
  }
  process->memory = std::make_shared<AddressSpace>(world().slots());
  process->released_parent = true;
  alternate_stack.reset();
  restart = nullptr;
  clear_tid_at_ = 0;
  frames_.clear();
  machine.Reset(kEntryPoint, kStackTop);
  arch::SetSyscallNumber(machine.general, SYS_execve);
  arch::SetSyscallResult(machine.general, 0);
  new_program_ = true;
  if (traced_ && (interest_ & UTRACE_EVENT(EXEC)) != 0) {
    const utrace_program program_info{
        .path = kProgramPath, .entry = kEntryPoint, .former_tid = former};
    core_->OnExec(program_info);
  }
  return std::nullopt;
}

void Thread::Exit(long status, bool whole_process) {
  const bool was_killed = killed_;
  if (whole_process && !was_killed) process->Kill(status, this);
  exiting_ = true;
  place_ = Place::kKernel;
  long code = process->ending ? process->status : was_killed ? SIGKILL : status;
  const long original = code;
  if (traced_) {
    bool hold = core_->OnExit(&code, was_killed).hold;
    while (hold && AwaitWake()) hold = core_->OnWake().hold;
  }
  // Who ends the process decides its status; the others only share it.
  if (whole_process && !was_killed && code != original && !killed_) process->status = code;
  Die(code);
  throw ThreadEnded();
}

void Thread::Die(long status) {
  dead_ = true;
  exit_code_ = status;
  frames_.clear();
  trap_.reset();
  if (clear_tid_at_ != 0) process->memory->Store(clear_tid_at_, uint32_t{0});
  const std::shared_ptr<Process> its_process = process;
  const bool last = process->Alive() == 0;
  const bool is_leader = tid == process->pid;
  int signal = kReapsItself;
  if (last) {
    // Decided before the parent is told: it may change its mind, or reap, at once.
    process->reaps_itself = process->ReapsItself();
    EndProcess();
  } else {
    process->CompleteStop();
  }
  if (is_leader) {
    signal = !last                   ? kLeaderBeforeThreads
             : process->reaps_itself ? kReapsItself
                                     : process->exit_signal;
  }
  if (traced_) core_->OnDeath(last, signal);
  if (!is_leader) Reap();
  if (last && process->reaps_itself) {
    if (Thread* const leader = process->Leader()) leader->Reap();
  }
}

// The last thread died: the process is a zombie for its parent.
void Thread::EndProcess() {
  if (!process->ending) {
    process->status = process->Leader()->exit_code_;
    process->ending = true;
  }
  process->released_parent = true;
  process->finished = true;
  world().Orphan(*process);
  const long status = process->status;
  const int signal = static_cast<int>(status & 0x7f);
  if (signal == 0) {
    process->TellParent(CLD_EXITED, static_cast<int>((status >> 8) & 0xff));
  } else {
    process->TellParent((status & 0x80) != 0 ? CLD_DUMPED : CLD_KILLED, signal);
  }
}

void Thread::Reap() {
  if (gone_) return;
  world().Forget(*this);
  if (tid == process->pid) world().Forget(*process);
  gone_ = true;
}

}  // namespace utrace::model
