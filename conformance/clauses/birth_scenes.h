// New threads and processes of every kind, and what a newborn's registers say about it.
#ifndef CONFORMANCE_CLAUSES_BIRTH_SCENES_H_
#define CONFORMANCE_CLAUSES_BIRTH_SCENES_H_

#include <sched.h>

#include "conformance/clauses/control_scenes.h"

namespace utrace::kit {

enum class Birth { kFork, kVfork, kClone, kThread };
inline constexpr Birth kBirths[] = {Birth::kFork, Birth::kVfork, Birth::kClone, Birth::kThread};

inline const char* BirthName(Birth birth) {
  switch (birth) {
    case Birth::kFork:
      return "fork";
    case Birth::kVfork:
      return "vfork";
    case Birth::kClone:
      return "clone";
    case Birth::kThread:
      return "thread";
  }
  return "?";
}

// The flags that tell this kind, beside the exit signal in the low byte.
inline unsigned long BirthFlags(Birth birth) {
  switch (birth) {
    case Birth::kVfork:
      return CLONE_VFORK | CLONE_VM;
    case Birth::kClone:
      return CLONE_FS;
    case Birth::kThread:
      return CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    case Birth::kFork:
      break;
  }
  return 0;
}

inline PuppetThread& BeginBirth(Puppet& puppet, Birth birth) {
  switch (birth) {
    case Birth::kFork:
      return puppet.BeginFork();
    case Birth::kVfork:
      return puppet.BeginVfork();
    case Birth::kClone:
      return puppet.BeginClone(CLONE_FS | SIGCHLD);
    case Birth::kThread:
      return puppet.BeginSpawnThread();
  }
  Broken("no such birth");
}

// The child is ready; lets it go on to where the parent's call returns, and collects that.
inline long EndBirth(Puppet& puppet, PuppetThread& child, Birth birth) {
  if (birth == Birth::kVfork) child.BeginExit(0);
  return puppet.Finish();
}

// The program counter of a task that may be touched now.
inline uint64_t ProgramCounter(utrace_task* task) {
  uint64_t pc = 0;
  const int result = api().utrace_get_pc(task, &pc);
  if (result != 0) ADD_FAILURE() << "get_pc gives " << ErrnoName(result);
  return pc;
}

}  // namespace utrace::kit

#endif  // CONFORMANCE_CLAUSES_BIRTH_SCENES_H_
