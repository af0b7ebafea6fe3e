#include "core/engine.h"

#include <cxxabi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <typeinfo>
#include <unordered_map>
#include <vector>

namespace utrace {
namespace {

// The bindings whose callbacks are on this thread's stack.
struct Frame {
  const internal::Binding* binding;
  const Frame* outer;
};
thread_local const Frame* t_frames = nullptr;

// Writes a line to standard error without waiting for its reader and without dying of a reader that
// is gone: the task of some unrelated program waits for us.
void Complain(const std::string& line) {
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return;
  sigset_t pipe_signal;
  sigset_t pending;
  sigset_t old;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
  const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  if (written < 0 && errno == EPIPE && sigismember(&pending, SIGPIPE) == 0) {
    const timespec at_once{};
    sigtimedwait(&pipe_signal, nullptr, &at_once);
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

}  // namespace

namespace internal {

// One attachment as the C++ side keeps it: the `data` of the C engine. Held by its Engine object's
// list from before the attach until release, and by the Attachment.
class Binding {
 public:
  Binding(std::shared_ptr<Engine> engine, TaskRef task, Events events)
      : engine_(std::move(engine)), task_(std::move(task)), events_(events.bits()) {}

  const std::shared_ptr<Engine>& engine() const { return engine_; }
  TaskView task() const { return task_; }
  Events events() const { return Events(events_.load(std::memory_order_relaxed)); }
  // For callbacks, which do not overlap.
  std::unique_ptr<StateBase>& state() { return state_; }

  Status SetEvents(utrace_engine* handle, Events events) {
    const Status status(utrace_set_events(task_.get(), handle, events.bits()));
    if (status.ok() || status.code() == -EINPROGRESS) {
      events_.store(events.bits(), std::memory_order_relaxed);
    }
    return status;
  }

  // No callback that starts from now on reaches the Engine object.
  void Silence() { silenced_.store(true); }
  bool silenced() const { return silenced_.load(); }

  // Around each callback.
  class Running {
   public:
    explicit Running(Binding& binding) : binding_(binding), frame_{&binding, t_frames} {
      // Before silenced() is read, so that of this thread and one that silences and then waits, at
      // least one sees the other.
      binding_.busy_.store(true);
      t_frames = &frame_;
    }
    ~Running() {
      t_frames = frame_.outer;
      binding_.busy_.store(false);
      if (binding_.silenced()) binding_.busy_.notify_all();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Binding& binding_;
    const Frame frame_;
  };

  // Ends the attachment; see Attachment::DetachAndWait.
  void DetachAndWait(utrace_engine* handle) {
    Silence();
    // 0: done. -EINPROGRESS: it detaches when the running callback ends. -EALREADY: the death report
    // is in progress; if our part of it is still to come, it will detach. -ESRCH: detached, or being
    // reaped, and report_reap may be running.
    const int error = utrace_control(task_.get(), handle, UTRACE_DETACH);
    if (error == 0) return;
    if (!RunsOnThisThread()) {
      while (utrace_barrier(task_.get(), handle) == -UTRACE_ERESTARTSYS) {
      }
    }
    WaitUntilIdle();
  }

  // After Silence(): waits until no callback runs, unless it is the caller's own.
  void WaitUntilIdle() const {
    if (!RunsOnThisThread()) busy_.wait(true);
  }

 private:
  bool RunsOnThisThread() const {
    for (const Frame* frame = t_frames; frame != nullptr; frame = frame->outer) {
      if (frame->binding == this) return true;
    }
    return false;
  }

  const std::shared_ptr<Engine> engine_;
  const TaskRef task_;
  std::unique_ptr<StateBase> state_;
  std::atomic<unsigned long> events_;
  std::atomic<bool> busy_ = false;
  std::atomic<bool> silenced_ = false;
};

}  // namespace internal

namespace {

using internal::Binding;

std::string ClassName(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : type.name();
}

void ComplainOfException(const Binding& binding, const char* callback, const char* what) noexcept {
  try {
    Complain("utrace: engine " + binding.engine()->Name() + " threw in " + callback +
             " for thread " + std::to_string(binding.task().tid()) + ": " + what +
             "; it leaves the thread, which runs on\n");
  } catch (...) {
    // No memory for the message, or Name() threw as well.
    Complain("utrace: an engine threw in a callback and leaves its thread, which runs on\n");
  }
}

// Runs a callback's body and returns its result. Returns `leave`, a result that detaches, instead if
// the attachment is being ended, or if the body throws: exceptions must not reach the C caller.
template <class Body>
uint32_t Guard(utrace_engine* handle, const char* callback, uint32_t leave, Body&& body) noexcept {
  Binding& binding = *static_cast<Binding*>(handle->data);
  const Binding::Running running(binding);
  if (binding.silenced()) return leave;
  try {
    return body(binding, *binding.engine());
  } catch (const std::exception& exception) {
    ComplainOfException(binding, callback, exception.what());
  } catch (...) {
    ComplainOfException(binding, callback, "something that is no std::exception");
  }
  binding.Silence();
  return leave;
}

uint32_t Quiesce(uint32_t action, utrace_engine* handle, utrace_task* task, unsigned long event) {
  return Guard(handle, "OnQuiesce", UTRACE_DETACH, [&](Binding& binding, Engine& engine) {
    QuiesceReport report(binding, handle, task, ToAction(action), Events(event));
    return static_cast<uint32_t>(engine.OnQuiesce(report));
  });
}

uint32_t Signal(uint32_t action, utrace_engine* handle, utrace_task* task, utrace_regs*,
                siginfo_t* info, const utrace_sigaction* original, utrace_sigaction* disposition) {
  const uint32_t leave = SignalResult(Action::kDetach).Encode(action);
  return Guard(handle, "OnSignal", leave, [&](Binding& binding, Engine& engine) {
    SignalReport report(binding, handle, task, action, *info, original, *disposition);
    return engine.OnSignal(report).Encode(action);
  });
}

uint32_t Clone(uint32_t action, utrace_engine* handle, utrace_task* task, unsigned long flags,
               utrace_task* child) {
  return Guard(handle, "OnClone", UTRACE_DETACH, [&](Binding& binding, Engine& engine) {
    CloneReport report(binding, handle, task, ToAction(action), flags, child);
    return static_cast<uint32_t>(engine.OnClone(report));
  });
}

uint32_t Jctl(uint32_t action, utrace_engine* handle, utrace_task* task, int type, int notify) {
  return Guard(handle, "OnJctl", UTRACE_DETACH, [&](Binding& binding, Engine& engine) {
    JctlReport report(binding, handle, task, ToAction(action), type, notify);
    return static_cast<uint32_t>(engine.OnJctl(report));
  });
}

uint32_t Exec(uint32_t action, utrace_engine* handle, utrace_task* task,
              const utrace_program* program, utrace_regs*) {
  return Guard(handle, "OnExec", UTRACE_DETACH, [&](Binding& binding, Engine& engine) {
    ExecReport report(binding, handle, task, ToAction(action), *program);
    return static_cast<uint32_t>(engine.OnExec(report));
  });
}

uint32_t EntryOfSyscall(uint32_t action, utrace_engine* handle, utrace_task* task, utrace_regs*) {
  const uint32_t leave = SyscallResult(Action::kDetach).Encode(action);
  return Guard(handle, "OnSyscallEntry", leave, [&](Binding& binding, Engine& engine) {
    SyscallEntry report(binding, handle, task, action);
    return engine.OnSyscallEntry(report).Encode(action);
  });
}

uint32_t ExitOfSyscall(uint32_t action, utrace_engine* handle, utrace_task* task, utrace_regs*) {
  return Guard(handle, "OnSyscallExit", UTRACE_DETACH, [&](Binding& binding, Engine& engine) {
    SyscallExit report(binding, handle, task, ToAction(action));
    return static_cast<uint32_t>(engine.OnSyscallExit(report));
  });
}

uint32_t Exit(uint32_t action, utrace_engine* handle, utrace_task* task, long original,
              long* code) {
  return Guard(handle, "OnExit", UTRACE_DETACH, [&](Binding& binding, Engine& engine) {
    ExitReport report(binding, handle, task, ToAction(action), original, *code);
    return static_cast<uint32_t>(engine.OnExit(report));
  });
}

uint32_t Death(utrace_engine* handle, utrace_task* task, bool group_dead, int signal) {
  return Guard(handle, "OnDeath", UTRACE_DETACH, [&](Binding& binding, Engine& engine) {
    DeathReport report(binding, handle, task, group_dead, signal);
    return static_cast<uint32_t>(engine.OnDeath(report));
  });
}

void Reap(utrace_engine* handle, utrace_task* task) {
  Guard(handle, "OnReap", 0, [&](Binding& binding, Engine& engine) {
    ReapReport report(binding, handle, task);
    engine.OnReap(report);
    return 0U;
  });
}

}  // namespace

// ---- Engine ------------------------------------------------------------------------------------

struct Engine::Impl {
  // Each object has a table of its own, so that MATCH_OPS finds its attachments and no others.
  const utrace_engine_ops ops = {
      .report_quiesce = Quiesce,
      .report_signal = Signal,
      .report_clone = Clone,
      .report_jctl = Jctl,
      .report_exec = Exec,
      .report_syscall_entry = EntryOfSyscall,
      .report_syscall_exit = ExitOfSyscall,
      .report_exit = Exit,
      .report_death = Death,
      .report_reap = Reap,
      .release = Release,
  };

  bool Add(const std::shared_ptr<Binding>& binding) {
    const std::lock_guard lock(mutex);
    if (!closed) bindings.emplace(binding.get(), binding);
    return !closed;
  }

  // Returns what was removed: it may hold the last reference to the Engine, and thereby to this
  // mutex.
  std::shared_ptr<Binding> Remove(Binding* binding) {
    const std::lock_guard lock(mutex);
    const auto found = bindings.find(binding);
    std::shared_ptr<Binding> removed = std::move(found->second);
    bindings.erase(found);
    return removed;
  }

  static void Release(void* data) {
    auto* binding = static_cast<Binding*>(data);
    const std::shared_ptr<Binding> last = binding->engine()->impl_->Remove(binding);
  }

  std::mutex mutex;
  // Guarded by mutex.
  std::unordered_map<Binding*, std::shared_ptr<Binding>> bindings;
  bool closed = false;
};

Engine::Engine() : impl_(std::make_unique<Impl>()) {}
Engine::~Engine() = default;

std::string Engine::Name() const { return ClassName(typeid(*this)); }

Action Engine::OnQuiesce(QuiesceReport&) { return Action::kResume; }
SignalResult Engine::OnSignal(SignalReport&) { return Action::kResume; }
Action Engine::OnClone(CloneReport&) { return Action::kResume; }
Action Engine::OnJctl(JctlReport&) { return Action::kResume; }
Action Engine::OnExec(ExecReport&) { return Action::kResume; }
SyscallResult Engine::OnSyscallEntry(SyscallEntry&) { return Action::kResume; }
Action Engine::OnSyscallExit(SyscallExit&) { return Action::kResume; }
Action Engine::OnExit(ExitReport&) { return Action::kResume; }
Action Engine::OnDeath(DeathReport&) { return Action::kResume; }
void Engine::OnReap(ReapReport&) {}

void Engine::DetachEverywhere() {
  std::vector<std::shared_ptr<Binding>> all;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closed = true;
    all.reserve(impl_->bindings.size());
    for (const auto& [_, binding] : impl_->bindings) all.push_back(binding);
  }
  for (const auto& binding : all) binding->Silence();
  for (const auto& binding : all) {
    // A binding may be on its way to release, when its engine must not be referred to any more: a
    // lookup gives a reference or nothing.
    utrace_engine* handle = nullptr;
    do {
      handle = utrace_attach_task(binding->task().get(),
                                  UTRACE_ATTACH_MATCH_OPS | UTRACE_ATTACH_MATCH_DATA, &impl_->ops,
                                  binding.get());
    } while (UTRACE_IS_ERR(handle) && UTRACE_PTR_ERR(handle) == -UTRACE_ERESTARTNOINTR);
    if (UTRACE_IS_ERR(handle)) {
      binding->WaitUntilIdle();
    } else {
      const EngineRef reference = EngineRef::Adopt(handle);
      binding->DetachAndWait(handle);
    }
  }
}

// ---- Report ------------------------------------------------------------------------------------

const std::shared_ptr<Engine>& Report::engine() const { return binding_.engine(); }
Events Report::events() const { return binding_.events(); }
Status Report::SetEvents(Events events) { return binding_.SetEvents(handle_, events); }
std::unique_ptr<internal::StateBase>& Report::StateSlot() const { return binding_.state(); }

Status CloneReport::Follow() const {
  Result<Attachment> attachment =
      Attachment::Attach(child_, engine(), events(), Attachment::Mode::kUnlessAttached);
  if (attachment) {
    attachment->Leave();
    return Status();
  }
  return attachment.code() == -EEXIST ? Status() : attachment.status();
}

// ---- Attachment --------------------------------------------------------------------------------

Attachment::Attachment(TaskRef task, EngineRef handle, std::shared_ptr<Binding> binding)
    : task_(std::move(task)), handle_(std::move(handle)), binding_(std::move(binding)) {}

Attachment& Attachment::operator=(Attachment&& other) noexcept {
  if (this != &other) {
    if (*this) DetachAndWait();
    task_ = std::move(other.task_);
    handle_ = std::move(other.handle_);
    binding_ = std::move(other.binding_);
  }
  return *this;
}

Attachment::~Attachment() {
  if (*this) DetachAndWait();
}

Result<Attachment> Attachment::Attach(TaskView task, const std::shared_ptr<Engine>& engine,
                                      Events events, Mode mode) {
  if (!task || engine == nullptr) return Status(-EINVAL);
  Engine::Impl& impl = *engine->impl_;
  const auto binding = std::make_shared<Binding>(engine, TaskRef::Share(task), events);
  if (!impl.Add(binding)) return Status(-ESHUTDOWN);

  int flags = UTRACE_ATTACH_CREATE;
  if (mode == Mode::kUnlessAttached) flags |= UTRACE_ATTACH_EXCLUSIVE | UTRACE_ATTACH_MATCH_OPS;
  utrace_engine* handle = nullptr;
  do {
    handle = utrace_attach_task(task.get(), flags, &impl.ops, binding.get());
  } while (UTRACE_IS_ERR(handle) && UTRACE_PTR_ERR(handle) == -UTRACE_ERESTARTNOINTR);
  if (UTRACE_IS_ERR(handle)) {
    impl.Remove(binding.get());  // a failed attach makes no release [REF-07]
    return Status(UTRACE_PTR_ERR(handle));
  }

  Attachment attachment(TaskRef::Share(task), EngineRef::Adopt(handle), binding);
  // DetachEverywhere may have looked for this attachment before it was there to be found.
  if (binding->silenced()) return Status(-ESHUTDOWN);
  const Status status = binding->SetEvents(handle, events);
  if (!status.ok()) return status;
  return attachment;
}

Result<Attachment> Attachment::Attach(const PidRef& pid, const std::shared_ptr<Engine>& engine,
                                      Events events, Mode mode) {
  const Result<TaskRef> task = pid.FindTask();
  if (!task) return task.status();
  return Attach(*task, engine, events, mode);
}

const std::shared_ptr<Engine>& Attachment::engine() const { return binding_->engine(); }

Status Attachment::SetEvents(Events events) { return binding_->SetEvents(handle_.get(), events); }

Status Attachment::Control(Action action) {
  return Status(
      utrace_control(task_.get(), handle_.get(), static_cast<enum utrace_resume_action>(action)));
}

Status Attachment::Barrier() { return Status(utrace_barrier(task_.get(), handle_.get())); }

void Attachment::DetachAndWait() {
  binding_->DetachAndWait(handle_.get());
  Leave();
}

void Attachment::Leave() {
  handle_ = EngineRef();
  binding_.reset();
  task_ = TaskRef();
}

// ---- Examination -------------------------------------------------------------------------------

Result<Examination> Examination::Begin(const Attachment& attachment) {
  Examination examination(attachment);
  const int error = utrace_prepare_examine(attachment.task().get(), attachment.handle().get(),
                                           &examination.examiner_);
  if (error != 0) {
    examination.attachment_ = nullptr;
    return Status(error);
  }
  return examination;
}

Status Examination::Finish() {
  const Attachment* attachment = std::exchange(attachment_, nullptr);
  if (attachment == nullptr) return Status(-EINVAL);
  return Status(
      utrace_finish_examine(attachment->task().get(), attachment->handle().get(), &examiner_));
}

}  // namespace utrace
