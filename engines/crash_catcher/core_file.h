// An ELF core file of a held process, as the kernel would write it, for debuggers.
#ifndef ENGINES_CRASH_CATCHER_CORE_FILE_H_
#define ENGINES_CRASH_CATCHER_CORE_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/result.h"
#include "engines/crash_catcher/memory.h"
#include "engines/crash_catcher/output_file.h"
#include "engines/crash_catcher/snapshot.h"

namespace utrace::crash {

struct CoreOutcome {
  // What writing said; -ESRCH: the process was killed meanwhile; -ECANCELED: `cancelled` became true.
  Status status;
  // Pages that could not be read and are zero in the file.
  uint64_t unreadable_pages = 0;
};

// Writes the core file of `snapshot` to `file`, which the caller commits if all went well. Which memory
// goes into it is the process's own choice (/proc/PID/coredump_filter). Pages of zeros are holes; with
// `compress` the file is one zstd frame.
CoreOutcome WriteCore(const Snapshot& snapshot, Memory& memory, bool compress,
                      const std::atomic<bool>& cancelled, OutputFile* file);

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_CORE_FILE_H_
