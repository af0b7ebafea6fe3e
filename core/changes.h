// What engines change of the things that all engines of a task are shown: counted for each, so that
// whoever lists them (look.h) can say who changes what, and whose changes do not last
// (docs/sharing.md).
#ifndef CORE_CHANGES_H_
#define CORE_CHANGES_H_

#include <cstddef>
#include <cstdint>

namespace utrace {

// One thing that an engine can change in a callback.
enum class Changed : uint8_t {
  kSiginfo,
  kDisposition,
  kSignalAction,
  kCallNumber,
  kCallArgument,  // six of them
  kCallResult = kCallArgument + 6,
  kCallAction,
  kRegisters,
  kMemory,
};

// Several of them, a bit each.
using Changes = uint32_t;
constexpr Changes Bit(Changed what, unsigned index = 0) {
  return Changes{1} << (static_cast<unsigned>(what) + index);
}
inline constexpr Changes kSignalChanges =
    Bit(Changed::kSiginfo) | Bit(Changed::kDisposition) | Bit(Changed::kSignalAction);
inline constexpr Changes kCallChanges = Bit(Changed::kCallNumber) |
                                        0x3fU << static_cast<unsigned>(Changed::kCallArgument) |
                                        Bit(Changed::kCallResult) | Bit(Changed::kCallAction);
// Those of which a report has one, so that a second change replaces the first: from bit zero on.
inline constexpr size_t kReplaceable = static_cast<size_t>(Changed::kCallAction) + 1;

// Callbacks of one engine on one task that made a change, by what they changed; each counts once for
// each kind. Changes during an examination are not counted: nothing says whose they are.
struct ChangeCounts {
  uint32_t signals = 0;    // siginfo, disposition to apply, or signal action
  uint32_t calls = 0;      // number, arguments, result or error, or syscall action
  uint32_t aborts = 0;     // among these: the call was to run before, and not after
  uint32_t registers = 0;  // register sets, program counter
  uint32_t memory = 0;
  // Reports of a signal or a call in which an engine that was called later changed the very thing
  // that this one had changed.
  uint32_t overruled = 0;

  friend bool operator==(const ChangeCounts&, const ChangeCounts&) = default;
};

}  // namespace utrace

#endif  // CORE_CHANGES_H_
