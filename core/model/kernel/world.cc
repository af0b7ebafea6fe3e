#include "core/model/kernel/world.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace utrace::model {
namespace {

World* the_world = nullptr;

constexpr int kPipes = 100;  // descriptors of the slots' pipes and epoll instances begin here
constexpr int kEpolls = 200;

}  // namespace

World* TheWorld() { return the_world; }

int BeginWorld() {
  if (the_world != nullptr) return -EBUSY;
  the_world = new World;
  return 0;
}

void EndWorld() {
  if (the_world == nullptr) return;
  the_world->End();
  delete std::exchange(the_world, nullptr);
}

void AbandonWorld() { the_world = nullptr; }

World::World() {
  for (int i = 0; i < UTRACE_TARGET_SLOTS; ++i) {
    slot(i).pipe = kPipes + i;
    slot(i).epoll = kEpolls + i;
  }
  const std::shared_ptr<Process> process = AddProcess(NewId(), nullptr);
  process->memory = std::make_shared<AddressSpace>(slots_);
  parent_ = process.get();
  for (const int its_slot : {UTRACE_TARGET_PARENT, UTRACE_TARGET_WAITER}) {
    const pid_t tid = its_slot == UTRACE_TARGET_PARENT ? process->pid : NewId();
    const auto thread = AddThread(process, tid, its_slot, Thread::Program::kSlot);
    Show(thread);
    thread->Start();
    thread->EndNewborn();
  }
}

void World::End() {
  const auto processes = processes_;  // they leave the map as they die
  for (const auto& [pid, process] : processes) process->Kill(SIGKILL, nullptr);
  Await("the end of the world", [this] {
    return std::all_of(all_.begin(), all_.end(),
                       [](const auto& thread) { return thread->HasEnded(); });
  });
}

void World::Spawn(int its_slot) {
  const pid_t pid = NewId();
  const std::shared_ptr<Process> process = AddProcess(pid, parent_);
  process->group = pid;
  process->memory = std::make_shared<AddressSpace>(slots_);
  const auto thread = AddThread(process, pid, its_slot, Thread::Program::kSlot);
  Show(thread);
  thread->Start();
  thread->EndNewborn();
}

pid_t World::AddKernelThread() {
  const pid_t pid = NewId();
  const std::shared_ptr<Process> process = AddProcess(pid, nullptr);
  process->memory = std::make_shared<AddressSpace>(slots_);
  const auto thread = AddThread(process, pid, -1, Thread::Program::kKernel);
  Show(thread);
  thread->Start();
  thread->EndNewborn();
  return pid;
}

Thread* World::FindThread(pid_t tid) const {
  const auto found = threads_.find(tid);
  return found == threads_.end() ? nullptr : found->second.get();
}

Process* World::FindProcess(pid_t pid) const {
  const auto found = processes_.find(pid);
  return found == processes_.end() ? nullptr : found->second.get();
}

std::shared_ptr<Process> World::AddProcess(pid_t pid, Process* parent) {
  auto process = std::make_shared<Process>(*this, pid, parent);
  processes_[pid] = process;
  return process;
}

std::shared_ptr<Thread> World::AddThread(const std::shared_ptr<Process>& process, pid_t tid,
                                         int its_slot, Thread::Program program) {
  auto thread = std::make_shared<Thread>(process, tid, its_slot, program);
  all_.push_back(thread);
  return thread;
}

void World::Show(const std::shared_ptr<Thread>& thread) {
  threads_[thread->tid] = thread;
  thread->process->threads.push_back(thread.get());
  if (thread->slot >= 0) slot(thread->slot).tid = thread->tid;
}

void World::Forget(Thread& thread) {
  std::erase(thread.process->threads, &thread);
  const auto found = threads_.find(thread.tid);
  if (found != threads_.end() && found->second.get() == &thread) threads_.erase(found);
}

void World::Forget(Process& process) {
  const auto found = processes_.find(process.pid);
  if (found != processes_.end() && found->second.get() == &process) processes_.erase(found);
}

void World::TakeLeadership(Thread& thread, Thread& leader) {
  const std::shared_ptr<Thread> self = thread.shared_from_this();
  Forget(leader);
  threads_.erase(thread.tid);
  thread.tid = thread.process->pid;
  threads_[thread.tid] = self;
  if (thread.slot >= 0) slot(thread.slot).tid = thread.tid;
}

void World::Orphan(Process& ended) {
  const auto processes = processes_;
  for (const auto& [pid, process] : processes) {
    if (process->parent != &ended) continue;
    process->parent = nullptr;
    if (process->parent_death_signal != 0) {
      process->Send(UserSignal(process->parent_death_signal, 0), nullptr);
    }
    // The first process of the system, which takes it in, reaps at once.
    Thread* const leader = process->Leader();
    if (leader != nullptr && process->Alive() == 0) leader->Reap();
  }
}

}  // namespace utrace::model
