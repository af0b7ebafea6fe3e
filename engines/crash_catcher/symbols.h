// Stacks and names of addresses, from the unwind tables, symbols and debug information of the modules
// of a stopped process (elfutils).
#ifndef ENGINES_CRASH_CATCHER_SYMBOLS_H_
#define ENGINES_CRASH_CATCHER_SYMBOLS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "engines/crash_catcher/machine_state.h"
#include "engines/crash_catcher/memory.h"
#include "engines/crash_catcher/snapshot.h"

namespace utrace::crash {

// For one thread at a time.
class Symbols {
 public:
  // Of the process of the live thread `tid`, which must stay stopped for this object's life. Borrows
  // `memory`. Null, and *error one line, if its modules cannot be found.
  static std::unique_ptr<Symbols> Open(pid_t tid, Memory& memory, std::string* error);
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  // Follows the stack of a thread with these registers into thread->frames and ->stack_end.
  void Unwind(GeneralImage general, ThreadState* thread);
  // "main+12", or "program+0x1139" where there is no symbol; empty in no module.
  std::string Describe(uint64_t address);
  // Where the function begins that holds `address`; zero if that is unknown.
  uint64_t FunctionBegin(uint64_t address);

 private:
  struct Impl;
  explicit Symbols(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace utrace::crash

#endif  // ENGINES_CRASH_CATCHER_SYMBOLS_H_
