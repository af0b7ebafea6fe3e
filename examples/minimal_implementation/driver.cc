// The driver: how the conformance kit makes tasks do things (core/utrace_target.h, part A).
#include <errno.h>
#include <string.h>

#include "examples/minimal_implementation/tasks.h"

using minimal::Lock;

namespace {

bool begun = false;
pid_t next_id = 1000;  // never used again, in no world

// With the lock held.
void Make(unsigned slot, pid_t tgid) {
  const pid_t tid = next_id++;
  auto* task = new utrace_task(tid, tgid == 0 ? tid : tgid, slot);
  minimal::world[slot] = task;
  utrace_target_slot& memory = minimal::Memory(slot);
  memset(&memory, 0, sizeof(memory));
  memory.tid = tid;
  task->thread = std::thread([task] { task->Run(); });
}

// The task in that slot; null, with the reason in *error, if there is none.
utrace_task* In(unsigned slot, int* error) {
  *error = slot >= UTRACE_TARGET_SLOTS || minimal::world[slot] == nullptr ? -ESRCH : 0;
  return *error == 0 ? minimal::world[slot] : nullptr;
}

}  // namespace

unsigned utrace_target_version(void) { return UTRACE_TARGET_VERSION; }

const char* utrace_target_capabilities(void) {
  return "spin\n"
         "wait\n";
}

int utrace_target_begin(void) {
  const Lock lock(minimal::mutex);
  if (begun) return -EBUSY;
  begun = true;
  Make(UTRACE_TARGET_PARENT, 0);
  Make(UTRACE_TARGET_WAITER, minimal::world[UTRACE_TARGET_PARENT]->tid);
  return 0;
}

void utrace_target_end(void) {
  Lock lock(minimal::mutex);
  for (utrace_task* task : minimal::world) {
    if (task == nullptr) continue;
    task->Kill();
    task->Reap();
  }
  for (utrace_task*& task : minimal::world) {
    if (task == nullptr) continue;
    lock.unlock();
    task->thread.join();
    lock.lock();
    minimal::Put(task, lock);
    task = nullptr;
  }
  begun = false;
}

int utrace_target_spawn(unsigned slot) {
  const Lock lock(minimal::mutex);
  if (slot <= UTRACE_TARGET_WAITER || slot >= UTRACE_TARGET_SLOTS) return -EINVAL;
  if (minimal::world[slot] != nullptr) return -EBUSY;
  Make(slot, 0);
  return 0;
}

int utrace_target_send(unsigned slot, const struct utrace_target_command* command) {
  const Lock lock(minimal::mutex);
  int error = 0;
  if (utrace_task* task = In(slot, &error)) task->commands.push_back(*command);
  minimal::changed.notify_all();
  return error;
}

int utrace_target_receive(unsigned slot, struct utrace_target_reply* reply) {
  const Lock lock(minimal::mutex);
  int error = 0;
  utrace_task* task = In(slot, &error);
  if (task == nullptr || task->replies.empty()) return 0;
  *reply = task->replies.front();
  task->replies.pop_front();
  return 1;
}

struct utrace_target_slot* utrace_target_slot_memory(unsigned slot) {
  return &minimal::Memory(slot);
}

uint64_t utrace_target_slot_address(unsigned slot) {
  return reinterpret_cast<uint64_t>(&minimal::Memory(slot));
}

const struct utrace_target_addresses* utrace_target_program(void) {
  static const struct utrace_target_addresses none = {};
  return &none;
}

int utrace_target_feed(unsigned slot, const void* bytes, size_t size) {
  const Lock lock(minimal::mutex);
  int error = 0;
  if (utrace_task* task = In(slot, &error)) {
    const auto* from = static_cast<const unsigned char*>(bytes);
    task->pipe.insert(task->pipe.end(), from, from + size);
  }
  minimal::changed.notify_all();
  return error;
}

int utrace_target_kill(pid_t pid, int, const siginfo_t* info) {
  const Lock lock(minimal::mutex);
  utrace_task* task = minimal::Find(pid);
  if (task == nullptr) return -ESRCH;
  if (info->si_signo != SIGKILL) return -EOPNOTSUPP;
  task->Kill();
  return 0;
}

int utrace_target_state(pid_t tid) {
  const Lock lock(minimal::mutex);
  const utrace_task* task = minimal::Find(tid);
  return task == nullptr ? -ESRCH : task->state;
}

pid_t utrace_target_parent(void) {
  const Lock lock(minimal::mutex);
  return minimal::world[UTRACE_TARGET_PARENT]->tgid;
}

int utrace_target_configure(const char*, long) { return -EOPNOTSUPP; }
