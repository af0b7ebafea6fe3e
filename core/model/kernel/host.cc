#include "core/model/kernel/host.h"

#include <cerrno>
#include <list>
#include <utility>

#include "core/model/kernel/thread.h"
#include "core/model/kernel/world.h"

namespace utrace {
namespace model {
namespace {

class ModelTask final : public HostTask {
 public:
  explicit ModelTask(std::shared_ptr<Thread> thread) : thread_(std::move(thread)) {}

  pid_t tid() const override { return thread_->tid; }
  pid_t tgid() const override { return thread_->process->pid; }
  bool IsKernelThread() const override { return thread_->program == Thread::Program::kKernel; }

  int Adopt(std::string* error) override {
    const int status = thread_->Adopt();
    if (status != 0) *error = "thread " + std::to_string(tid()) + " is gone";
    return status;
  }
  void RequestSafePoint(Urgency urgency) override { thread_->RequestSafePoint(urgency); }
  void RequestWake() override { thread_->RequestWake(); }
  void InterestChanged(unsigned long) override { thread_->InterestChanged(); }
  bool IsStillStopped() override { return thread_->CheckStopped() == 0; }
  bool Exists() override { return !thread_->IsGone(); }

  const utrace_regset_view& View() const override { return arch::View(); }
  int RegsetGet(uint32_t index, size_t position, size_t count, void* buffer) override {
    return Access([&](MachineState& machine) { machine.Get(index, position, count, buffer); });
  }
  int RegsetSet(uint32_t index, size_t position, size_t count, const void* buffer) override {
    return Access([&](MachineState& machine) { machine.Set(index, position, count, buffer); });
  }
  int GetPc(uint64_t* pc) override {
    return Access([&](MachineState& machine) { *pc = arch::Pc(machine.general); });
  }
  int SetPc(uint64_t pc) override {
    return Access([&](MachineState& machine) { arch::SetPc(machine.general, pc); });
  }
  int GetSp(uint64_t* sp) override {
    return Access([&](MachineState& machine) { *sp = arch::Sp(machine.general); });
  }
  int SyscallNumber(long* number) override {
    return Access([&](MachineState& machine) { *number = arch::SyscallNumber(machine.general); });
  }
  int SetSyscallNumber(long number) override {
    return Access([&](MachineState& machine) { arch::SetSyscallNumber(machine.general, number); });
  }
  int SyscallArguments(unsigned first, unsigned count, uint64_t* arguments) override {
    return Access([&](MachineState& machine) {
      for (unsigned i = 0; i < count; ++i) {
        arguments[i] = arch::SyscallArgument(machine.general, first + i);
      }
    });
  }
  int SetSyscallArguments(unsigned first, unsigned count, const uint64_t* arguments) override {
    return Access([&](MachineState& machine) {
      for (unsigned i = 0; i < count; ++i) {
        arch::SetSyscallArgument(machine.general, first + i, arguments[i]);
      }
    });
  }
  int SyscallResult(int64_t* result) override {
    return Access([&](MachineState& machine) { *result = arch::SyscallResult(machine.general); });
  }
  int SetSyscallResult(int64_t result) override {
    return Access([&](MachineState& machine) { arch::SetSyscallResult(machine.general, result); });
  }
  int RollBackSyscall() override {
    return Access([&](MachineState& machine) {
      arch::RollBackSyscall(machine.general, arch::SyscallNumber(machine.general));
    });
  }
  ssize_t ReadMemory(uint64_t address, void* buffer, size_t size) override {
    if (const int status = thread_->CheckStopped(); status != 0) return status;
    return thread_->process->memory->Read(address, buffer, size);
  }
  ssize_t WriteMemory(uint64_t address, const void* buffer, size_t size) override {
    if (const int status = thread_->CheckStopped(); status != 0) return status;
    return thread_->process->memory->Write(address, buffer, size, AddressSpace::By::kTracer);
  }
  int CurrentSyscall(utrace_current_syscall* call) override {
    return thread_->CurrentSyscall(call);
  }

 private:
  template <typename Use>
  int Access(Use use) {
    const int status = thread_->CheckStopped();
    if (status == 0) use(thread_->machine);
    return status;
  }

  const std::shared_ptr<Thread> thread_;
};

// As a futex: who sleeps is woken by WakeAll alone, so that a forgotten call is a deadlock here too.
class Sleepers {
 public:
  WaitResult Wait(Atomic<uint32_t>& word, uint32_t expected) {
    if (word != expected) return WaitResult::kWoken;
    const auto self = list_.insert(list_.end(), {.word = &word, .woken = false});
    const Awaited outcome =
        AwaitInterruptibly("a change of a task's state", [self] { return self->woken; });
    list_.erase(self);
    return outcome == Awaited::kInterrupted ? WaitResult::kInterrupted : WaitResult::kWoken;
  }
  void Wake(const Atomic<uint32_t>& word) {
    for (Sleeper& sleeper : list_) {
      if (sleeper.word == &word) sleeper.woken = true;
    }
  }

 private:
  struct Sleeper {
    const Atomic<uint32_t>* word;
    bool woken;
  };
  std::list<Sleeper> list_;
};

class ModelHost final : public Host {
 public:
  Task* FindTask(pid_t tid, int* status, std::string* error) override {
    World* const world = TheWorld();
    Thread* const thread = world != nullptr ? world->FindThread(tid) : nullptr;
    if (thread == nullptr) {
      *status = -ESRCH;
      *error = "there is no thread " + std::to_string(tid) + " in the model";
      return nullptr;
    }
    Task& task = thread->core();
    task.Ref();
    return &task;
  }
  bool HasSingleStep() override { return TheWorld() == nullptr || TheWorld()->single_step; }
  bool HasBlockStep() override {
    return HasSingleStep() && (TheWorld() == nullptr || TheWorld()->block_step);
  }
  const char* DeclaredLimits() override { return ""; }
  WaitResult WaitOn(Atomic<uint32_t>& word, uint32_t expected) override {
    return sleepers_.Wait(word, expected);
  }
  void WakeAll(Atomic<uint32_t>& word) override { sleepers_.Wake(word); }

 private:
  Sleepers sleepers_;
};

}  // namespace

std::unique_ptr<HostTask> MakeHostTask(std::shared_ptr<Thread> thread) {
  return std::make_unique<ModelTask>(std::move(thread));
}

}  // namespace model

Host& TheHost() {
  // Never destroyed: engines may outlive main.
  static auto* const host = new model::ModelHost;
  return *host;
}

}  // namespace utrace
