// The notes of a core file: registers of each thread, the signal, and what debuggers ask of a process.
#ifndef ENGINES_CRASH_CATCHER_CORE_NOTES_H_
#define ENGINES_CRASH_CATCHER_CORE_NOTES_H_

#include <cstddef>
#include <vector>

#include "engines/crash_catcher/snapshot.h"

namespace utrace::crash {

// The content of the PT_NOTE segment. The first thread of `snapshot` is the one that debuggers begin
// with. Threads without registers are left out.
std::vector<std::byte> CoreNotes(const Snapshot& snapshot);

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_CORE_NOTES_H_
