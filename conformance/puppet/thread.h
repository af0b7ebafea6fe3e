// One commanded thread of a puppet: takes commands from its channel and executes them in order.
#ifndef CONFORMANCE_PUPPET_THREAD_H_
#define CONFORMANCE_PUPPET_THREAD_H_

#include "conformance/puppet/protocol.h"

namespace utrace::puppet {

// Maps the shared memory; ends the process if it cannot.
void MapShared(int fd);
inline Shared* shared() { return reinterpret_cast<Shared*>(kSharedAddress); }

// The stack of a slot's thread, empty.
void* StackTop(Slot* slot);

// Runs a new thread of this process in `slot`; the raw result of clone.
long SpawnThread(int slot);

}  // namespace utrace::puppet

// Called from assembly code, on the slot's own stack.
extern "C" {
// Says that the thread is ready and executes commands until the kit goes away.
[[noreturn]] void PuppetRunSlot(long slot);
// The same for a thread or process that kSpawn made.
[[noreturn]] void PuppetRunNewSlot(long slot);
// Leaves the current stack for that of `slot`, and runs the slot.
[[noreturn]] void PuppetSwitchStack(long slot, void* stack_top);
}

#endif  // CONFORMANCE_PUPPET_THREAD_H_
